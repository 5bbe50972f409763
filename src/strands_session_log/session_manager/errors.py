"""Errors as Strands' callers expect them: a `SessionException` with its cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from strands.types.exceptions import SessionException

from .. import errors

T = TypeVar("T")

_UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Strands and the codec raise where a record has another shape than theirs."""


class AgentConflictError(errors.ConcurrentWriteError, SessionException):
    """Another process wrote this agent's session meanwhile; nothing was written."""


class AgentSessionLostError(errors.SessionLostError, AgentConflictError):
    """The agent's session is not on the server any more; nothing was written."""


class AgentAnsweredError(errors.AlreadyAnsweredError, AgentConflictError):
    """Another call goes on from the interrupts of this agent; nothing was done."""


class AgentSessionBrokenError(errors.SessionBrokenError, SessionException):
    """The session is not what was written, and no agent is to go on from it."""


class RestoreError(SessionException, ValueError):
    """What the session holds cannot be restored: it has another shape, or belongs to an agent that is set up otherwise.

    Attributes:
        what: What cannot be restored, and where it stands.
        reason: Why.
    """

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what} cannot be restored: {reason}; `session-log show` tells what the session holds")


def restored(what: str, make: Callable[[], T]) -> T:
    """Let what Strands raises about a record say which.

    Args:
        what: What is restored.
        make: Restores it.

    Raises:
        RestoreError: When it does not have the shape Strands expects.
        SessionException: When it cannot be read.
    """
    try:
        return make()
    except SessionException:
        raise
    except errors.SessionLogError as error:
        raise_for_callers(error)
    except _UNFIT as error:
        raise RestoreError(what, f"{type(error).__name__}: {error}") from error


def raise_for_callers(error: errors.SessionLogError) -> NoReturn:
    """Let a failure of the log surface as a `SessionException`; a bad id stays the `ValueError` it is."""
    match error:
        case SessionException() | errors.InvalidIdError():
            raise error
        case errors.SessionLostError():
            raise AgentSessionLostError(error.session_id, error.expected) from error
        case errors.AlreadyAnsweredError(agent=agent, interrupts=ids, at=at):
            raise AgentAnsweredError(error.session_id, agent, ids, at, error.waiting) from error
        case errors.ConcurrentWriteError():
            raise AgentConflictError(error.session_id, error.expected, error.actual) from error
        case errors.SessionBrokenError():
            raise AgentSessionBrokenError(error.session_id, error.problem, error.at) from error
    raise SessionException(str(error)) from error


class _SessionExceptions:
    """Does so for all that is called within."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, errors.SessionLogError):
            raise_for_callers(error)


session_exceptions = _SessionExceptions()
