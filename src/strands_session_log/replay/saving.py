"""Saving snapshots in the background, where nobody waits for them: once the next resume would be worth it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..codec import Encoded
from ..concurrency import Background
from ..errors import ForbiddenError, SessionLogError
from ..errors.quoting import frames_of
from ..event_log import EventLog
from ..events import Event
from ..instrumentation import SnapshotSaved, SnapshotUse
from ..instrumentation.hooks import hooks
from ..snapshot import (
    Authenticator,
    Cost,
    Draft,
    Estimate,
    SnapshotSettings,
    TooLargeError,
    Whose,
    cost,
    points_to_keep,
)
from ..snapshot.store import LoadedSnapshot, SnapshotPoint, SnapshotStore, SnapshotWrite
from ..state import SessionState

logger = logging.getLogger(__name__)

_MAX_BYTES = 32 * 1024 * 1024
"""A script call writes it all at once, and the server does nothing else meanwhile."""
_WATCHED = 4096


class FoldResult(NamedTuple):
    """A state, and what is needed to save it.

    Attributes:
        state: The state.
        states: States of the past that were met on the way.
        folded: How many events were folded for it.
        loaded: What it was folded from.
        digests: Digests of the segments its snapshot has, by name.
        stored: How many messages these have.
        snapshot: What became of that snapshot.
        may_be_followed: Whether an append may follow it, see `Cipher.may_follow`.
    """

    state: SessionState
    states: Sequence[SessionState]
    folded: int
    loaded: LoadedSnapshot
    digests: Mapping[str, str]
    stored: int
    snapshot: SnapshotUse
    may_be_followed: bool

    def cost(self, settings: SnapshotSettings) -> Cost:
        """What the next resume costs if no snapshot is saved."""
        return cost(self.stored, self.folded, self.state, settings)


class SnapshotWriter:
    """Saves snapshots, in a thread of its own, where the next resume would load much more than it had to.

    Args:
        log: Where to.
        settings: When, and how.
        authenticator: Seals them.
        fold: Folds the newest state of a session, without its stored segments; None if there is no such session.
    """

    def __init__(
        self,
        log: EventLog,
        settings: SnapshotSettings,
        authenticator: Authenticator,
        fold: Callable[[str], FoldResult | None],
    ) -> None:
        # A snapshot is never worth waiting for.
        self._cache = SnapshotStore(log.store.with_retry_for(0), log.cipher)
        self._settings, self._authenticator, self._fold = settings, authenticator, fold
        self._namespace = log.keyspace.namespace
        self._estimates: OrderedDict[str, Estimate] = OrderedDict()
        self._background = Background("snapshots")
        self._may_save = True
        self.saved_bytes = 0
        self.settle, self.close = self._background.settle, self._background.close

    def appended(self, session_id: str, revision: int, happened: Sequence[Event | Encoded]) -> None:
        """Note that a session has grown; save when it has grown enough, or what agents hold has shrunk enough."""
        known = self._estimates.get(session_id)
        if not happened:
            # It was forked, or something was erased: it has no snapshot.
            self._watch(session_id, Estimate(0, 0))
        elif known is None or revision < known.revision:
            self._watch(session_id, Estimate(revision, stored=revision))
        elif revision - known.revision >= self._settings.threshold or known.is_outdated_by(
            happened, revision, self._settings
        ):
            self._watch(session_id, Estimate(revision, stored=0))
            self._submit(session_id, lambda: self._look(session_id))

    def consider(self, session_id: str, unsaved: FoldResult) -> None:
        """Save a state if the next resume would load much more than it had to."""
        found = unsaved.cost(self._settings)
        if found.is_too_much(self._settings):
            self._watch(session_id, Estimate(unsaved.state.revision, stored=0))
            self._submit(session_id, lambda: self._write(session_id, unsaved))
        else:
            self._watch(session_id, _estimate(unsaved, found))

    def _look(self, session_id: str) -> None:
        unsaved = self._fold(session_id)
        if unsaved is None:
            return
        found = unsaved.cost(self._settings)
        if found.is_too_much(self._settings):
            self._write(session_id, unsaved)
        else:
            self._know(session_id, _estimate(unsaved, found))

    def _watch(self, session_id: str, estimate: Estimate) -> None:
        self._estimates.pop(session_id, None)
        self._estimates[session_id] = estimate
        while len(self._estimates) > _WATCHED:
            self._estimates.popitem(last=False)

    def _know(self, session_id: str, estimate: Estimate) -> None:
        """Put what was found in place of what was guessed, and look again if that was overtaken meanwhile."""
        guessed = self._estimates.get(session_id)
        if guessed is None:
            return
        self._estimates[session_id] = estimate
        if estimate.is_outdated_after(guessed, self._settings):
            self._submit(session_id, lambda: self._look(session_id))

    def _submit(self, session_id: str, save: Callable[[], None]) -> None:
        if self._may_save:
            self._background.submit(session_id, lambda: self._try(session_id, save))

    def _try(self, session_id: str, save: Callable[[], None]) -> None:
        try:
            save()
        except ForbiddenError as error:
            # A user who may only read: every attempt would stand in the server's ACL LOG.
            self._may_save = False
            logger.info("error=<%s> | no snapshots are saved", error)
        except SessionLogError as error:
            logger.debug("session_id=<%s>, error=<%s> | snapshot not saved", session_id, error)
        except Exception as error:
            logger.warning("session_id=<%s>, error=<%s> | snapshot not saved", session_id, frames_of(error))

    def _write(self, session_id: str, unsaved: FoldResult) -> None:
        save = self._drafted(session_id, unsaved) or self._drafted(session_id, unsaved._replace(states=()))
        if save is None:
            logger.warning("session_id=<%s> | too large for a snapshot", session_id)
        elif self._cache.save(session_id, save):
            self.saved_bytes += save.size
            hooks.tell(SnapshotSaved(save.size))
            self._know(session_id, Estimate(unsaved.state.revision, save.stored, unsaved.state, save.stored))

    def _drafted(self, session_id: str, unsaved: FoldResult) -> SnapshotWrite | None:
        """Lay out the points that are new and worth keeping; None if that is too much at once."""
        loaded, settings = unsaved.loaded, self._settings
        known = loaded.points
        found = {state.position: state for state in (*unsaved.states, unsaved.state)}
        points = points_to_keep([*known, *found], settings)
        draft = Draft(
            Whose(self._namespace, session_id, loaded.erased_ranges), unsaved.digests, settings, self._authenticator
        )
        try:
            added = [
                SnapshotPoint(point, found[point].link, *draft.add(found[point]))
                for point in points
                if point in found and point not in known
            ]
        except TooLargeError:
            return None
        has_key = self._authenticator.has_key
        save = SnapshotWrite(loaded.erased, loaded.listed, points, added, draft.segments, has_key, draft.stored)
        return save if save.size <= _MAX_BYTES else None


def _estimate(unsaved: FoldResult, found: Cost) -> Estimate:
    return Estimate(unsaved.state.revision - unsaved.folded, unsaved.stored, unsaved.state, found.least)
