"""What a writer is told whom another has come before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .base import SessionLogError

if TYPE_CHECKING:
    from ..ids import EventId


class ConcurrentWriteError(SessionLogError):
    """Another writer got there first; nothing was written.

    Attributes:
        session_id: The session appended to.
        expected: What the writer believed, for example `{"agent": "default", "revision": 12}`.
        actual: What the log holds, with the same keys.
    """

    def __init__(self, session_id: str, expected: Mapping[str, object], actual: Mapping[str, object]) -> None:
        self.session_id, self.expected, self.actual = session_id, dict(expected), dict(actual)
        super().__init__(
            f"session {session_id!r} was written by someone else: expected {_words(expected)}, found "
            f"{_words(actual)}; nothing was written. Resume from the session and try again"
        )


class SessionLostError(ConcurrentWriteError):
    """The session that the writer goes on with is not on the server any more; nothing was written.

    Attributes:
        session_id: The session appended to.
        expected: What the writer believed of it.
        actual: What the log holds: nothing.
    """

    def __init__(self, session_id: str, expected: Mapping[str, object]) -> None:
        self.session_id, self.expected, self.actual = session_id, dict(expected), {}
        SessionLogError.__init__(
            self,
            f"session {session_id!r} is not on the server any more: it was deleted, or lost with the server's data "
            f"(expected {_words(expected)}); nothing was written. Restore it, or begin a new session",
        )


class AlreadyAnsweredError(ConcurrentWriteError):
    """Another call goes on from the interrupts of this agent, and nobody knows of its end; nothing was done.

    Attributes:
        session_id: The session.
        agent: The agent.
        interrupts: The ids of the interrupts that were answered.
        at: The event with which that call took the answers.
        waiting: The event at which the agent waited for them.
    """

    def __init__(self, session_id: str, agent: str, interrupts: Sequence[str], at: EventId, waiting: str) -> None:
        self.session_id, self.agent, self.interrupts, self.at = session_id, agent, tuple(interrupts), at
        self.waiting = waiting
        self.expected, self.actual = {"agent": agent, "answers": "none"}, {"agent": agent, "answers": str(at)}
        SessionLogError.__init__(
            self,
            f"agent {agent!r} of session {session_id!r} goes on from the answers it was given at event {at} already; "
            f"nothing was done. If that call is no more, rewind to {waiting} and answer again; what its tools did "
            "before it ended, they may do once more",
        )


class SessionHeldError(SessionLogError):
    """The session is held: nothing of it is erased, and it is not deleted.

    Attributes:
        session_id: The session.
        holds: The events that hold it; none where its head is lost, and only the list of holds knows.
    """

    def __init__(self, session_id: str, holds: Sequence[EventId]) -> None:
        self.session_id = session_id
        self.holds: tuple[EventId, ...] = tuple(holds)
        since = f" by event {_listed(holds)}" if holds else ""
        super().__init__(
            f"session {session_id!r} is held{since}: nothing of it is erased, and it is not deleted. "
            "Who may end a hold does so with log.retention.release"
        )


class SessionNotHeldError(SessionLogError, LookupError):
    """A hold is to be ended that is not in force; nothing was written.

    Attributes:
        session_id: The session.
        asked: The events that were to begin the holds; none where all were meant.
        holds: Those that do hold it.
    """

    def __init__(self, session_id: str, asked: Sequence[EventId], holds: Sequence[EventId]) -> None:
        self.session_id = session_id
        self.asked: tuple[EventId, ...] = tuple(asked)
        self.holds: tuple[EventId, ...] = tuple(holds)
        by = f" by event {_listed(asked)}" if asked else ""
        instead = f"; it is by event {_listed(holds)}" if holds else ""
        super().__init__(f"session {session_id!r} is not held{by}{instead}")


class EventOrderError(SessionLogError):
    """Some events of a batch are in the session, but not those before them: appended, they would stand behind.

    Attributes:
        session_id: The session appended to.
        standing: Of each event of the batch its event id, and where it stands; None where it does not.
    """

    def __init__(self, session_id: str, standing: Sequence[tuple[str, EventId | None]]) -> None:
        self.session_id = session_id
        self.standing: tuple[tuple[str, EventId | None], ...] = tuple(standing)
        there = ", ".join(f"{event_id} {f'at {at}' if at else 'not there'}" for event_id, at in standing)
        super().__init__(
            f"session {session_id!r} has events of this batch in another order: {there}; nothing was written. Append "
            "those that it does not have as a batch of their own"
        )


def _listed(ids: Sequence[EventId]) -> str:
    return ", ".join(map(str, ids))


def _words(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in fields.items())


class RunInProgressError(SessionLogError):
    """Another run of the session is in progress; this one did not begin.

    Attributes:
        session_id: The session.
        run_id: The run that is in progress.
    """

    def __init__(self, session_id: str, run_id: str) -> None:
        self.session_id, self.run_id = session_id, run_id
        super().__init__(
            f"run {run_id!r} of session {session_id!r} is in progress: wait until it has ended, or stop it with "
            "SessionRuns(log, session_id).stop()"
        )


class RunLeaseLostError(SessionLogError):
    """The lease of a run is not its holder's any more: it ran out, or the session was deleted.

    Attributes:
        session_id: The session.
        run_id: The run whose lease it was.
    """

    def __init__(self, session_id: str, run_id: str) -> None:
        self.session_id, self.run_id = session_id, run_id
        super().__init__(
            f"the lease of run {run_id!r} of session {session_id!r} is lost: it was not renewed in time, or the "
            "session was deleted; end the run, others may have begun another"
        )
