"""Errors as Strands' callers expect them: a `SessionException` with its cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from strands.types.exceptions import SessionException

from .. import errors


class ConcurrentWriteError(errors.ConcurrentWriteError, SessionException):
    """Another process wrote this agent's session meanwhile; nothing was written."""


@contextmanager
def session_exceptions() -> Iterator[None]:
    """Let every failure of the log surface as a `SessionException`; a bad id stays the `ValueError` it is.

    Raises:
        SessionException: For every error of the log, `ConcurrentWriteError` among them.
    """
    try:
        yield
    except (SessionException, errors.InvalidIdError):
        raise
    except errors.ConcurrentWriteError as error:
        raise ConcurrentWriteError(error.session_id, error.expected, error.actual) from error
    except errors.SessionLogError as error:
        raise SessionException(str(error)) from error
