"""The session manager for Strands agents; with its siblings the only code here that knows Strands."""

from .errors import ConcurrentWriteError, SessionLostError
from .manager import ValkeySessionManager

__all__ = ["ConcurrentWriteError", "SessionLostError", "ValkeySessionManager"]
