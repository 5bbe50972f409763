"""The log itself: append to, read, list and delete the sessions of one namespace."""

from ..scripts.session import Life
from .chained_batch import FEW_EVENTS, batches, first_batch
from .deleter import Tombstone
from .eraser import Progress
from .expected import ANY, NO_SESSION, AgentAt, Expected, InLife, MultiAgentAt, SessionAt
from .log import EventLog

__all__ = [
    "ANY",
    "FEW_EVENTS",
    "NO_SESSION",
    "AgentAt",
    "EventLog",
    "Expected",
    "InLife",
    "Life",
    "MultiAgentAt",
    "Progress",
    "SessionAt",
    "Tombstone",
    "batches",
    "first_batch",
]
