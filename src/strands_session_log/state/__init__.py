"""What a session is: its events folded into a value. Pure and total: no I/O, no log, no exceptions."""

from .fold import evolve, initial
from .messages import Messages
from .session import AgentState, MessageRecord, SessionState, removed_count

__all__ = ["AgentState", "MessageRecord", "Messages", "SessionState", "evolve", "initial", "removed_count"]
