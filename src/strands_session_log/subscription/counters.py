"""What a subscription has seen."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ..instrumentation import Acked, Delivered, EntryRejected, Failed, GapFound, Lost, OfGroup, Parked, Redelivered
from ..instrumentation.hooks import hooks

_DETAILS: dict[str, type[OfGroup]] = {
    "delivered": Delivered,
    "redelivered": Redelivered,
    "acked": Acked,
    "failed": Failed,
    "lost": Lost,
    "parked": Parked,
    "rejected": EntryRejected,
    "gaps": GapFound,
}


@dataclass(slots=True)
class Counters:
    """What a subscription has seen; counts only grow.

    Attributes:
        group: Its name.
        delivered: Deliveries, those that were repeated among them.
        redelivered: Those that were repeated.
        acked: Those the server took as done.
        failed: Those that were not handled.
        lost: Those that another consumer had taken over before they were settled.
        parked: Those that were given up.
        rejected: Those that no writer of this library made, or that the session contradicts: parked, never handed out.
        gaps: How often something was missing in the feed.
    """

    group: str
    delivered: int = 0
    redelivered: int = 0
    acked: int = 0
    failed: int = 0
    lost: int = 0
    parked: int = 0
    rejected: int = 0
    gaps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: int) -> None:
        """Count, and tell the hooks."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)
        if hooks.active:
            for name, count in counts.items():
                if count and name in _DETAILS:
                    hooks.tell(_DETAILS[name](self.group, count))
