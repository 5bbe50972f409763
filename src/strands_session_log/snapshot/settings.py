"""How a snapshot is kept."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import check_whole

_BOUNDS = {"threshold": (1, 10**9), "segment": (1, 10**5), "points": (0, 1_000), "spacing": (1, 10**9)}


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """When snapshots are saved, and how; the defaults are measured, see docs/benchmarks.md.

    Attributes:
        threshold: Save once so many events follow the last; and sooner when a resume would load more than twice what
            the agents hold, and so many messages more.
        segment: How many messages a stored segment has at most.
        points: How many points of a session's history are kept beside the newest, for going back; 0 for none.
        spacing: How many events lie at least between two of those; a shorter way is as quickly replayed.

    Raises:
        SessionLogError: When one of them is no whole number, or out of bounds.
    """

    threshold: int = 64
    segment: int = 512
    points: int = 32
    spacing: int = 1024

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            check_whole(name, getattr(self, name), least, most)
