"""How a snapshot is kept."""

from __future__ import annotations

from typing import NamedTuple


class SnapshotSettings(NamedTuple):
    """When snapshots are saved, and how; the defaults are measured, see docs/benchmarks.md.

    Attributes:
        threshold: Save once a reader had to fold so many events, or a writer appended so many.
        segment: How many messages a stored segment has at most.
        points: How many points of a session's history are kept beside the newest, for going back.
        spacing: How many events lie at least between two of those; a shorter way is as quickly replayed.
    """

    threshold: int = 64
    segment: int = 512
    points: int = 32
    spacing: int = 1024
