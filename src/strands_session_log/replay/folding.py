"""Folding what stands in the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..audit import IntegrityCheck
from ..codec import RawEntry, Row, rows
from ..encryption import Cipher
from ..errors import KeyMissingError, LogForkedError
from ..events import PayloadErased, Recorded
from ..snapshot import SnapshotSettings, wants_point
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
        cipher: Opens those whose content is encrypted.
        check: Holds the events against the hash chain, too.

    Attributes:
        states: States of the past that are to be kept, see `add_all`.
        may_be_followed: Whether an append may follow where it ends, see `Cipher.may_follow`.
        has_erasure: Whether one of the events is the record of an erasure.
        erased: The revisions that these say were erased.
    """

    def __init__(
        self, session_id: str, state: SessionState, cipher: Cipher, check: IntegrityCheck | None = None
    ) -> None:
        self._session_id, self._fold, self._cipher, self._check = session_id, Fold(state), cipher, check
        self._begun = state.position.revision
        self.states: list[SessionState] = []
        self.may_be_followed = True
        self.has_erasure, self.erased = False, set[int]()

    @property
    def count(self) -> int:
        """How many events were folded."""
        return self._fold.position.revision - self._begun

    def add_all(self, pages: Iterable[Sequence[RawEntry]], settings: SnapshotSettings | None = None) -> None:
        """Fold page by page, and keep states at points of the past that a snapshot may have.

        Args:
            pages: The pages.
            settings: How snapshots are kept; None if no states are.

        Raises:
            LogForkedError: When one does not go on where the last one ended.
            CorruptEntryError: When an entry cannot be read.
            EncryptionError: When its content is encrypted, and the key is not to be had.
        """
        at = self._fold.position.revision
        for page in pages:
            self._add(page)
            now = self._fold.position.revision
            if settings and wants_point(now, at, now, settings):
                self.states.append(self._fold.state())
                at = now

    def _add(self, entries: Sequence[RawEntry]) -> None:
        if self._check:
            self._check.add(entries)
        if entries:
            self.may_be_followed = self._cipher.may_follow(entries[-1])
        fold, add, revision = self._fold, self._fold.add, self._fold.position.revision
        for id_, type_, agent, data, link, is_erased in self._rows(entries):
            if revision and id_.revision != revision + 1:
                raise LogForkedError(self._session_id, fold.position)
            revision = id_.revision
            add(id_, type_, agent, data, link, is_erased)
            if type_ == PayloadErased.TYPE:
                self.has_erasure = True
                self.erased |= {one.revision for one in PayloadErased(data).erased} if type(data) is dict else set()

    def _rows(self, entries: Sequence[RawEntry]) -> Sequence[Row]:
        try:
            return rows(self._cipher.opened(self._session_id, entries, is_strict=True), self._fold.LOOKS_AT)
        except KeyMissingError as error:
            raise KeyMissingError(self._session_id, error.entry_id, error.key_id) from error.__cause__

    def state(self) -> SessionState:
        """The state so far."""
        state = self._fold.state()
        return replace(state, integrity=self._check.integrity) if self._check else state

    def finish(self) -> SessionState:
        """The state after the last event there is."""
        if self._check:
            self._check.finish()
        return self.state()
