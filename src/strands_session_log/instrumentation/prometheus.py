"""What Prometheus makes of it. Importing this imports `prometheus_client`; nothing else in the library does."""

from __future__ import annotations

from collections import Counter as TallyOf
from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from .details import (
    Acked,
    AppendDone,
    ConflictSeen,
    Delivered,
    Detail,
    EntryRejected,
    Failed,
    FeedTrimmed,
    GapFound,
    GroupAbandoned,
    IntegrityChecked,
    Lost,
    OfGroup,
    Parked,
    ReadDone,
    Rechained,
    RecordingBegunAnew,
    Redelivered,
    Repaired,
    Resumed,
    Retried,
    ServerAwaited,
    ServerWaitOver,
    SessionsSwept,
    SnapshotDropped,
    SnapshotSaved,
)

PREFIX = "strands_session_log"
SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a quarter of a millisecond, a round trip on loopback, to the ten seconds a server is waited for."""

_OF_GROUP: dict[type[OfGroup], tuple[str, str]] = {
    Delivered: ("deliveries", "Events handed out, for the first time or again."),
    Redelivered: ("redeliveries", "Events handed out again, as their consumer had died, hung, or failed them."),
    Acked: ("acknowledged_events", "Events whose acknowledgement the server confirmed."),
    Failed: ("failed_deliveries", "Events that could not be handled."),
    Lost: ("lost_deliveries", "Events that became another consumer's before they were acknowledged."),
    Parked: ("parked_events", "Events that failed too often and were put aside."),
    EntryRejected: (
        "rejected_entries",
        "Entries of the feed that no writer of this library made, or that the session contradicts.",
    ),
}
_TO_GROUP: dict[type[OfGroup], tuple[str, str]] = {
    GapFound: ("feed_gaps", "Times that events were gone from the feed before they were delivered."),
    GroupAbandoned: ("groups_abandoned", "Times that a group was found that no consumer has read for too long."),
}

_hooks: WeakKeyDictionary[CollectorRegistry, PrometheusHook] = WeakKeyDictionary()


def prometheus_hook(registry: CollectorRegistry | None = None) -> PrometheusHook:
    """The hook of a registry; there is one at most, since a metric cannot be registered twice."""
    registry = REGISTRY if registry is None else registry
    if registry not in _hooks:
        _hooks[registry] = PrometheusHook(registry)
    return _hooks[registry]


class PrometheusHook:
    """Keeps counters and histograms of what the library does.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._append()
        self._read()
        self._snapshot()
        self._subscription()
        self._outages()
        self._observers: dict[type[Detail], Callable[[Any], None]] = {
            AppendDone: self._append_done,
            ConflictSeen: lambda _: self._conflicts.inc(),
            Rechained: lambda _: self._rechained.inc(),
            Retried: lambda detail: self._retries.labels(detail.error).inc(),
            ServerAwaited: self._server_awaited,
            ServerWaitOver: self._server_wait_over,
            ReadDone: self._read_done,
            Resumed: self._resumed,
            IntegrityChecked: lambda detail: self._integrity.labels(detail.result).inc(),
            Repaired: self._repaired,
            RecordingBegunAnew: lambda _: self._begun_anew.inc(),
            SnapshotSaved: self._snapshot_saved,
            SnapshotDropped: lambda detail: self._snapshots_dropped.labels(detail.reason).inc(),
            SessionsSwept: self._sessions_swept,
            FeedTrimmed: lambda detail: self._trimmed.inc(detail.events),
            **dict.fromkeys(_OF_GROUP, self._of_group),
            **dict.fromkeys(_TO_GROUP, self._to_group),
        }

    def __call__(self, detail: Detail, /) -> None:
        """Count it, if it is known."""
        observe = self._observers.get(type(detail))
        if observe is not None:
            observe(detail)

    def _append(self) -> None:
        self._appends = self._histogram("append_duration_seconds", "Time an append took, with its retries.", "outcome")
        self._appended = self._counter("appended_events", "Events appended.")
        self._appended_bytes = self._counter("appended_bytes", "Size of the events appended.")
        self._conflicts = self._counter("append_conflicts", "Appends refused because someone else had got there first.")
        self._rechained = self._counter("append_rechained", "Round trips lost to sessions that had moved meanwhile.")
        self._retries = self._counter("retries", "Commands repeated because the server was away.", "error")
        self._repairs = self._counter("repairs", "Batches that failed before and are in the log now.")
        self._repaired_events = self._counter(
            "repaired_events", "Events in batches that failed before and are in the log now."
        )

        self._begun_anew = self._counter(
            "recordings_begun_anew", "Times that a recorder went on in a new session, as its own was deleted or lost."
        )

    def _read(self) -> None:
        self._reads = self._histogram("read_duration_seconds", "Time a page of a session took to read.", "outcome")
        self._read_events = self._counter("read_events", "Events read.")
        self._read_bytes = self._counter("read_bytes", "Size of the events read.")

    def _snapshot(self) -> None:
        help_ = "Time it took to make the newest state of a session, by what became of its snapshot."
        self._resumes = self._histogram("resume_duration_seconds", help_, "snapshot")
        self._resume_events = self._counter("resume_folded_events", "Events that resuming had to fold.")
        self._resume_bytes = self._counter("resume_bytes", "Size of the snapshots and events that resuming loaded.")
        help_ = "Times that the newest state of a session was made, by what the hash chain says of it."
        self._integrity = self._counter("resume_integrity", help_, "result")
        self._snapshots = self._counter("snapshots_saved", "Snapshots saved.")
        self._snapshot_bytes = self._counter(
            "snapshots_saved_bytes", "Size of what was new in snapshots that were saved."
        )

        self._snapshots_dropped = self._counter("snapshots_dropped", "Snapshots that were not taken.", "reason")
        for reason in ("unauthenticated", "damaged", "outdated", "mismatch"):
            self._snapshots_dropped.labels(reason)

    def _subscription(self) -> None:
        counted = {**_OF_GROUP, **_TO_GROUP}
        self._groups = {kind: self._counter(*named, "group") for kind, named in counted.items()}
        self._trimmed = self._counter("feed_trimmed_events", "Envelopes removed from the feed that no group needs.")

        self._swept = self._counter(
            "swept_sessions", "Sessions whose time was over, by what became of them.", "outcome"
        )

    def _sessions_swept(self, detail: SessionsSwept) -> None:
        self._swept.labels("deleted").inc(detail.deleted)
        self._swept.labels("held").inc(detail.held)

    def _outages(self) -> None:
        help_ = "Times that a subscription, a tail or a recorder began to wait for the server."
        self._server_waits = self._counter("server_waits", help_, "follower", "error")
        help_ = "Subscriptions, tails and recorders that wait for the server now."
        self._lock, self._waiting = Lock(), TallyOf[str]()
        self._followers_waiting = Gauge(f"{PREFIX}_followers_waiting", help_, ("follower",), registry=self._registry)
        for follower in ("subscriber", "tail", "recorder"):
            self._followers_waiting.labels(follower)

    def _server_awaited(self, detail: ServerAwaited) -> None:
        if detail.seconds == 0:
            self._server_waits.labels(detail.follower, detail.error).inc()
            self._waiting_changed(detail.follower, 1)

    def _server_wait_over(self, detail: ServerWaitOver) -> None:
        self._waiting_changed(detail.follower, -1)

    def _waiting_changed(self, follower: str, by: int) -> None:
        """Waits that began before anybody was told end, too."""
        with self._lock:
            self._waiting[follower] = max(0, self._waiting[follower] + by)
            self._followers_waiting.labels(follower).set(self._waiting[follower])

    def _append_done(self, detail: AppendDone) -> None:
        self._appends.labels(detail.outcome).observe(detail.seconds)
        if detail.outcome == "ok":
            self._appended.inc(detail.events)
            self._appended_bytes.inc(detail.bytes)

    def _read_done(self, detail: ReadDone) -> None:
        self._reads.labels(detail.outcome).observe(detail.seconds)
        self._read_events.inc(detail.events)
        self._read_bytes.inc(detail.bytes)

    def _resumed(self, detail: Resumed) -> None:
        self._resumes.labels(detail.snapshot).observe(detail.seconds)
        self._resume_events.inc(detail.events)
        self._resume_bytes.inc(detail.bytes)

    def _repaired(self, detail: Repaired) -> None:
        self._repairs.inc()
        self._repaired_events.inc(detail.events)

    def _snapshot_saved(self, detail: SnapshotSaved) -> None:
        self._snapshots.inc()
        self._snapshot_bytes.inc(detail.bytes)

    def _of_group(self, detail: OfGroup) -> None:
        self._count(detail, detail.events)

    def _to_group(self, detail: OfGroup) -> None:
        self._count(detail, 1)

    def _count(self, detail: OfGroup, times: int) -> None:
        """Let what is rare be 0 before it happens first: a counter that begins with 1 has no increase."""
        for counter in self._groups.values():
            counter.labels(detail.group)
        self._groups[type(detail)].labels(detail.group).inc(times)

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_, labels, registry=self._registry)

    def _histogram(self, name: str, help_: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", help_, labels, buckets=SECONDS, registry=self._registry)
