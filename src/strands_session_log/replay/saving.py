"""Saving snapshots in the background, where nobody waits for them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..concurrency import Background
from ..errors import ForbiddenError, SessionLogError
from ..errors.quoting import frames_of
from ..event_log import EventLog
from ..instrumentation import SnapshotSaved, SnapshotUse
from ..instrumentation.hooks import hooks
from ..snapshot import Authenticator, Draft, SnapshotSettings, TooLargeError, Whose, points_to_keep
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
        snapshot: What became of that snapshot.
    """

    state: SessionState
    states: Sequence[SessionState]
    folded: int
    loaded: LoadedSnapshot
    digests: Mapping[str, str]
    snapshot: SnapshotUse


class SnapshotWriter:
    """Saves snapshots, in a thread of its own, once enough has happened.

    Args:
        log: Where to.
        settings: When, and how.
        authenticator: Seals them.
        fold: Folds the newest state of a session; None if there is no such session.
    """

    def __init__(
        self,
        log: EventLog,
        settings: SnapshotSettings,
        authenticator: Authenticator,
        fold: Callable[[str], FoldResult | None],
    ) -> None:
        # A snapshot is never worth waiting for.
        self._cache = SnapshotStore(log.store.with_retry_for(0))
        self._settings, self._authenticator, self._fold = settings, authenticator, fold
        self._namespace = log.keyspace.namespace
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._background = Background("snapshots")
        self._may_save = True
        self.saved_bytes = 0
        self.settle, self.close = self._background.settle, self._background.close

    def appended(self, session_id: str, revision: int) -> None:
        """Note that a session has grown; save when it has grown enough."""
        last = self._seen.get(session_id)
        if last is None or revision < last:
            self._watch(session_id, revision)
        elif revision - last >= self._settings.threshold:
            self._watch(session_id, revision)
            self._submit(session_id, lambda: self._fold(session_id))

    def consider(self, session_id: str, unsaved: FoldResult) -> None:
        """Save a state if many events had to be folded for it."""
        if unsaved.folded < self._settings.threshold:
            self._watch(session_id, unsaved.state.revision - unsaved.folded)
        else:
            self._watch(session_id, unsaved.state.revision)
            self._submit(session_id, lambda: unsaved)

    def _watch(self, session_id: str, revision: int) -> None:
        self._seen.pop(session_id, None)
        self._seen[session_id] = revision
        while len(self._seen) > _WATCHED:
            self._seen.popitem(last=False)

    def _submit(self, session_id: str, fold: Callable[[], FoldResult | None]) -> None:
        if self._may_save:
            self._background.submit(session_id, lambda: self._save(session_id, fold))

    def _save(self, session_id: str, fold: Callable[[], FoldResult | None]) -> None:
        try:
            self._write(session_id, fold())
        except ForbiddenError as error:
            # A user who may only read: every attempt would stand in the server's ACL LOG.
            self._may_save = False
            logger.info("error=<%s> | no snapshots are saved", error)
        except SessionLogError as error:
            logger.debug("session_id=<%s>, error=<%s> | snapshot not saved", session_id, error)
        except Exception as error:
            logger.warning("session_id=<%s>, error=<%s> | snapshot not saved", session_id, frames_of(error))

    def _write(self, session_id: str, unsaved: FoldResult | None) -> None:
        if unsaved is None or not unsaved.folded:
            return
        save = self._drafted(session_id, unsaved) or self._drafted(session_id, unsaved._replace(states=()))
        if save is None:
            logger.warning("session_id=<%s> | too large for a snapshot", session_id)
        elif self._cache.save(session_id, save):
            self.saved_bytes += save.size
            hooks.tell(SnapshotSaved(save.size))

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
        save = SnapshotWrite(loaded.erased, loaded.listed, points, added, draft.segments, has_key)
        return save if save.size <= _MAX_BYTES else None
