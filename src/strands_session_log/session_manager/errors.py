"""Errors as Strands' callers expect them: a `SessionException` with its cause."""

from __future__ import annotations

from strands.types.exceptions import SessionException

from .. import errors


class ConcurrentWriteError(errors.ConcurrentWriteError, SessionException):
    """Another process wrote this agent's session meanwhile; nothing was written."""


class SessionLostError(errors.SessionLostError, ConcurrentWriteError):
    """The agent's session is not on the server any more; nothing was written."""


class SessionBrokenError(errors.SessionBrokenError, SessionException):
    """The session is not what was written, and no agent is to go on from it."""


class _SessionExceptions:
    """See `session_exceptions`."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        match error:
            case None | SessionException() | errors.InvalidIdError():
                return
            case errors.SessionLostError():
                raise SessionLostError(error.session_id, error.expected) from error
            case errors.ConcurrentWriteError():
                raise ConcurrentWriteError(error.session_id, error.expected, error.actual) from error
            case errors.SessionBrokenError():
                raise SessionBrokenError(error.session_id, error.problem, error.at) from error
            case errors.SessionLogError():
                raise SessionException(str(error)) from error


_ALWAYS = _SessionExceptions()


def session_exceptions() -> _SessionExceptions:
    """Let every failure of the log surface as a `SessionException`; a bad id stays the `ValueError` it is.

    Raises:
        SessionException: For every error of the log, `ConcurrentWriteError` among them.
    """
    return _ALWAYS
