"""What all errors of this library have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SessionLogError(Exception):
    """Base of every error raised by this library."""

    def __reduce__(self) -> tuple[Callable[..., SessionLogError], tuple[object, ...]]:
        """Travel to other processes as what it is: the message is built already, so `__init__` must not run again."""
        return _restored, (type(self), self.args, self.__dict__)


def shown(value: object) -> str:
    """A value for an error message: its `repr`, or its type where that fails, as it does for very long integers."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _restored(kind: type[SessionLogError], args: tuple[object, ...], fields: dict[str, Any]) -> SessionLogError:
    error = kind.__new__(kind, *args)
    super(SessionLogError, error).__init__(*args)
    error.__dict__.update(fields)
    return error
