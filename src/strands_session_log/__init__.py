"""An event-sourced session log for Strands Agents on Valkey Streams.

`SessionLog` reads and writes sessions anywhere; `ValkeySessionManager` lets a Strands agent keep its session there and
is imported only when asked for, so that services that merely follow conversations need no Strands.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors, events, instrumentation
from .audit import Anchor, Audited, Verification
from .codec.delta import Delta
from .event_log import ANY, NO_SESSION, AgentAt, Durability, SessionAt
from .events import Recorded, SessionInfo
from .feed import FeedRetention
from .ids import EventId
from .server import ServerReport
from .session_log import SessionLog
from .snapshot import SnapshotSettings
from .state import SessionState
from .subscription import FeedPosition, FeedTail, GroupStatus, LivePosition, LiveTail, ParkedEvent, Subscriber, Tail

if TYPE_CHECKING:
    from .live import LiveTokens
    from .recorder import SessionRecorder
    from .session_manager import ValkeySessionManager
    from .storage import ValkeyStorage

__all__ = [
    "ANY",
    "NO_SESSION",
    "AgentAt",
    "Anchor",
    "Audited",
    "Delta",
    "Durability",
    "EventId",
    "FeedPosition",
    "FeedRetention",
    "FeedTail",
    "GroupStatus",
    "LivePosition",
    "LiveTail",
    "LiveTokens",
    "ParkedEvent",
    "Recorded",
    "ServerReport",
    "SessionAt",
    "SessionInfo",
    "SessionLog",
    "SessionRecorder",
    "SessionState",
    "SnapshotSettings",
    "Subscriber",
    "Tail",
    "ValkeySessionManager",
    "ValkeyStorage",
    "Verification",
    "errors",
    "events",
    "instrumentation",
]

_NEED_STRANDS = {
    "LiveTokens": ".live",
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
