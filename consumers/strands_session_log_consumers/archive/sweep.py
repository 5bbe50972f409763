"""One pass over a log: which sessions are to be archived, and what of the archive is to follow the log.

There is no consumer group: the directory of sessions is the very index that is asked for, by last activity; a pass that
did not come to its end is made up for by the next one; and a group would keep the feed from being trimmed while no
archiver runs. See docs/adr/0051.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from strands_session_log import EventId, SessionInfo, SessionLog
from strands_session_log.errors import (
    ArchivedCopyError,
    ArchiveUnavailableError,
    ForbiddenError,
    ServerUnavailableError,
    SessionLogError,
)

from .archiver import Archived, Archiver, Outcome
from .bundles import ArchiveContents, ArchivedBundles
from .checking import described
from .records import ArchivedName, hash_of
from .settings import ArchiveSettings

logger = logging.getLogger(__name__)

_PAGE = 1_000
_MOST_FAILURES = 3
"""So many in a row that the archive refuses are no matter of one session."""
_ERASING = ("payload.erased", "message.redacted")


class Sweep:
    """One pass.

    Args:
        log: The log.
        archive: Where to.
        settings: What is archived, and what is dropped.
        is_stopped: Whether it is to end: after the session that is being archived.
    """

    def __init__(
        self,
        log: SessionLog,
        archive: ArchivedBundles,
        settings: ArchiveSettings,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._log, self._archive, self._settings, self._is_stopped = log, archive, settings, is_stopped
        self._archiver = Archiver(log, archive, settings.by)
        self._there, self._failed = ArchiveContents({}, {}, []), 0

    def run(self, dry_run: bool = False) -> Iterator[Archived]:
        """Archive what is due, session by session; what became of each that something is told of.

        Args:
            dry_run: Write nothing; the outcome is what it would be.

        Raises:
            ArchiveUnavailableError: When the archive cannot be reached.
            ServerUnavailableError: When the server cannot.
        """
        self._archive.is_locked(self._log.namespace)
        self._there = self._archive.contents(self._log.namespace)
        self._remove_unfinished(dry_run)
        for found in (self._idle(), self._erased_since()):
            for info, drop in found:
                if self._is_stopped():
                    return
                if dry_run:
                    yield Archived(info.session_id, Outcome.DROPPED if drop else Outcome.ARCHIVED)
                else:
                    yield self._archived(info.session_id, drop)
        for name, session_id in self._deleted_since():
            if self._is_stopped():
                return
            if dry_run or self._archive.forget(self._log.namespace, name):
                yield Archived(session_id, Outcome.FORGOTTEN, removed=1)

    def _archived(self, session_id: str, drop: bool) -> Archived:
        """One that fails keeps no other; an archive, or a server, that is away ends the sweep."""
        try:
            found = self._archiver.archive(session_id, drop=drop)
        except (ServerUnavailableError, ForbiddenError):
            raise
        except SessionLogError as error:
            self._failed += isinstance(error, ArchiveUnavailableError)
            if self._failed >= _MOST_FAILURES:
                raise
            return Archived(session_id, Outcome.FAILED, why=str(error))
        self._failed = 0
        return found

    def _idle(self) -> Iterator[tuple[SessionInfo, bool]]:
        """Sessions that are due, and whether they are to be dropped; none where nothing is to be done."""
        settings = self._settings
        droppable = self._log.resolve("-", f"-{settings.idle_before_drop:.3f}s").ms
        for info in self._pages(until=f"-{settings.idle:.3f}s", labels=settings.labels or None):
            if info.ttl is not None:
                # It is to be gone then; in an archive it would stay.
                continue
            drop = settings.drop and _ms(info) <= droppable
            if drop or not self._has(info):
                yield info, drop

    def _erased_since(self) -> Iterator[tuple[SessionInfo, bool]]:
        """Sessions that are archived and have moved, and in which something was erased since: it goes there, too."""
        if not (self._there.names or self._there.left):
            return
        for info in self._pages():
            name = hash_of(info.session_id)
            names = self._there.names.get(name) or self._there.left.get(name)
            if not names or self._has(info):
                continue
            newest = max(names).at
            try:
                if next(self._log.read(info.session_id, after=newest, types=_ERASING), None) is not None:
                    yield info, False
            except SessionLogError as error:
                logger.warning("session_id=<%s>, error=<%s> | what was erased cannot be told", info.session_id, error)

    def _deleted_since(self) -> Iterator[tuple[ArchivedName, str]]:
        """Bundles of sessions that were deleted for good."""
        if not (self._there.names or self._there.left):
            return
        for tombstone in self._log.tombstones():
            # One that was reduced has the very hash in place of the id.
            hashes = hash_of(tombstone.session_id), tombstone.session_id.removeprefix("sha256:")
            names = () if tombstone.archived else [name for one in hashes for name in self._all_of(one)]
            for name in names:
                if self._first_link(name) == tombstone.first_link:
                    yield name, tombstone.session_id

    def _all_of(self, session_hash: str) -> list[ArchivedName]:
        """Also what came to no record: its content is there."""
        return [*self._there.names.get(session_hash, ()), *self._there.left.get(session_hash, ())]

    def _remove_unfinished(self, dry_run: bool) -> None:
        for file in () if dry_run else self._there.unfinished:
            try:
                self._archive.remove_unfinished(self._log.namespace, file)
            except ArchiveUnavailableError as error:
                logger.warning("error=<%s> | what was not finished stays", error)

    def _first_link(self, name: ArchivedName) -> str:
        record = self._archive.record(self._log.namespace, name)
        if record is not None:
            return record.first_link
        file = self._archive.read_bundle(self._log.namespace, name)
        if file is None:
            return ""
        with file:
            try:
                return described(file, name.bundle).first_link
            except ArchivedCopyError as error:
                logger.warning("bundle=<%s>, error=<%s> | whose it is cannot be told", name.bundle, error)
                return ""

    def _has(self, info: SessionInfo) -> bool:
        at = EventId(_ms(info), info.revision)
        return any(name.at == at for name in self._there.names.get(hash_of(info.session_id), ()))

    def _pages(self, **wanted: object) -> Iterator[SessionInfo]:
        """Those first that were active longest ago; what is archived meanwhile does not come again."""
        before: SessionInfo | None = None
        while page := self._log.sessions(_PAGE, before, ascending=True, **wanted):  # type: ignore[arg-type]
            yield from page
            before = page[-1]


def _ms(info: SessionInfo) -> int:
    return round(info.last_event_at.timestamp() * 1000)
