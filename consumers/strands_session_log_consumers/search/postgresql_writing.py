"""Changing an index in PostgreSQL: what was said and how far of each session stand in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from math import inf
from time import monotonic
from typing import Any, Final, Protocol

import psycopg

from strands_session_log import EventId

from .postgresql_schema import ADD, PARTITION, PARTITION_BITS, REMOVE
from .progress import ProgressTables
from .query import storable
from .saying import SaidMessage
from .words import tsvector_of

_MOST_CHARACTERS: Final = 4 << 20
"""Of texts that wait to be sent."""
_REMOVED: Final = "removed:"
_PATIENCE: Final = "2s"
"""For so long it is waited for those who search, while what they look into is to be written anew."""


class PostgresDatabase(Protocol):
    """The database that an index is in."""

    schema: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of its own."""

    def explained(self) -> AbstractContextManager[None]:
        """Tell of PostgreSQL's errors as of ours."""


class PostgresIndexWriter(ProgressTables):
    """The one that changes an index; for one thread, and others wait for it. It connects again after an error.

    Args:
        database: Where the index is.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__()
        self._database, self._connection = database, database.connect()
        self._rows, self._size = dict[tuple[int, int], tuple[Any, ...]](), 0
        self._partitions = set[int]()
        self.added = self._pending = 0

    def close(self) -> None:
        """Change it no more."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is changed within is, or nothing of it."""
        with self._database.explained():
            try:
                self._begin()
                yield
                self._flush()
                self._execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._forget_pending()

    def save(self) -> None:
        """Commit what was changed so far in a transaction, and go on."""
        self._flush()
        self._execute("COMMIT")
        self._forget_pending()
        self._begin()

    def _begin(self) -> None:
        # What was looked up outside of it may be another's by now, or gone.
        self._numbers.clear()
        self._partitions.clear()
        self._execute("BEGIN")
        self._execute("SELECT pg_advisory_xact_lock(hashtext(%s))", self._database.schema)

    def _forget_pending(self) -> None:
        self._rows.clear()
        self._numbers.clear()
        self._size = self._pending = 0

    @property
    def pending(self) -> int:
        """How many messages a transaction has added."""
        return self._pending

    def add(self, session_id: str, said: SaidMessage) -> None:
        """Add a message; one that is there already stays."""
        if not said.text:
            return
        session, (ms, revision), text = self._number(session_id), said.id, said.text
        of_message = (session, ms, revision, plain(said.agent), said.number, plain(said.role))
        if self._rows.setdefault((session, revision), (*of_message, text, tsvector_of(text)))[1] == ms:
            self._size += len(text)
            self._pending += 1
        if self._size > _MOST_CHARACTERS:
            self._flush()

    def remove_number(self, session_id: str, said: SaidMessage) -> None:
        """Remove what a message said before it was replaced."""
        if said.number is not None:
            condition, values = " AND number = %s AND agent = %s AND revision < %s", (said.number, plain(said.agent))
            self._remove(session_id, condition, *values, said.id.revision)

    def remove_events(self, session_id: str, ids: Iterable[EventId]) -> None:
        """Remove what events said."""
        self._remove(session_id, " AND revision = ANY (%s)", [id_.revision for id_ in ids])

    def put_labels(self, session_id: str, labels: Mapping[str, Any]) -> None:
        """Note what is attached to a session."""
        session = self._number(session_id)
        if self._execute("DELETE FROM label WHERE session = %s", session).rowcount:
            self._note_removal("label")
        for name, value in labels.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self._execute("INSERT INTO label VALUES (%s, %s, %s)", session, plain(name), plain(text))

    def forget(self, session_id: str) -> bool:
        """Remove a session, and all that was said in it; whether it was there."""
        if self.up_to(session_id) is None:
            return False
        self._remove(session_id, "")
        session = self._numbers.pop(session_id)
        self._execute("DELETE FROM label WHERE session = %s", session)
        self._execute("DELETE FROM session WHERE id = %s", session)
        for table in ("label", "session"):
            self._note_removal(table)
        return True

    def clear(self) -> None:
        """Remove everything; files that are dropped have nothing to be scrubbed."""
        self._execute("TRUNCATE message, label, session RESTART IDENTITY")
        for name in self._partition_names():
            self._execute(f"DROP TABLE {name}")
        self._partitions.clear()
        self._numbers.clear()
        self._begin_filling()
        self._execute("DELETE FROM meta WHERE name LIKE 'removed:%'")

    def scrub(self, seconds: float = inf) -> bool:
        """Write anew the partitions from which something was removed, and forget the pages that had it.

        Args:
            seconds: After how many seconds no other partition is begun.

        Returns:
            Whether that is done; not while somebody reads what stood there before.
        """
        until, is_done = monotonic() + seconds, True
        with self._database.explained():
            statement = "SELECT name, value FROM meta WHERE name LIKE %s ORDER BY name"
            for name, value in self._execute(statement, f"{_REMOVED}%").fetchall():
                if monotonic() > until or not self._has_rewritten(name.removeprefix(_REMOVED)):
                    is_done = False
                    continue
                # Unless something more was removed meanwhile.
                self._execute("DELETE FROM meta WHERE name = %s AND value = %s", name, value)
        return is_done

    def _has_rewritten(self, table: str) -> bool:
        """`VACUUM` alone would leave what was removed in its pages, and its words in their list, until others come."""
        if self._execute("SELECT to_regclass(%s)", table).fetchone() == (None,):
            return True
        self._execute(f"SET lock_timeout = '{_PATIENCE}'")
        try:
            # Before it is counted what nobody may see any more, what is counted so far is told.
            self._execute("SELECT pg_stat_force_next_flush()")
            self._execute(f"VACUUM {table}")
            dead = self._execute("SELECT pg_stat_get_dead_tuples(%s::regclass)", table).fetchone()
            if dead != (0,):
                return False
            self._execute(f"VACUUM (FULL) {table}")
            return True
        except psycopg.errors.LockNotAvailable:
            return False
        finally:
            with suppress(psycopg.Error):
                self._connection.execute("RESET lock_timeout")

    def _remove(self, session_id: str, condition: str, *values: Any) -> None:
        session = self._number(session_id)
        self._flush()
        found = self._execute(REMOVE.format(condition=condition), session, *values).fetchall()
        for partition in {ms >> PARTITION_BITS for (ms,) in found}:
            self._note_removal(f"said_{partition}")

    def _note_removal(self, table: str) -> None:
        """On record with it: whoever opens the index next goes on with scrubbing."""
        found = self._execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
        self._put_meta(f"{_REMOVED}{table}", found[0])

    def _flush(self) -> None:
        """Send the messages that wait."""
        if not self._rows:
            return
        rows = list(self._rows.values())
        self._make_partitions({row[1] >> PARTITION_BITS for row in rows})
        self.added += self._execute(ADD, *map(list, zip(*rows, strict=True))).rowcount
        self._rows.clear()
        self._size = 0

    def _make_partitions(self, wanted: set[int]) -> None:
        if wanted <= self._partitions:
            return
        there = set(self._partition_names())
        for number in sorted(wanted):
            name = f"said_{number}"
            if name not in there:
                first, end = number << PARTITION_BITS, (number + 1) << PARTITION_BITS
                self._execute(PARTITION.format(name=name, first=first, end=min(end, (1 << 63) - 1)))
        self._partitions |= wanted

    def _partition_names(self) -> list[str]:
        statement = (
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = to_regclass('said')"
        )
        return [name for (name,) in self._execute(statement).fetchall()]

    def _ask(self, statement: str, *values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._execute(statement.replace("?", "%s"), *values)

    def _explained(self) -> AbstractContextManager[None]:
        return self._database.explained()

    def _execute(self, statement: str, *values: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        if self._connection.closed:
            self._connection = self._database.connect()
        return self._connection.execute(statement, values or None)


def plain(text: str) -> str:
    """What PostgreSQL can hold: no character of number 0, and no half ones."""
    return storable(text.replace("\x00", "\ufffd"))
