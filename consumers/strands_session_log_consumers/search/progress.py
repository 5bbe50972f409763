"""How far the log was followed, and how far of each session: what every store keeps in tables of the same names."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from strands_session_log import EventId

from .stores import IndexedUpTo

_POSITION, _FILLING = "position", "filling"


class ProgressTables(ABC):
    """The part of a `SearchWriter` that is the same in every store that speaks SQL."""

    def __init__(self) -> None:
        self._numbers = dict[str, int]()

    @abstractmethod
    def _ask(self, statement: str, *values: Any) -> Any:
        """Run a statement that all stores understand; `?` stands for a value."""

    @abstractmethod
    def _explained(self) -> AbstractContextManager[None]:
        """Tell of the store's errors as of ours."""

    @property
    def position(self) -> str | None:
        """Where in the feed the log was followed to; None where it has to be looked through."""
        return self._meta(_POSITION)

    def put_position(self, position: str | None) -> None:
        """Note where in the feed the log was followed to."""
        if position is None:
            self._ask("DELETE FROM meta WHERE name = ?", _POSITION)
        else:
            self._put_meta(_POSITION, position)

    @property
    def filling(self) -> str | None:
        """Another one whenever the index was emptied, by whichever process."""
        return self._meta(_FILLING)

    def _begin_filling(self) -> None:
        self.put_position(None)
        self._put_meta(_FILLING, secrets.token_hex(8))

    def up_to(self, session_id: str) -> IndexedUpTo | None:
        """How far a session is in the index."""
        with self._explained():
            found = self._ask("SELECT id, ms, revision, link FROM session WHERE session_id = ?", session_id).fetchone()
        if not found:
            return None
        self._numbers[session_id] = found[0]
        return IndexedUpTo(EventId(found[1], found[2]), found[3])

    def put_up_to(self, session_id: str, at: IndexedUpTo) -> None:
        """Note how far a session is in the index now."""
        number, (ms, revision) = self._number(session_id), at.id
        self._ask("UPDATE session SET ms = ?, revision = ?, link = ? WHERE id = ?", ms, revision, at.link, number)

    def session_ids(self) -> Iterator[str]:
        """All sessions it has."""
        last = ""
        while True:
            with self._explained():
                page = self._ask(
                    "SELECT session_id FROM session WHERE session_id > ? ORDER BY session_id LIMIT 1000", last
                ).fetchall()
            if not page:
                return
            yield from (name for (name,) in page)
            last = page[-1][0]

    def _number(self, session_id: str) -> int:
        """The number of a session in the index; it is there from now on."""
        if session_id not in self._numbers and self.up_to(session_id) is None:
            self._ask("INSERT INTO session (session_id, ms, revision, link) VALUES (?, 0, 0, '')", session_id)
            self.up_to(session_id)
        return self._numbers[session_id]

    def _meta(self, name: str) -> str | None:
        with self._explained():
            found = self._ask("SELECT value FROM meta WHERE name = ?", name).fetchone()
            return found[0] if found else None

    def _put_meta(self, name: str, value: str) -> None:
        statement = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self._ask(statement, name, value)
