"""Mistakes that a type checker must report; nothing executes this file.

Every line that is wrong says so with `type: ignore`. Where a checker finds nothing to ignore it says that instead: mypy
by `warn_unused_ignores`, pyright by `reportUnnecessaryTypeIgnoreComment`.
"""

from __future__ import annotations

import valkey

from strands_session_log import (
    AgentAt,
    Durability,
    EventId,
    FeedRetention,
    LiveTokens,
    SessionAt,
    SessionLog,
    SessionRecorder,
    SnapshotSettings,
    Subscriber,
    ValkeySessionManager,
    errors,
    events,
)

log = SessionLog.connect("embedded:")

# Misspelt arguments.
SessionLog.connect("embedded:", namespase="tenant-7")  # type: ignore[call-arg]
SessionLog(valkey.Valkey(), duarbility="fsync")  # type: ignore[call-arg]
ValkeySessionManager("s", log=log, hold_user_mesages=True)  # type: ignore[call-arg]
SessionRecorder(log, "s", bufer=5)  # type: ignore[call-arg]
LiveTokens(log, "s", intervall=0.1)  # type: ignore[call-arg]
Subscriber(log, group="a", ordred=True)  # type: ignore[call-arg]
SnapshotSettings(treshold=3)  # type: ignore[call-arg]
FeedRetention(keep_for=3.0)  # type: ignore[call-arg]
events.AgentUpdated({}, "a", evnt_id="1")  # type: ignore[call-arg]
events.Custom("custom.order", {}, evnt_id="1")  # type: ignore[call-arg]
log.append("s", [], onec=True)  # type: ignore[call-arg]
log.fork("s", at=7, in_to="t")  # type: ignore[call-arg]

# Values of another type.
SessionLog.connect("embedded:", retry_for="10")  # type: ignore[arg-type]
SessionLog.connect("embedded:", snapshots=False)  # type: ignore[arg-type]
SessionLog("embedded:")  # type: ignore[arg-type]
ValkeySessionManager("s", log=log, record="everything")  # type: ignore[arg-type]
ValkeySessionManager("s", "valkey://localhost")  # type: ignore[arg-type]
SessionRecorder(log, "s", record="everything")  # type: ignore[arg-type]
Subscriber(log, group="a", batch="many")  # type: ignore[arg-type]
Subscriber(log, group="a", start="begining")  # type: ignore[arg-type]
Subscriber(log, group="a", on_gap="ignore")  # type: ignore[arg-type]
Subscriber(log, group="a", keep_errors=True)  # type: ignore[arg-type]
Durability.replicated("1")  # type: ignore[arg-type]
log.append("s", {"type": "custom.order"})  # type: ignore[arg-type]
log.append("s", [], expected=3)  # type: ignore[arg-type]
log.append("s", [], SessionAt("3"))  # type: ignore[arg-type]
log.append("s", [], AgentAt(3, 3, 3))  # type: ignore[arg-type]
log.state("s", at=1.5)  # type: ignore[arg-type]
log.settle_gaps("a", "ignore")  # type: ignore[arg-type]
log.tail(after=12.5)  # type: ignore[call-overload]

# What there is not, or not yet.
log.erase("s", 12)  # type: ignore[call-arg]
log.apend("s", [])  # type: ignore[attr-defined]
log.events.append("s", [])  # type: ignore[attr-defined]
EventId(1, 2).ms = 3  # type: ignore[misc]
SnapshotSettings().points = 3  # type: ignore[misc]
Subscriber(log, "a").settings.batch = 3  # type: ignore[misc]
for _ in Subscriber(log, "a"):  # type: ignore[attr-defined]
    pass
with Subscriber(log, "a") as deliveries:
    for delivery in deliveries:
        delivery.event.type.upper()  # type: ignore[union-attr]
        delivery.acknowledge()  # type: ignore[attr-defined]


def name_of(error: errors.ConcurrentWriteError) -> int:
    """A field has another type."""
    return error.session_id  # type: ignore[return-value]
