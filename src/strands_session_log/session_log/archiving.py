"""Sessions that go to an archive, and come back from it: what of that is the log's part, whatever the archive is.

See docs/adr/0051.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..errors import ConcurrentWriteError, ForksRemainError, SessionNotFoundError
from ..event_log.chained_batch import Position

if TYPE_CHECKING:
    from ..ids import EventId
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
        SessionNotFoundError: When there is no such session.
    """
    told, forks = log._events.forks(session_id)
    if remaining := [name for name in forks if _is_kept(log, name)]:
        raise ForksRemainError(session_id, remaining)
    dropped = log._events.drop(session_id, Position(at, link), told, archived, by)
    if dropped is None:
        raise SessionNotFoundError(session_id)
    if not dropped:
        stands = log._events.head(session_id)
        actual = {} if stands is None else {"event": str(stands.id), "link": stands.link}
        raise ConcurrentWriteError(session_id, {"event": str(at), "link": link}, actual)


def _is_kept(log: SessionLog, session_id: str) -> bool:
    """Whether it is there, or in an archive."""
    if log._events.head(session_id) is not None:
        return True
    lives = [*log.tombstones(session_id)]
    return bool(lives and lives[-1].archived)
