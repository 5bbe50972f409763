"""What a subscription has seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..instrumentation import Acked, Delivered, Failed, Lost, OfGroup, Parked, Redelivered
from ..instrumentation.hooks import hooks

_DETAILS: dict[str, Callable[[str, int], OfGroup]] = {
    "redelivered": Redelivered,
    "acked": Acked,
    "failed": Failed,
    "lost": Lost,
    "parked": Parked,
}


@dataclass(slots=True)
class Tally:
    """What a subscription has seen; counts only grow, and the hooks are told.

    Attributes:
        group: Its name.
        delivered: Deliveries, those that were repeated among them.
        redelivered: Those that were repeated.
        acked: Those the server took as done.
        failed: Those that were not handled.
        lost: Those that another consumer had taken over before they were settled.
        parked: Those that were given up.
        gaps: How often something was missing in the feed.
    """

    group: str = ""
    delivered: int = 0
    redelivered: int = 0
    acked: int = 0
    failed: int = 0
    lost: int = 0
    parked: int = 0
    gaps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, **counts: int) -> None:
        """Count."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)
        if hooks.active:
            self._tell(counts)

    def _tell(self, counts: Mapping[str, int]) -> None:
        """A gap is told where it is found, with its size."""
        first = counts.get("delivered", 0) - counts.get("redelivered", 0)
        if first > 0:
            hooks.tell(Delivered(self.group, first))
        for name, count in counts.items():
            if count and name in _DETAILS:
                hooks.tell(_DETAILS[name](self.group, count))
