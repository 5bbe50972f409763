"""Which points of a session's history a snapshot has.

The newest, and one in each of at most `points` equal stretches of revisions before it. The stretch doubles as the
session grows, so what is kept stays bounded, and from any point in the past the next one before it is not far.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ids import EventId
from .settings import SnapshotSettings


def points_to_keep(points: Iterable[EventId], settings: SnapshotSettings) -> list[EventId]:
    """The points to keep of those there could be, oldest first; the newest is one of them."""
    ordered = sorted(set(points))
    if not ordered:
        return []
    stretch = _stretch(ordered[-1].revision, settings)
    first: dict[int, EventId] = {}
    for point in ordered[:-1]:
        first.setdefault(point.revision // stretch, point)
    return [*(point for number, point in first.items() if number), ordered[-1]]


def wants_point(revision: int, previous: int, newest: int, settings: SnapshotSettings) -> bool:
    """Whether a point would be kept at a revision, after one at `previous`, in a session as long as `newest`."""
    stretch = _stretch(newest, settings)
    return revision // stretch > previous // stretch


def _stretch(newest: int, settings: SnapshotSettings) -> int:
    """The least spacing, doubled until there are few enough of it."""
    stretch = settings.spacing
    while newest // stretch > settings.points:
        stretch *= 2
    return stretch
