"""Replay: the state of a session at any point, from the log, with the snapshot as a shortcut."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from threading import Lock
from time import perf_counter

from ..audit import IntegrityCheck
from ..codec import RawEntry, id_of, rows
from ..errors import (
    CorruptEntryError,
    ForbiddenError,
    LogForkedError,
    ServerRefusedError,
    SessionBrokenError,
    SessionLogError,
    SnapshotMismatchError,
)
from ..event_log import EventLog
from ..event_log.chained_batch import Position
from ..event_log.diagnosis import diagnosed, raise_diagnosed
from ..event_log.instrumented import entries_bytes
from ..event_log.reader import end_at
from ..ids import START, EventId, Ranges
from ..instrumentation import IntegrityChecked, Resumed, SnapshotDropped, SnapshotUse
from ..instrumentation.hooks import hooks
from ..snapshot import Authenticator, DamagedError, OutdatedError, Restored, SnapshotPlace, SnapshotSettings, restore
from ..snapshot.store import SEGMENT_BYTES, LoadedSnapshot
from ..state import INTACT, NOT_CHECKED, Messages, SessionState, initial
from .folding import PagedFold
from .saving import FoldResult, SnapshotWriter

logger = logging.getLogger(__name__)

FEW_BYTES = 256 * 1024
"""Of the segments of a snapshot, for those who look at the newest messages at most."""


class Replay:
    """Folds the sessions of a log; one for any number of threads.

    Args:
        log: The log.
        settings: How snapshots are kept; None to do without.
        authenticator: Tells which snapshots are taken; those of everybody, if left out.
    """

    def __init__(
        self, log: EventLog, settings: SnapshotSettings | None = None, authenticator: Authenticator | None = None
    ) -> None:
        self._log, self._settings, self.authenticator = log, settings, authenticator or Authenticator()
        self._saver = None if settings is None else SnapshotWriter(log, settings, self.authenticator, self._refresh)
        if self._saver:
            log.on_append.append(self._saver.appended)

    @property
    def saved_bytes(self) -> int:
        """How many bytes of snapshots were saved here so far."""
        return self._saver.saved_bytes if self._saver else 0

    def settle(self, timeout: float = 30.0) -> bool:
        """Wait until the snapshots that are being saved in the background are.

        Args:
            timeout: For how many seconds at most.

        Returns:
            Whether they are.
        """
        return self._saver is None or self._saver.settle(timeout)

    def close(self) -> None:
        """Save no more."""
        if self._saver:
            self._saver.close()

    def state(
        self,
        session_id: str,
        until: EventId | None = None,
        check: bool | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> SessionState:
        """The state of a session at a point; its newest if none is given.

        Args:
            session_id: The session.
            until: The point.
            check: Whether what is read is held against the hash chain; if left out, where a hook or the log is told.
            segment_bytes: How much of what agents held comes along; for those who look at little of it, `FEW_BYTES`.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        started, check = perf_counter(), _is_heard() if check is None else check
        unsaved = self._with_snapshot(session_id, until, check, segment_bytes)
        state = self.from_log(session_id, until, check) if unsaved is None else unsaved.state
        if until is not None:
            return state
        if hooks.active and state.exists:
            hooks.tell(_resumed(started, state, unsaved))
        return self._remembered(session_id, _told(session_id, state), unsaved is None or unsaved.may_be_followed)

    def verified(self, session_id: str, known: SessionState | None = None) -> SessionState:
        """The newest state, from the log alone, of which every event was held against the hash chain.

        Args:
            session_id: The session.
            known: An earlier state, folded by this same method.

        Raises:
            SessionBrokenError: When one is not what was written, or cannot be read.
        """
        try:
            state = self.catch_up(session_id, known, True) if known and known.integrity.is_checked else initial()
            if not state.integrity.is_checked:
                state = self._resumed_from_log(session_id)
        except (CorruptEntryError, LogForkedError) as error:
            hooks.tell(IntegrityChecked("broken"))
            raise SessionBrokenError(session_id, str(error)) from error
        if state.integrity.is_broken:
            raise SessionBrokenError(session_id, state.integrity.problem, state.integrity.broken_at)
        return state

    def _resumed_from_log(self, session_id: str) -> SessionState:
        started = perf_counter()
        state = self.from_log(session_id)
        if hooks.active and state.exists:
            hooks.tell(_resumed(started, state, None))
        return _told(session_id, state)

    def _with_snapshot(
        self, session_id: str, until: EventId | None, check: bool, segment_bytes: int
    ) -> FoldResult | None:
        """The state with what it was made of; None when there is no session, or snapshots are not kept."""
        loaded = self._load(session_id, until, segment_bytes=segment_bytes) if self._settings else None
        if loaded is None:
            return None
        unsaved = self._fold(session_id, until, loaded, check)
        if self._saver and (until is None or not loaded.points):
            self._saver.consider(session_id, unsaved)
        return unsaved

    def from_log(self, session_id: str, until: EventId | None = None, check: bool = True) -> SessionState:
        """The same from the log alone, whatever the snapshot says."""
        checking = IntegrityCheck(self._log, session_id) if check else None
        folding = PagedFold(session_id, initial(), self._log.cipher, checking)
        folding.add_all(self._log.pages(session_id, end=end_at(until)))
        if until is not None:
            return folding.state()
        return self._remembered(session_id, folding.finish(), folding.may_be_followed)

    def catch_up(self, session_id: str, known: SessionState, check: bool | None = None) -> SessionState:
        """The newest state, starting from one that was folded earlier.

        The read begins with the event the known state ends with: if that is not what it was, the session was deleted,
        replaced or lost in a failover, and is folded anew; so it is after an erasure. Mostly it is one round trip.
        """
        if not known.exists:
            return self.state(session_id, check=check)
        try:
            pages = self._log.pages(session_id, start=str(known.position))
            first = next(pages)
            if not _begins_at(first, known):
                return self.state(session_id, check=check)
            is_checked = (_is_heard() if check is None else check) and len(first) > 1
            checking = IntegrityCheck(self._log, session_id, first[0], known.integrity) if is_checked else None
            folding = PagedFold(session_id, known, self._log.cipher, checking)
            folding.add_all(chain([first[1:]], pages), self._settings)
        except LogForkedError:
            return self.state(session_id, check=check)
        if folding.has_erasure:
            return self.state(session_id, check=check)
        if len(first) == 1:
            return self._remembered(session_id, known, self._log.cipher.may_follow(first[0]))
        state = self._remembered(session_id, folding.finish(), folding.may_be_followed)
        return _told(session_id, state) if state.integrity.is_broken and not known.integrity.is_broken else state

    def later(self, session_id: str, known: SessionState, until: EventId, check: bool = False) -> SessionState:
        """The state at a later point, folded from one at an earlier; what did not change is the same in both.

        Args:
            session_id: The session.
            known: The earlier state.
            until: The later point.
            check: As for `state`.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        pages = self._log.pages(session_id, str(known.position), end_at(until))
        first = next(pages)
        if not _begins_at(first, known):
            raise LogForkedError(session_id, known.position)
        checking = IntegrityCheck(self._log, session_id, first[0], known.integrity) if check else None
        folding = PagedFold(session_id, known, self._log.cipher, checking)
        folding.add_all(chain([first[1:]], pages))
        state = folding.state()
        if state.position != until:
            raise LogForkedError(session_id, state.position)
        return state

    def _load(
        self,
        session_id: str,
        until: EventId | None,
        *,
        point: EventId | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> LoadedSnapshot | None:
        try:
            return self._log.snapshots.load(session_id, until, point=point, segment_bytes=segment_bytes)
        except (ServerRefusedError, ValueError) as error:
            raise_diagnosed(error, self._log.store, session_id)

    def from_earlier(self, session_id: str, until: EventId, point: EventId) -> SessionState:
        """The state at a point, from the snapshot's point up to an earlier one; from the log alone if that is `START`.

        Raises:
            LogForkedError: When the session was deleted or replaced while it was read.
        """
        loaded = self._load(session_id, until, point=point, segment_bytes=FEW_BYTES) if point != START else None
        if loaded is None:
            return self.from_log(session_id, until, check=False)
        return self._fold(session_id, until, loaded, check=False).state

    def _refresh(self, session_id: str) -> FoldResult | None:
        """For whoever saves: of what is stored it needs what it stores otherwise, which is little."""
        loaded = self._load(session_id, None, segment_bytes=0)
        return loaded and self._fold(session_id, None, loaded, check=False)

    def _fold(self, session_id: str, until: EventId | None, loaded: LoadedSnapshot, check: bool) -> FoldResult:
        """What a load brought, and what follows; from the log alone if the snapshot cannot be trusted."""
        if loaded.point is None:
            return self._folded(session_id, until, loaded, Restored(initial(), {}), "miss", check)
        try:
            return self._folded(session_id, until, loaded, self._restore(session_id, loaded), "hit", check)
        except DamagedError as error:
            logger.warning("session_id=<%s>, error=<%s> | snapshot dropped", session_id, error)
            self.drop(session_id, error.reason)
        loaded = loaded._replace(listed=b"", point=None)
        return self._folded(session_id, until, loaded, Restored(initial(), {}), "dropped", check)

    def _folded(
        self,
        session_id: str,
        until: EventId | None,
        loaded: LoadedSnapshot,
        restored: Restored,
        use: SnapshotUse,
        check: bool,
    ) -> FoldResult:
        """A state with what follows it."""
        begins = (loaded.entries[0], NOT_CHECKED) if use == "hit" else (None, INTACT)
        checking = IntegrityCheck(self._log, session_id, *begins) if check else None
        folding = PagedFold(session_id, restored.state, self._log.cipher, checking)
        is_dropped, end = use == "dropped", end_at(until)
        pages = self._log.pages(session_id, end=end) if is_dropped else self._pages(session_id, until, loaded)
        folding.add_all(chain([next(pages)[1:]], pages) if use == "hit" else pages, self._settings)
        if use == "hit" and folding.erased and not _all_in(folding.erased, loaded.erased_ranges):
            # The head is no part of the chain, but the record of an erasure is.
            raise OutdatedError("it is from before an erasure")
        state = folding.finish() if until is None else folding.state()
        stored, ends = (restored.digests, restored.stored), (use, folding.may_be_followed)
        return FoldResult(state, folding.states, folding.count, loaded, *stored, *ends)

    def _restore(self, session_id: str, loaded: LoadedSnapshot) -> Restored:
        """What the snapshot holds.

        Raises:
            DamagedError: When it cannot be trusted.
        """
        first = rows(loaded.entries[:1], ())
        if not first or first[0][0] != loaded.point:
            raise OutdatedError(f"event {loaded.point} is not in the log")
        place = SnapshotPlace(self._log.keyspace.namespace, session_id, loaded.point, first[0][4], loaded.erased_ranges)
        fetch = _Fetch(self, session_id, loaded.point, loaded.points)
        return restore(place, loaded.manifest, loaded.segments, fetch, self.authenticator)

    def drop(self, session_id: str, reason: str = "mismatch") -> None:
        """Tell that a snapshot is not taken, and throw it away, if the user may; it is made anew."""
        hooks.tell(SnapshotDropped(reason))
        with suppress(ForbiddenError):
            self._log.snapshots.drop(session_id, self.authenticator.has_key)

    def _pages(self, session_id: str, until: EventId | None, loaded: LoadedSnapshot) -> Iterator[Sequence[RawEntry]]:
        """The pages from where the load began; every one after the first continues the one before."""
        yield loaded.entries
        if loaded.more:
            last = loaded.entries[-1]
            pages = self._log.pages(session_id, last[0].decode(), end_at(until))
            first = next(pages)
            if not first or first[0][0] != last[0]:
                raise LogForkedError(session_id, id_of(last[0]))
            yield from chain([first[1:]], pages)

    def _remembered(self, session_id: str, state: SessionState, may_be_followed: bool) -> SessionState:
        if state.position.revision and may_be_followed:
            self._log.remember(session_id, Position(state.position, state.link))
        return state


class _Fetch:
    """Fetches what a snapshot left out.

    What it does not store is read from the log; from where an earlier point of it stands, if that is early enough.
    """

    def __init__(self, replay: Replay, session_id: str, position: EventId, points: Sequence[EventId]) -> None:
        self._replay, self._session_id, self._position = replay, session_id, position
        self._points = [point for point in points if point < position]
        self._lock, self._state, self._reach = Lock(), initial(), 0

    def segment(self, name: str) -> bytes | None:
        log = self._replay._log
        with diagnosed(log.store, self._session_id):
            return log.snapshots.segment(self._session_id, name)

    def replayed(self, agent_id: str, start: int, end: int) -> Messages:
        with self._lock:
            found = self._found(agent_id)
            while found is None or not found.are_at_hand(start, end):
                self._go_back(1 if found is None else len(found) - start)
                found = self._found(agent_id)
                if self._state.position != self._position or found is None:
                    raise LogForkedError(self._session_id, self._position)
            return found

    def _go_back(self, least: int) -> None:
        """Fold from an earlier point: so many events at least, and twice as far as the last time."""
        here = self._position.revision
        reach = max(2 * self._reach, least)
        point = max((point for point in self._points if point.revision <= here - reach), default=START)
        self._reach = here - point.revision
        self._state = self._replay.from_earlier(self._session_id, self._position, point)

    def _found(self, agent_id: str) -> Messages | None:
        agent = self._state.agents.get(agent_id)
        return agent.messages if agent else None

    def contradicted(self, agent_id: str) -> SessionLogError:
        self._replay.drop(self._session_id)
        return SnapshotMismatchError(self._session_id, self._position, agent_id)


def _is_heard() -> bool:
    """Whether anybody would hear that a session is not what was written: looking costs a tenth of a short resume."""
    return bool(hooks.active) or logger.isEnabledFor(logging.INFO)


def _told(session_id: str, state: SessionState) -> SessionState:
    """Tell who resumes from it whether that is what was written."""
    integrity = state.integrity
    if integrity.is_broken:
        logger.error("session_id=<%s>, problem=<%s> | it is not what was written", session_id, integrity.problem)
    elif state.exists:
        logger.info("session_id=<%s>, integrity=<%s> | resumed", session_id, integrity)
    if hooks.active and state.exists:
        hooks.tell(
            IntegrityChecked("broken" if integrity.is_broken else "intact" if integrity.is_checked else "unchecked")
        )
    return state


def _resumed(started: float, state: SessionState, unsaved: FoldResult | None) -> Resumed:
    if unsaved is None:
        return Resumed(perf_counter() - started, state.revision, 0, "off")
    return Resumed(perf_counter() - started, unsaved.folded, _loaded_bytes(unsaved.loaded), unsaved.snapshot)


def _loaded_bytes(loaded: LoadedSnapshot) -> int:
    return len(loaded.manifest) + sum(map(len, loaded.segments.values())) + entries_bytes(loaded.entries)


def _all_in(revisions: Iterable[int], ranges: str) -> bool:
    """Whether the head's erased ranges, which may say anything, have all of these."""
    try:
        known = Ranges.parse(ranges)
    except ValueError:
        known = Ranges()
    return all(revision in known for revision in revisions)


def _begins_at(entries: Sequence[RawEntry], state: SessionState) -> bool:
    """Whether entries begin with the very event a state ends with: otherwise the log is not what was folded."""
    return [(row[0], row[4]) for row in rows(entries[:1], ())] == [(state.position, state.link)]
