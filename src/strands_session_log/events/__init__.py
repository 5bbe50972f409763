"""What can happen in a session, as plain data.

Type names are explicit and dotted, never class paths, so that the log outlives this code. A type this version does
not know is kept as an `Event`, passed on to readers, and ignored by the fold.
"""

from .content import (
    AgentCreated,
    AgentUpdated,
    MessageAdded,
    MessageRedacted,
    MessageUpdated,
    MultiAgentCreated,
    MultiAgentUpdated,
    PayloadErased,
    SessionAnnotated,
    SessionCreated,
    SessionForked,
    SessionRewound,
    WindowChanged,
)
from .event import Custom, Event, Known, Recorded, check_type, now
from .facts import (
    Fact,
    InterruptAnswered,
    InterruptRaised,
    InvocationCompleted,
    InvocationFailed,
    InvocationStarted,
    ModelCompleted,
    ModelFailed,
    NodeCompleted,
    NodeStarted,
    RecordingGap,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
    model_call,
)
from .listing import AgentActivity, SessionInfo
from .selecting import selector

__all__ = [
    "AgentActivity",
    "AgentCreated",
    "AgentUpdated",
    "Custom",
    "Event",
    "Fact",
    "InterruptAnswered",
    "InterruptRaised",
    "InvocationCompleted",
    "InvocationFailed",
    "InvocationStarted",
    "Known",
    "MessageAdded",
    "MessageRedacted",
    "MessageUpdated",
    "ModelCompleted",
    "ModelFailed",
    "MultiAgentCreated",
    "MultiAgentUpdated",
    "NodeCompleted",
    "NodeStarted",
    "PayloadErased",
    "Recorded",
    "RecordingGap",
    "SessionAnnotated",
    "SessionCreated",
    "SessionForked",
    "SessionInfo",
    "SessionRewound",
    "ToolCompleted",
    "ToolFailed",
    "ToolStarted",
    "WindowChanged",
    "check_type",
    "model_call",
    "now",
    "selector",
]
