"""Sessions that go to an archive, and come back from it: what of that is the log's part, whatever the archive is.

See docs/adr/0051.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..errors import (
    ArchivedSessionMissingError,
    ConcurrentWriteError,
    ForksRemainError,
    InvalidSettingError,
    SessionNotFoundError,
)
from ..event_log import Progress
from ..event_log.chained_batch import Position
from ..event_log.dropper import Dropper
from ..ids import EventId

if TYPE_CHECKING:
    from .log import SessionLog


class Archive(Protocol):
    """Where sessions are that are not on the server any more."""

    def open_bundle(self, namespace: str, session_id: str, link: str | None = None) -> BinaryIO | None:
        """Open the evidence bundle of a session for reading; who opens it closes it.

        Args:
            namespace: That of the log.
            session_id: The session.
            link: The last link of the session that is wanted; None for the newest there is.

        Returns:
            The bundle, of which nothing is checked; None if the archive has none.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """


@dataclass(frozen=True, slots=True)
class ArchivedCopy:
    """What an archive has of a session.

    Attributes:
        session_id: The session.
        at: The last event that it has.
        link: The hash chain there.
        first_link: The hash chain at the first event: it tells one life of the id from another.
        subjects: Whom it is about, by keyed hash, with `~` before it where only some events are; None if nobody knows.
        is_encrypted: Whether all content of it is encrypted.
        where: Where it is, for people.
    """

    session_id: str
    at: EventId
    link: str
    first_link: str
    subjects: tuple[str, ...] | None
    is_encrypted: bool
    where: str


class SearchableArchive(Archive, Protocol):
    """An archive in which what is about a person can be found and erased."""

    def copies(self, namespace: str) -> Iterable[ArchivedCopy]:
        """The newest copy of each session that it has.

        Raises:
            ArchiveUnavailableError: When it cannot be asked.
        """

    def is_locked(self, namespace: str) -> bool:
        """Whether nothing that it has can be removed or replaced."""

    def renew(self, log: SessionLog, session_id: str, *, drop: bool, by: str) -> str:
        """Archive a session as it stands on the server, and remove what it had of it before.

        Args:
            log: Where the session is.
            session_id: The session.
            drop: Whether it is removed from the server then, if nothing speaks against it.
            by: Who does.

        Returns:
            Why what it had before is not gone; empty if it is.
        """

    def remove(self, namespace: str, copy: ArchivedCopy) -> bool:
        """Remove all that it has of a session; whether that is gone, and not only counts no more."""


def check_archive(archive: Archive | None) -> Archive | None:
    """Accept what can open bundles.

    Raises:
        InvalidSettingError: When it cannot.
    """
    if archive is not None and not callable(getattr(archive, "open_bundle", None)):
        raise InvalidSettingError("archive", archive, "give an Archive, such as SessionArchive(url)")
    return archive


def restore_archived(
    log: SessionLog,
    session_id: str,
    archive: Archive | None = None,
    progress: Progress = lambda done, total: None,
) -> bool:
    """Bring a session back from an archive, as it stood when it was dropped; a session that is there stays as it is.

    Processes that do so at the same time bring it back once. The archive keeps its copy.

    Args:
        log: Where to.
        session_id: The session.
        archive: The archive, if it is not the log's.
        progress: Called with how many events are copied, and of how many.

    Returns:
        Whether the archive has it; not where the session was deleted for good since.

    Raises:
        ArchiveUnavailableError: When the archive cannot be asked; and what `SessionLog.import_` raises.
        ArchivedSessionMissingError: When it was dropped for the sake of a bundle that the archive does not have.
        InvalidSettingError: When there is no archive.
    """
    source = archive or log.archive
    if source is None:
        raise InvalidSettingError("archive", None, "give an Archive, here or to SessionLog")
    lives = [*log.tombstones(session_id)]
    if lives and not lives[-1].archived:
        return False
    bundle = source.open_bundle(log.namespace, session_id, lives[-1].link if lives else None)
    if bundle is None:
        if lives and log._events.head(session_id) is None:
            raise ArchivedSessionMissingError(session_id, lives[-1].archived)
        return False
    with bundle:
        log.import_(bundle, sessions=[session_id], progress=progress)
    return True


def drop_archived(log: SessionLog, session_id: str, at: EventId, link: str, archived: str, by: str = "") -> None:
    """Remove a session from the server that an archive has; its tombstone says where it is.

    Args:
        log: Where the session is.
        session_id: The session.
        at: Its last event, as the archive has it.
        link: The hash chain there.
        archived: Where the archive has it: no content.
        by: Who archives it.

    Raises:
        ConcurrentWriteError: When it has moved since; it stays.
        ForksRemainError: When others were made of it that are there, or archived; it stays.
        SessionHeldError: When it is held; it stays.
        SessionNotFoundError: When there is no such session.
    """
    told, forks = _dropper(log).forks(session_id)
    check_forks(log, session_id, forks)
    dropped = _dropper(log).drop(session_id, Position(at, link), told, archived, by)
    if dropped is None:
        raise SessionNotFoundError(session_id)
    if not dropped:
        stands = log._events.head(session_id)
        actual = {} if stands is None else {"event": str(stands.id), "link": stands.link}
        raise ConcurrentWriteError(session_id, {"event": str(at), "link": link}, actual)


def check_forks(log: SessionLog, session_id: str, forks: Sequence[str] | None = None) -> None:
    """Refuse a session that may not be dropped for the sake of others that were made of it.

    Args:
        log: Where the session is.
        session_id: The session.
        forks: Those, if they are known.

    Raises:
        ForksRemainError: When one of them is there, or archived.
    """
    known = _dropper(log).forks(session_id)[1] if forks is None else forks
    if remaining := [name for name in known if _is_kept(log, name)]:
        raise ForksRemainError(session_id, remaining)


def forget_archived(log: SessionLog, session_id: str, reason: str = "", by: str = "") -> int:
    """Note that what an archive had of a session is deleted for good: nothing is brought back any more.

    Args:
        log: Where the session was.
        session_id: The session.
        reason: Why, for the tombstone.
        by: Who deletes it, for the tombstone.

    Returns:
        How many tombstones said that an archive has it.
    """
    return _dropper(log).delete_for_good(session_id, reason, by)


def _dropper(log: SessionLog) -> Dropper:
    return Dropper(log._events.store, log._events.restorer.tombstones)


def _is_kept(log: SessionLog, session_id: str) -> bool:
    """Whether it is there, or in an archive."""
    if log._events.head(session_id) is not None:
        return True
    lives = [*log.tombstones(session_id)]
    return bool(lives and lives[-1].archived)
