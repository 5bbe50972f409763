"""An event-sourced session log for Strands Agents on Valkey Streams.

`SessionLog` reads and writes sessions anywhere; `ValkeySessionManager` lets a Strands agent keep its session there.
Everything is imported when it is asked for, so that services that merely follow conversations need no Strands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .on_demand import on_demand

if TYPE_CHECKING:
    from . import errors, events, instrumentation
    from .audit import Anchor, Audited, CheckedEvents, Expect, SessionChecker, Verification
    from .codec import from_json
    from .codec.delta import Delta
    from .codec.searching import TextMatch, TextSearch, matches_in, search_for
    from .encryption import (
        DataKey,
        KeyDirectory,
        KeyProvider,
        KeyRecord,
        KeyRecords,
        LocalKeys,
        ShreddedKey,
        WrappedKey,
        WrappedKeys,
    )
    from .event_log import ANY, NO_SESSION, AgentAt, Expected, Progress, SessionAt, Tombstone
    from .events import AgentActivity, Recorded, SessionInfo
    from .evidence import (
        BundledSession,
        BundleReport,
        BundleSummary,
        ImportedSession,
        VerifiedSession,
        verify_bundle,
    )
    from .feed import Envelope, FeedId, FeedRetention
    from .ids import START, EventId, Point
    from .keys import DEFAULT_NAMESPACE
    from .live import LiveStats, LiveTokens
    from .recorder import RecorderStats, SessionRecorder
    from .scripts.roles import ROLES, Role
    from .server import Durability, Finding, ServerReport
    from .session_log import (
        Archive,
        ArchivedCopy,
        CurrentRun,
        EditedFork,
        ErasurePlan,
        LegalHold,
        ModelPrice,
        Prices,
        Retention,
        RetentionPolicies,
        RetentionPolicy,
        RetentionReport,
        RetentionStep,
        RunLease,
        SearchableArchive,
        ServerInspection,
        SessionCost,
        SessionLog,
        SessionRuns,
        SubjectExport,
        SubjectPlace,
        SubjectReport,
        Subjects,
        SubjectStep,
        check_forks,
        drop_archived,
        forget_archived,
        fork_edited,
        inspect_server,
        parse_duration,
        restore_archived,
    )
    from .session_manager import ValkeySessionManager
    from .snapshot import SnapshotKey, SnapshotSettings
    from .state import (
        AgentDiff,
        AgentState,
        Change,
        Integrity,
        MessageChange,
        MessageRecord,
        OpenInterrupt,
        SessionDiff,
        SessionState,
        evolve,
    )
    from .storage import ValkeyStorage
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

__version__ = "0.1.0"

__all__ = [
    "ANY",
    "DEFAULT_NAMESPACE",
    "NO_SESSION",
    "ROLES",
    "START",
    "AgentActivity",
    "AgentAt",
    "AgentDiff",
    "AgentState",
    "Anchor",
    "Archive",
    "ArchivedCopy",
    "Audited",
    "BundleReport",
    "BundleSummary",
    "BundledSession",
    "Change",
    "CheckedEvents",
    "CurrentRun",
    "DataKey",
    "Deliveries",
    "Delivery",
    "Delta",
    "Durability",
    "EditedFork",
    "Envelope",
    "ErasurePlan",
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
    "ImportedSession",
    "Integrity",
    "KeyDirectory",
    "KeyProvider",
    "KeyRecord",
    "KeyRecords",
    "LegalHold",
    "LivePosition",
    "LiveStats",
    "LiveTail",
    "LiveTokens",
    "LocalKeys",
    "MessageChange",
    "MessageRecord",
    "ModelPrice",
    "OpenInterrupt",
    "ParkedEvent",
    "ParkedEvents",
    "Point",
    "Prices",
    "Progress",
    "Recorded",
    "RecorderStats",
    "Retention",
    "RetentionPolicies",
    "RetentionPolicy",
    "RetentionReport",
    "RetentionStep",
    "Role",
    "RunLease",
    "SearchableArchive",
    "ServerInspection",
    "ServerReport",
    "SessionAt",
    "SessionChecker",
    "SessionCost",
    "SessionDiff",
    "SessionInfo",
    "SessionLog",
    "SessionRecorder",
    "SessionRuns",
    "SessionState",
    "ShreddedKey",
    "SnapshotKey",
    "SnapshotSettings",
    "SubjectExport",
    "SubjectPlace",
    "SubjectReport",
    "SubjectStep",
    "Subjects",
    "Subscriber",
    "SyncDeliveries",
    "SyncDelivery",
    "Tail",
    "TextMatch",
    "TextSearch",
    "Tombstone",
    "ValkeySessionManager",
    "ValkeyStorage",
    "Verification",
    "VerifiedSession",
    "WrappedKey",
    "WrappedKeys",
    "check_forks",
    "drop_archived",
    "errors",
    "events",
    "evolve",
    "forget_archived",
    "fork_edited",
    "from_json",
    "inspect_server",
    "instrumentation",
    "matches_in",
    "parse_duration",
    "restore_archived",
    "search_for",
    "verify_bundle",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "": "errors events instrumentation",
            "audit": "Anchor Audited CheckedEvents Expect SessionChecker Verification",
            "codec": "from_json",
            "codec.delta": "Delta",
            "codec.searching": "TextMatch TextSearch matches_in search_for",
            "encryption": "DataKey KeyDirectory KeyProvider KeyRecord KeyRecords LocalKeys ShreddedKey WrappedKey "
            "WrappedKeys",
            "event_log": "ANY NO_SESSION AgentAt Expected Progress SessionAt Tombstone",
            "events": "AgentActivity Recorded SessionInfo",
            "evidence": "BundleReport BundleSummary BundledSession ImportedSession VerifiedSession verify_bundle",
            "feed": "Envelope FeedId FeedRetention",
            "ids": "START EventId Point",
            "live": "LiveStats LiveTokens",
            "recorder": "RecorderStats SessionRecorder",
            "scripts.roles": "ROLES Role",
            "server": "Durability Finding ServerReport",
            "keys": "DEFAULT_NAMESPACE",
            "session_log": "Archive ArchivedCopy CurrentRun EditedFork ErasurePlan LegalHold ModelPrice Prices "
            "Retention RetentionPolicies RetentionPolicy RetentionReport RetentionStep RunLease SearchableArchive "
            "ServerInspection SessionCost SessionLog SessionRuns SubjectExport SubjectPlace SubjectReport "
            "SubjectStep Subjects check_forks drop_archived forget_archived fork_edited inspect_server "
            "parse_duration restore_archived",
            "session_manager": "ValkeySessionManager",
            "snapshot": "SnapshotKey SnapshotSettings",
            "state": "AgentDiff AgentState Change Integrity MessageChange MessageRecord OpenInterrupt SessionDiff "
            "SessionState evolve",
            "storage": "ValkeyStorage",
            "subscription": "Deliveries Delivery Gap GapResolution GroupStatus Handler ParkedEvent ParkedEvents "
            "Subscriber SyncDeliveries SyncDelivery",
            "tail": "FeedPosition FeedTail LivePosition LiveTail Tail",
        },
    )
