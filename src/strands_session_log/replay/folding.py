"""Folding what stands in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..audit import IntegrityCheck
from ..codec import RawEntry, rows
from ..errors import LogForkedError
from ..events import PayloadErased, Recorded
from ..ids import EventId
from ..state import Fold, SessionState, evolve, initial


def fold(recorded: Iterable[Recorded], state: SessionState | None = None) -> SessionState:
    """Fold events onto a state, or from the beginning."""
    state = initial() if state is None else state
    for one in recorded:
        state = evolve(state, one)
    return state


class PagedFold:
    """The events of a session folded as they are read.

    Args:
        session_id: The session.
        state: Where to begin.
        check: Holds the events against the hash chain, too.

    Attributes:
        states: The state at the end of some pages, for who wants to keep points of the past.
        has_erasure: Whether one of the events is the record of an erasure.
        erased: The revisions that these say were erased.
    """

    def __init__(self, session_id: str, state: SessionState, check: IntegrityCheck | None = None) -> None:
        self._session_id, self._fold, self._begun, self._check = session_id, Fold(state), state.revision, check
        self.states: list[SessionState] = []
        self.has_erasure, self.erased = False, set[int]()

    @property
    def count(self) -> int:
        """How many events were folded."""
        return self.position.revision - self._begun

    @property
    def position(self) -> EventId:
        """The last event folded."""
        return self._fold.position

    def add(self, entries: Sequence[RawEntry]) -> None:
        """Fold a page.

        Raises:
            LogForkedError: When it does not go on where the last one ended.
            CorruptEntryError: When an entry cannot be read.
        """
        if self._check:
            self._check.add(entries)
        fold, add, revision = self._fold, self._fold.add, self.position.revision
        for id_, type_, agent, data, link, is_erased in rows(entries, fold.matters):
            if revision and id_.revision != revision + 1:
                raise LogForkedError(self._session_id, self._fold.position)
            revision = id_.revision
            add(id_, type_, agent, data, link, is_erased)
            if type_ == PayloadErased.TYPE:
                self.has_erasure = True
                self.erased |= {one.revision for one in PayloadErased(data).erased} if type(data) is dict else set()

    def note(self) -> None:
        """Keep the state as it is now."""
        self.states.append(self._fold.state())

    def state(self) -> SessionState:
        """The state so far."""
        state = self._fold.state()
        return replace(state, integrity=self._check.integrity) if self._check else state

    def finish(self) -> SessionState:
        """The state after the last event there is."""
        if self._check:
            self._check.finish()
        return self.state()
