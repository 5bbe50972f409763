"""Watching the library at work: hooks are told what it does in this process, and Prometheus is one of them.

Nothing is told until somebody asks for it:

    instrument_with_prometheus()       # then expose prometheus_client's registry, or push it, as you do anyway
    add_hook(lambda detail: print(detail))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .details import (
    Acked,
    AppendDone,
    Checked,
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
    Outcome,
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
    SnapshotUse,
)
from .hooks import Hook, hooks

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = [
    "Acked",
    "AppendDone",
    "Checked",
    "ConflictSeen",
    "Delivered",
    "Detail",
    "EntryRejected",
    "Failed",
    "FeedTrimmed",
    "GapFound",
    "GroupAbandoned",
    "Hook",
    "IntegrityChecked",
    "Lost",
    "OfGroup",
    "Outcome",
    "Parked",
    "ReadDone",
    "Rechained",
    "RecordingBegunAnew",
    "Redelivered",
    "Repaired",
    "Resumed",
    "Retried",
    "ServerAwaited",
    "ServerWaitOver",
    "SessionsSwept",
    "SnapshotDropped",
    "SnapshotSaved",
    "SnapshotUse",
    "add_hook",
    "get_hooks",
    "instrument_with_prometheus",
    "set_hooks",
]


def add_hook(hook: Hook) -> None:
    """Tell a hook what the library does in this process from now on, beside those who are told already."""
    hooks.add(hook)


def set_hooks(these: Iterable[Hook]) -> None:
    """Tell these hooks and no others; none at all turns instrumentation off."""
    hooks.set(these)


def get_hooks() -> tuple[Hook, ...]:
    """Those who are told."""
    return hooks.active


def instrument_with_prometheus(registry: CollectorRegistry | None = None) -> Hook:
    """Count and time with `prometheus_client`, which is imported only now.

    The metrics are in docs/metrics.md. Called again for the same registry, it changes nothing.

    Args:
        registry: Where the metrics are registered; `prometheus_client`'s own if left out.

    Returns:
        The hook that does it, added already.
    """
    from .prometheus import prometheus_hook

    hook = prometheus_hook(registry)
    hooks.add(hook)
    return hook
