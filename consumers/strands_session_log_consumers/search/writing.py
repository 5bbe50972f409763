"""Changing an index in a file: what was said and how far of each session are in one transaction, or neither is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from math import inf
from time import monotonic
from typing import Any

from strands_session_log import EventId

from .progress import ProgressTables
from .saying import SaidMessage
from .sqlite_file import ROW_BITS, SearchFile, make_said, removes_at_once

_IN_ROOM = 1 << ROW_BITS
_TO_MERGE, _MERGING, _AGAIN = "1", "2", "3"
_PAGES = 256


class IndexWriter(ProgressTables):
    """The one that changes an index; for one thread, and others wait for it.

    Args:
        file: Its file.
    """

    def __init__(self, file: SearchFile) -> None:
        super().__init__()
        self._file, self._connection = file, file.connect()
        self._texts = dict[int, str]()
        self.added = 0
        with file.explained():
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA cache_size = -65536")

    def close(self) -> None:
        """Change it no more."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is changed within is, or nothing of it."""
        with self._file.explained():
            self._begin()
            try:
                yield
                self._write_texts()
                self._execute("COMMIT")
            except BaseException:
                self._texts.clear()
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
                raise

    def save(self) -> None:
        """Commit what was changed so far in a transaction, and go on."""
        self._write_texts()
        self._execute("COMMIT")
        self._begin()

    def _begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")
        # What was looked up outside of it may be another's by now.
        self._numbers.clear()

    @property
    def pending(self) -> int:
        """How many messages a transaction has added."""
        return len(self._texts)

    def add(self, session_id: str, said: SaidMessage) -> None:
        """Add a message; one that is there already stays."""
        if not said.text:
            return
        session, (ms, revision) = self._number(session_id), said.id
        row = self._free_row(ms)
        sql = "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
        values = (row, session, ms, revision, said.agent, said.number, said.role)
        if self._execute(sql, *values).rowcount:
            self._texts[row] = said.text
            self.added += 1

    def remove_number(self, session_id: str, said: SaidMessage) -> None:
        """Remove what a message said before it was replaced."""
        if said.number is not None:
            sql = "SELECT id FROM message WHERE session = ? AND agent = ? AND number = ? AND revision < ?"
            values = self._number(session_id), said.agent, said.number, said.id.revision
            self._remove(self._execute(sql, *values).fetchall())

    def remove_events(self, session_id: str, ids: Iterable[EventId]) -> None:
        """Remove what events said."""
        session = self._number(session_id)
        for id_ in ids:
            sql = "SELECT id FROM message WHERE session = ? AND revision = ?"
            self._remove(self._execute(sql, session, id_.revision).fetchall())

    def put_labels(self, session_id: str, labels: Mapping[str, Any]) -> None:
        """Note what is attached to a session."""
        session = self._number(session_id)
        self._execute("DELETE FROM label WHERE session = ?", session)
        for name, value in labels.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self._execute("INSERT INTO label VALUES (?, ?, ?)", session, name, text)

    def forget(self, session_id: str) -> bool:
        """Remove a session, and all that was said in it; whether it was there."""
        if self.up_to(session_id) is None:
            return False
        session = self._numbers.pop(session_id)
        self._remove(self._execute("SELECT id FROM message WHERE session = ?", session).fetchall())
        self._execute("DELETE FROM label WHERE session = ?", session)
        self._execute("DELETE FROM session WHERE id = ?", session)
        self._note_removal()
        return True

    def clear(self) -> None:
        """Remove everything."""
        for table in ("message", "label", "session"):
            self._execute(f"DELETE FROM {table}")
        self._execute("DROP TABLE said")
        make_said(self._connection)
        self._numbers.clear()
        self._begin_filling()
        self._note_removal()

    def scrub(self, seconds: float = inf) -> bool:
        """Let nothing stay in the file, or beside it, of what was removed: texts at once, and then the words of them.

        Args:
            seconds: For how long at most pages of words are merged, where SQLite does not take words out of them.

        Returns:
            Whether that is done; not while somebody reads what stood there before.
        """
        with self._file.explained():
            if self._removed is None:
                return True
            if not self._is_log_empty():
                return False
            if not removes_at_once() and not (self._has_merged(seconds) and self._is_log_empty()):
                return False
            if self._removed == _AGAIN:
                self._execute("UPDATE meta SET value = ? WHERE name = 'removed'", _TO_MERGE)
                return False
            self._execute("DELETE FROM meta WHERE name = 'removed'")
            return True

    @property
    def _removed(self) -> str | None:
        """How far the words are merged that were removed; None where none are."""
        found = self._execute("SELECT value FROM meta WHERE name = 'removed'").fetchone()
        return found[0] if found else None

    def _has_merged(self, seconds: float) -> bool:
        """Merge all pages of words, a few at a time: that leaves out what was removed before it began."""
        until, merge = monotonic() + seconds, "INSERT INTO said (said, rank) VALUES ('merge', ?)"
        if self._removed == _TO_MERGE:
            with self.transaction():
                self._execute(merge, -_PAGES)
                self._execute("UPDATE meta SET value = ? WHERE name = 'removed'", _MERGING)
        while monotonic() <= until:
            before = self._connection.total_changes
            self._execute(merge, _PAGES)
            if self._connection.total_changes - before < 2:
                return True
        return False

    def _is_log_empty(self) -> bool:
        """Pages as they were stand in SQLite's log, until all of it is in the file, and the log is empty."""
        self._execute("PRAGMA busy_timeout = 200")
        try:
            (is_busy, *_) = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy
        finally:
            self._execute("PRAGMA busy_timeout = 30000")

    def _remove(self, rows: Iterable[tuple[int]]) -> None:
        for (row,) in rows:
            self._execute("DELETE FROM message WHERE id = ?", row)
            if self._texts.pop(row, None) is None:
                self._execute("DELETE FROM said WHERE rowid = ?", row)
                self._note_removal()

    def _note_removal(self) -> None:
        """On record with it: whoever opens the index next goes on with scrubbing."""
        again = "ON CONFLICT (name) DO UPDATE SET value = ? WHERE value = ?"
        self._execute(f"INSERT INTO meta VALUES ('removed', ?) {again}", _TO_MERGE, _AGAIN, _MERGING)

    def _free_row(self, ms: int) -> int:
        """The next number of what was said in a millisecond; of a later one where too much was."""
        sql = "SELECT max(id) FROM message WHERE id >= ? AND id < ?"
        while True:
            first = ms << ROW_BITS
            (last,) = self._execute(sql, first, first + _IN_ROOM).fetchone()
            if last is None:
                return first
            if last + 1 < first + _IN_ROOM:
                return int(last) + 1
            ms += 1

    def _write_texts(self) -> None:
        """In order of their rows: FTS5 writes out what it has gathered whenever one comes before the last."""
        rows = sorted(self._texts.items())
        self._connection.executemany("INSERT INTO said (rowid, text) VALUES (?, ?)", rows)
        self._texts.clear()

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def _ask(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._execute(statement, *values)

    def _explained(self) -> AbstractContextManager[None]:
        return self._file.explained()
