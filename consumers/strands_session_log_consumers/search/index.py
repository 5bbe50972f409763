"""The index: one SQLite file that has what was said, and how far of each session.

Rows are numbered by when something was said, so that the newest hits are found without looking at the others, however
many there are. What is deleted is gone from the file: see `Scrubbing` in `writing`, and docs/adr/0054.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from strands_session_log import EventId

from .query import InvalidQueryError, SearchFilter, SearchIndexError, match_of

FORMAT = "1"
ROW_BITS = 16
"""A row is numbered by its millisecond, and by so many bits for what was said in the same one."""
_BEGIN, _END = "\x02", "\x03"
_WORDS = 24
_BUSY = 30.0
_CURSOR = re.compile(r"[0-9]{1,19}")
_EVERY = 20_000
"""Instructions of SQLite between two looks at the clock."""

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
# The rows of `said` in descending order are the outer loop, which ends with the last hit that is wanted.
_SEARCH = f"""
SELECT said.rowid, session.session_id, message.ms, message.revision, message.agent, message.role,
    snippet(said, 0, '{_BEGIN}', '{_END}', '…', {_WORDS})
FROM said CROSS JOIN message ON message.id = said.rowid CROSS JOIN session ON session.id = message.session
WHERE said MATCH ?{{conditions}} ORDER BY said.rowid DESC LIMIT ?
"""


class SearchPart(NamedTuple):
    """A piece of a hit's text.

    Attributes:
        text: The piece.
        is_found: Whether it is what was looked for.
    """

    text: str
    is_found: bool


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message in which something was found.

    Attributes:
        session_id: The session.
        id: The event that says it.
        agent: The agent in whose transcript it stands.
        role: `user` or `assistant`.
        parts: What it says around what was found.
        cursor: What `before` takes to go on behind it.
    """

    session_id: str
    id: EventId
    agent: str
    role: str
    parts: tuple[SearchPart, ...]
    cursor: str

    @property
    def text(self) -> str:
        """What it says around what was found, in one piece."""
        return "".join(part.text for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """As `session-log search --json` prints it."""
        return {
            "session_id": self.session_id,
            "id": str(self.id),
            "agent": self.agent,
            "role": self.role,
            "text": self.text,
            "found": [part.text for part in self.parts if part.is_found],
            "cursor": self.cursor,
        }


class SearchIndex:
    """A search index of one namespace in a file; any number of threads and processes may search in it.

    Args:
        path: The file.
        namespace: Of which namespace it is; None to take whatever it is of.
        create: Whether it is made where it is not there.

    Raises:
        SearchIndexError: When it is not there, is of another namespace, or is no index.
    """

    def __init__(self, path: str | Path, namespace: str | None = None, *, create: bool = False) -> None:
        self.path = Path(path)
        if create:
            self._create(namespace or "")
        elif not self.path.is_file():
            raise SearchIndexError(str(path), "there is no such file; `session-log index` makes it")
        with closing(self.connect()) as connection:
            self._check(connection, namespace)

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

    def search(
        self,
        query: str,
        within: SearchFilter | None = None,
        limit: int = 20,
        before: str | None = None,
        timeout: float = 10.0,
    ) -> list[SearchHit]:
        """What was said that has all of a query, newest first.

        Args:
            query: See `match_of`: words, `AND`, `OR`, `NOT`, parentheses, "a phrase", and begin*.
            within: In what is looked; in everything if left out.
            limit: How many hits at most.
            before: The `cursor` of a hit: go on behind it.
            timeout: Seconds after which it gives up.

        Raises:
            InvalidQueryError: When the query means nothing, or takes too long.
            SearchIndexError: When the index cannot be read.
        """
        match, (conditions, values) = match_of(query), _conditions(within or SearchFilter(), before)
        until = time.monotonic() + timeout
        with self.explained(), closing(self.connect()) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _EVERY)
            try:
                sql = _SEARCH.format(conditions=conditions)
                return [_hit(row) for row in connection.execute(sql, (match, *values, limit))]
            except sqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise InvalidQueryError(query, f"it took more than {timeout:g} s; look in less") from None
                raise

    @property
    def counts(self) -> tuple[int, int]:
        """How many sessions and messages it has."""
        with self.explained(), closing(self.connect()) as connection:
            sql = "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM message)"
            sessions, messages = connection.execute(sql).fetchone()
            return sessions, messages

    def _create(self, namespace: str) -> None:
        """For the eyes of its owner: it has all that was said."""
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

    def _check(self, connection: sqlite3.Connection, namespace: str | None) -> None:
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


def _conditions(within: SearchFilter, before: str | None) -> tuple[str, Sequence[Any]]:
    if before is not None and not _CURSOR.fullmatch(before):
        raise InvalidQueryError(before, "it is no cursor; take that of a hit")
    below = None if before is None else int(before)
    since = None if within.since_ms is None else within.since_ms << ROW_BITS
    until = None if within.until_ms is None else (within.until_ms + 1) << ROW_BITS
    wanted: list[tuple[str, Any]] = [
        ("said.rowid < ?", below),
        ("said.rowid >= ?", since),
        ("said.rowid < ?", until),
        ("session.session_id = ?", within.session_id),
        ("message.agent = ?", within.agent),
        ("message.role = ?", within.role),
    ]
    conditions, values = list[str](), list[Any]()
    for condition, value in wanted:
        if value is not None:
            conditions.append(condition)
            values.append(min(value, (1 << 63) - 1) if isinstance(value, int) else value)
    for name, value in within.labels.items():
        conditions.append("EXISTS (SELECT 1 FROM label WHERE session = message.session AND name = ? AND value = ?)")
        values += [name, value]
    return "".join(f" AND {one}" for one in conditions), values


def _hit(row: Sequence[Any]) -> SearchHit:
    rowid, session_id, ms, revision, agent, role, marked = row
    return SearchHit(session_id, EventId(ms, revision), agent, role, tuple(_parts(marked)), str(rowid))


def _parts(marked: str) -> Iterator[SearchPart]:
    before, *found = marked.split(_BEGIN)
    if before:
        yield SearchPart(before, False)
    for piece in found:
        text, _, after = piece.partition(_END)
        yield SearchPart(text, True)
        if after:
            yield SearchPart(after, False)
