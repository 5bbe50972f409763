"""The session manager for Strands agents; with its siblings the only code here that knows Strands."""

from .errors import AgentAnsweredError, AgentConflictError, AgentSessionBrokenError, AgentSessionLostError
from .manager import ValkeySessionManager

__all__ = [
    "AgentAnsweredError",
    "AgentConflictError",
    "AgentSessionBrokenError",
    "AgentSessionLostError",
    "ValkeySessionManager",
]
