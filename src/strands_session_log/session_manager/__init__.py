"""The session manager for Strands agents; with its siblings the only code here that knows Strands."""

from .errors import AlreadyAnsweredError, ConcurrentWriteError, SessionBrokenError, SessionLostError
from .manager import ValkeySessionManager

__all__ = [
    "AlreadyAnsweredError",
    "ConcurrentWriteError",
    "SessionBrokenError",
    "SessionLostError",
    "ValkeySessionManager",
]
