"""The SQLite file of an index: what stands in it, how it is made, and how it is opened.

What is deleted is gone from the file: see `IndexWriter.scrub`, and docs/adr/0054.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .query import SearchIndexError

FORMAT = "1"
ROW_BITS = 16
"""A row is numbered by its millisecond, and by so many bits for what was said in the same one."""
_BUSY = 30.0

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE session (
    id INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, ms INTEGER NOT NULL, revision INTEGER NOT NULL,
    link TEXT NOT NULL);
CREATE TABLE label (
    session INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (session, name)) WITHOUT ROWID;
CREATE TABLE message (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, ms INTEGER NOT NULL, revision INTEGER NOT NULL,
    agent TEXT NOT NULL, number INTEGER, role TEXT NOT NULL);
CREATE UNIQUE INDEX message_event ON message (session, revision);
CREATE INDEX message_number ON message (session, agent, number);
"""
_SAID = "CREATE VIRTUAL TABLE said USING fts5 (text, columnsize=0, tokenize='unicode61 remove_diacritics 2')"
_GATHERS = "INSERT INTO said (said, rank) VALUES ('hashsize', 33554432)"
_REMOVES_AT_ONCE = "INSERT INTO said (said, rank) VALUES ('secure-delete', 1)"


class SearchFile:
    """A file with an index, or where one is to be.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> sqlite3.Connection:
        """A connection of its own to the file, for one thread.

        Raises:
            SearchIndexError: When that is no database.
        """
        with self.explained():
            connection = sqlite3.connect(
                self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            connection.execute("PRAGMA secure_delete = ON")
            return connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell of SQLite's errors as of ours.

        Raises:
            SearchIndexError: In place of them.
        """
        try:
            yield
        except sqlite3.Error as error:
            raise SearchIndexError(str(self.path), str(error)) from error

    def create(self, namespace: str) -> None:
        """Make it, if it is not there; for the eyes of its owner, as it has all that was said.

        Raises:
            SearchIndexError: When it cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise SearchIndexError(str(self.path), f"it cannot be made: {error.strerror or error}") from error
        with self.explained(), closing(self.connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            named = (("format", FORMAT), ("namespace", namespace))
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                make_said(connection)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", named)
            connection.execute("COMMIT")

    def check(self, connection: sqlite3.Connection, namespace: str | None) -> None:
        """See to it that it is an index, and of this namespace.

        Raises:
            SearchIndexError: When it is not.
        """
        try:
            found = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('format', 'namespace')"))
        except sqlite3.Error as error:
            raise SearchIndexError(str(self.path), f"it is no search index: {error}") from error
        if found.get("format") != FORMAT:
            raise SearchIndexError(str(self.path), "it has another format: remove it, and make it anew")
        if namespace is not None and found.get("namespace") != namespace:
            raise SearchIndexError(str(self.path), f"it is of namespace {found.get('namespace')!r}, not {namespace!r}")


def make_said(connection: sqlite3.Connection) -> None:
    """Make the table of texts, empty."""
    connection.execute(_SAID)
    connection.execute(_GATHERS)
    if removes_at_once():
        connection.execute(_REMOVES_AT_ONCE)


def removes_at_once() -> bool:
    """Whether FTS5 takes what is deleted out of its pages then and there; before, only when it merges them."""
    return sqlite3.sqlite_version_info >= (3, 42)
