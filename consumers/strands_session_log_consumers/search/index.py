"""The index that is one SQLite file: what was said, and how far of each session.

Rows are numbered by when something was said, so that the newest hits are found without looking at the others, however
many there are.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from strands_session_log import EventId

from .hits import SearchHit
from .query import InvalidQueryError, SearchFilter, SearchIndexError, match_of, storable
from .sqlite_file import ROW_BITS, SearchFile
from .words import LONGEST_SHOWN, SearchTerm, snippet, terms_of
from .writing import IndexWriter

_CURSOR = re.compile(r"[0-9]{1,19}")
_EVERY = 20_000
"""Instructions of SQLite between two looks at the clock."""

# The rows of `said` in descending order are the outer loop, which ends with the last hit that is wanted. What is shown
# of it is found here: FTS5's `snippet` takes minutes for a long text with many of the words, and no clock ends it.
_SEARCH = f"""
SELECT said.rowid, session.session_id, message.ms, message.revision, message.agent, message.role,
    substr(said.text, 1, {LONGEST_SHOWN})
FROM said CROSS JOIN message ON message.id = said.rowid CROSS JOIN session ON session.id = message.session
WHERE said MATCH ?{{conditions}} ORDER BY said.rowid DESC LIMIT ?
"""


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
        self._file = SearchFile(self.path)
        if create:
            self._file.create(namespace or "")
        elif not self.path.is_file():
            raise SearchIndexError(str(path), "there is no such file; `session-log index` makes it")
        with closing(self.connect()) as connection:
            self._file.check(connection, namespace)

    def connect(self) -> sqlite3.Connection:
        """A connection of its own to the file, for one thread.

        Raises:
            SearchIndexError: When that is no database.
        """
        return self._file.connect()

    def writer(self) -> IndexWriter:
        """What changes it."""
        return IndexWriter(self._file)

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    def _explained(self) -> AbstractContextManager[None]:
        return self._file.explained()

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
            query: See `parts_of`: words, `AND`, `OR`, `NOT`, parentheses, "a phrase", and begin*.
            within: In what is looked; in everything if left out.
            limit: How many hits at most.
            before: The `cursor` of a hit: go on behind it.
            timeout: Seconds after which it gives up.

        Raises:
            InvalidQueryError: When the query means nothing, or takes too long.
            SearchIndexError: When the index cannot be read.
        """
        match, terms = match_of(query), terms_of(query)
        conditions, values = _conditions(within or SearchFilter(), before)
        until = time.monotonic() + timeout
        with self._explained(), closing(self.connect()) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _EVERY)
            try:
                sql = _SEARCH.format(conditions=conditions)
                return [_hit(row, terms) for row in connection.execute(sql, (match, *values, limit))]
            except sqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise InvalidQueryError(query, f"it took more than {timeout:g} s; look in less") from None
                raise

    @property
    def counts(self) -> tuple[int, int]:
        """How many sessions and messages it has."""
        with self._explained(), closing(self.connect()) as connection:
            sql = "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM message)"
            sessions, messages = connection.execute(sql).fetchone()
            return sessions, messages


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
            values.append(min(value, (1 << 63) - 1) if isinstance(value, int) else storable(value))
    for name, value in within.labels.items():
        conditions.append("EXISTS (SELECT 1 FROM label WHERE session = message.session AND name = ? AND value = ?)")
        values += [storable(name), storable(value)]
    return "".join(f" AND {one}" for one in conditions), values


def _hit(row: Sequence[Any], terms: Sequence[SearchTerm]) -> SearchHit:
    rowid, session_id, ms, revision, agent, role, text = row
    return SearchHit(session_id, EventId(ms, revision), agent, role, snippet(text, terms), str(rowid))
