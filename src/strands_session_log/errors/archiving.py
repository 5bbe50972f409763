"""What keeps sessions from going to an archive, or from coming back."""

from __future__ import annotations

from collections.abc import Sequence

from .base import SessionLogError


class ArchiveUnavailableError(SessionLogError):
    """An archive cannot be reached, or does not do what it was asked to; nothing was lost.

    Attributes:
        where: Which archive, or what of it.
        doing: What was to be done.
        reason: What it says.
    """

    def __init__(self, where: str, doing: str, reason: str) -> None:
        self.where, self.doing, self.reason = where, doing, reason
        super().__init__(f"the archive cannot {doing}: {where}: {reason}. Check that it can be reached, and its rights")


class ArchivedSessionMissingError(SessionLogError, LookupError):
    """The session was archived and dropped, and the archive does not have it.

    Attributes:
        session_id: The session.
        archived: Where its tombstone says that it is.
    """

    def __init__(self, session_id: str, archived: str) -> None:
        self.session_id, self.archived = session_id, archived
        super().__init__(
            f"session {session_id!r} was archived as {archived}, and this archive does not have it. Open the archive "
            "it went to, or delete its tombstone's session for good with `session-log archived SESSION --forget`"
        )


class ArchivedCopyError(SessionLogError):
    """What stands in an archive is not what was to be written there, or cannot be used.

    Attributes:
        where: What of the archive.
        reason: What is wrong.
    """

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where} cannot be used: {reason}")


class ForksRemainError(SessionLogError):
    """A session was to be dropped from which others were made that are still there.

    What is erased in a session is erased in its forks, which only its head names.

    Attributes:
        session_id: The session.
        forks: Those others.
    """

    def __init__(self, session_id: str, forks: Sequence[str]) -> None:
        self.session_id, self.forks = session_id, tuple(forks)
        listed = ", ".join(map(repr, self.forks[:3])) + (f" and {len(forks) - 3:,} more" if len(forks) > 3 else "")
        super().__init__(
            f"session {session_id!r} stays, since what is erased in it must be erased in its forks: {listed}. "
            "It can be dropped once these are deleted"
        )
