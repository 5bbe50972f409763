"""An event-sourced session log for Strands Agents on Valkey Streams.

`SessionLog` reads and writes sessions anywhere; `ValkeySessionManager` lets a Strands agent keep its session there and
is imported only when asked for, so that services that merely follow conversations need no Strands.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors, events, instrumentation
from .audit import Anchor, Audited, CheckedEvents, Expect, Verification
from .codec import from_json
from .codec.delta import Delta
from .event_log import ANY, NO_SESSION, AgentAt, Expected, Progress, SessionAt, Tombstone
from .events import AgentActivity, Recorded, SessionInfo
from .feed import Envelope, FeedId, FeedRetention
from .ids import START, EventId, Point
from .server import Durability, Finding, ServerReport
from .session_log import DEFAULT_NAMESPACE, ServerInspection, SessionLog, inspect_server
from .snapshot import SnapshotKey, SnapshotSettings
from .state import AgentDiff, AgentState, Change, Integrity, MessageChange, MessageRecord, SessionDiff, SessionState
from .subscription import (
    Deliveries,
    Delivery,
    Gap,
    GapResolution,
    GroupStatus,
    Handler,
    ParkedEvent,
    ParkedEvents,
    Subscriber,
    SyncDeliveries,
    SyncDelivery,
)
from .tail import FeedPosition, FeedTail, LivePosition, LiveTail, Tail

if TYPE_CHECKING:
    from .live import LiveStats, LiveTokens
    from .recorder import RecorderStats, SessionRecorder
    from .session_manager import ValkeySessionManager
    from .storage import ValkeyStorage

__all__ = [
    "ANY",
    "DEFAULT_NAMESPACE",
    "NO_SESSION",
    "START",
    "AgentActivity",
    "AgentAt",
    "AgentDiff",
    "AgentState",
    "Anchor",
    "Audited",
    "Change",
    "CheckedEvents",
    "Deliveries",
    "Delivery",
    "Delta",
    "Durability",
    "Envelope",
    "EventId",
    "Expect",
    "Expected",
    "FeedId",
    "FeedPosition",
    "FeedRetention",
    "FeedTail",
    "Finding",
    "Gap",
    "GapResolution",
    "GroupStatus",
    "Handler",
    "Integrity",
    "LivePosition",
    "LiveStats",
    "LiveTail",
    "LiveTokens",
    "MessageChange",
    "MessageRecord",
    "ParkedEvent",
    "ParkedEvents",
    "Point",
    "Progress",
    "Recorded",
    "RecorderStats",
    "ServerInspection",
    "ServerReport",
    "SessionAt",
    "SessionDiff",
    "SessionInfo",
    "SessionLog",
    "SessionRecorder",
    "SessionState",
    "SnapshotKey",
    "SnapshotSettings",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "Tail",
    "Tombstone",
    "ValkeySessionManager",
    "ValkeyStorage",
    "Verification",
    "errors",
    "events",
    "from_json",
    "inspect_server",
    "instrumentation",
]

_NEED_STRANDS = {
    "LiveStats": ".live",
    "LiveTokens": ".live",
    "RecorderStats": ".recorder",
    "SessionRecorder": ".recorder",
    "ValkeySessionManager": ".session_manager",
    "ValkeyStorage": ".storage",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_STRANDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NEED_STRANDS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
