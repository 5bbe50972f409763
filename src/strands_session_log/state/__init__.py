"""What a session is: its events folded into a value. Pure and total: no I/O, no log, no exceptions."""

from .diff import AgentDiff, Change, MessageChange, SessionDiff, diff
from .fold import Fold, evolve, initial
from .growing_ranges import GrowingRanges
from .integrity import INTACT, NOT_CHECKED, Integrity
from .messages import Columns, Messages, Segment, columns_of
from .session import AgentState, Held, MessageRecord, SessionState, removed_count
from .shapes import is_message, is_shallow

__all__ = [
    "INTACT",
    "NOT_CHECKED",
    "AgentDiff",
    "AgentState",
    "Change",
    "Columns",
    "Fold",
    "GrowingRanges",
    "Held",
    "Integrity",
    "MessageChange",
    "MessageRecord",
    "Messages",
    "Segment",
    "SessionDiff",
    "SessionState",
    "columns_of",
    "diff",
    "evolve",
    "initial",
    "is_message",
    "is_shallow",
    "removed_count",
]
