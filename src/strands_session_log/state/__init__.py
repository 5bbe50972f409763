"""What a session is: its events folded into a value. Pure and total: no I/O, no log, no exceptions."""

from .copies import Copies
from .diff import AgentDiff, Change, MessageChange, SessionDiff, diff
from .fold import Fold, evolve, initial, is_message, is_shallow
from .growing_ranges import GrowingRanges
from .holds import Holds
from .integrity import INTACT, NOT_CHECKED, Integrity
from .messages import Columns, Messages, Segment, columns_of, have_tools
from .session import (
    ANSWERING,
    IN_FORCE,
    MANAGER,
    REMOVED_COUNT,
    AgentState,
    Answering,
    Held,
    MessageRecord,
    OpenInterrupt,
    SessionState,
    is_interrupted,
    removed_count,
)

__all__ = [
    "ANSWERING",
    "INTACT",
    "IN_FORCE",
    "MANAGER",
    "NOT_CHECKED",
    "REMOVED_COUNT",
    "AgentDiff",
    "AgentState",
    "Answering",
    "Change",
    "Columns",
    "Copies",
    "Fold",
    "GrowingRanges",
    "Held",
    "Holds",
    "Integrity",
    "MessageChange",
    "MessageRecord",
    "Messages",
    "OpenInterrupt",
    "Segment",
    "SessionDiff",
    "SessionState",
    "columns_of",
    "diff",
    "evolve",
    "have_tools",
    "initial",
    "is_interrupted",
    "is_message",
    "is_shallow",
    "removed_count",
]
