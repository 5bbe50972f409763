"""What is not what was written: replaced, lost, or changed by somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import SessionLogError
from .server import ServerRefusedError

if TYPE_CHECKING:
    from ..feed import FeedId
    from ..ids import EventId


class LogForkedError(SessionLogError):
    """What was read before is not history any more: deleted, or lost in a failover and replaced by something else.

    Attributes:
        session_id: The session; of the feed, that of the event read last; empty where that is not known.
        position: The event read last, of revision 0 if none was. Of the feed, where its session is not known, the place
            in it.
    """

    def __init__(self, session_id: str, position: EventId | FeedId) -> None:
        self.session_id, self.position = session_id, position
        what = f"the history of session {session_id!r}" if session_id else "the feed"
        super().__init__(f"{what} was replaced; it no longer holds all that was read up to {position}")


class SessionDeletedError(LogForkedError):
    """The session that was followed is not there any more: deleted, or lost with the server's data."""

    def __init__(self, session_id: str, position: EventId | FeedId) -> None:
        self.session_id, self.position = session_id, position
        SessionLogError.__init__(
            self,
            f"session {session_id!r} was deleted, or lost with the server's data, after {position} was read",
        )


class SessionBrokenError(SessionLogError):
    """The session is not what was written, and `verify_on_resume` refuses to go on from it.

    Attributes:
        session_id: The session.
        problem: The first thing that is wrong with it; `verify` names all.
        at: The event it is about; None where it is about no single one.
    """

    def __init__(self, session_id: str, problem: str, at: EventId | None = None) -> None:
        self.session_id, self.problem, self.at = session_id, problem, at
        super().__init__(
            f"session {session_id!r} is not what was written: {problem}. `session-log verify` names all problems; "
            "restore the session, or resume without verify_on_resume"
        )


class SnapshotMismatchError(SessionLogError):
    """A snapshot counted other messages than the log has, which showed only when they were asked for.

    Attributes:
        session_id: The session.
        position: The event of which the snapshot was.
        agent_id: Whose messages.
    """

    def __init__(self, session_id: str, position: EventId, agent_id: str) -> None:
        self.session_id, self.position, self.agent_id = session_id, position, agent_id
        super().__init__(
            f"the snapshot of session {session_id!r} at event {position} has other messages of agent {agent_id!r} than "
            "the log; it is dropped, so that reading the session again reads the log"
        )


class CorruptEntryError(SessionLogError):
    """A stream entry that does not have the shape this library writes.

    Attributes:
        entry_id: The entry, as its stream names it; of a parked event its `parked_id`.
        reason: What is wrong with it.
    """

    def __init__(self, entry_id: str, reason: str) -> None:
        self.entry_id, self.reason = entry_id, reason
        super().__init__(f"entry {entry_id} cannot be read: {reason}")


class CorruptKeyError(SessionLogError):
    """A key that does not hold what this library writes there: of another type, or with a value that is none.

    Attributes:
        key: The key.
        reason: What is wrong with it.
        cure: What to do about it.
    """

    def __init__(self, key: str, reason: str, cure: str) -> None:
        self.key, self.reason, self.cure = key, reason, cure
        SessionLogError.__init__(self, f"the key {key!r} cannot be used: {reason}; {cure}")


class WrongTypeError(CorruptKeyError, ServerRefusedError):
    """A key of another type than this library gives it: the server refuses all that is asked of it."""

    is_wrong_type = True

    def __init__(self, key: str, found: str, expected: str, cure: str) -> None:
        self.found, self.expected = found, expected
        CorruptKeyError.__init__(self, key, f"it is a {found}, not a {expected}", cure)
