"""How consumer groups stand, as commands tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console

from ..errors import GroupNotFoundError
from ..session_log import SessionLog
from ..subscription import Gap, GroupStatus
from .layout import narrowed, put, row, widths_of
from .terminal import count, one_line, span

_HEADINGS = ("GROUP", "LAG", "OLDEST", "PENDING", "PARKED", "REDELIVERED", "CONSUMERS", "HEARD OF", "STATE")
_BACKFILLS = {"history": "reads history", "between": "catches up", "replay": "replays"}
_WIDEST_GROUP = 40
_SPARE = ("REDELIVERED", "HEARD OF")


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group in some partitions.

    Attributes:
        group: Its name.
        places: How it stands in each; at least one.
    """

    group: str
    places: Sequence[GroupStatus]

    @property
    def gaps(self) -> list[Gap]:
        """What is gone and was not delivered."""
        return [place.gap for place in self.places if place.gap]

    @property
    def backfill(self) -> list[str]:
        """What is read beside the feed."""
        return sorted({place.backfill for place in self.places if place.backfill})

    @property
    def consumers(self) -> list[str]:
        """Those that were heard of within the last minute."""
        return sorted({consumer for place in self.places for consumer in place.active})

    @property
    def idle_seconds(self) -> float | None:
        """How long ago a consumer was last heard of; None for never."""
        return min((place.idle_seconds for place in self.places if place.idle_seconds is not None), default=None)

    @property
    def is_abandoned(self) -> bool:
        """Whether the feed is trimmed without regard to it."""
        return any(place.abandoned for place in self.places)

    @property
    def problems(self) -> list[str]:
        """What is broken, by partition."""
        return [f"partition {place.partition}: {place.problem}" for place in self.places if place.problem]

    @property
    def lag_seconds(self) -> float:
        """How old the oldest is that is not settled."""
        return max(place.lag_seconds for place in self.places)

    def total(self, name: str) -> int:
        """The sum of a count over the partitions."""
        return sum(getattr(place, name) for place in self.places)


def standings(statuses: Iterable[GroupStatus]) -> list[GroupSummary]:
    """One for each group, in the order of their names."""
    return [GroupSummary(group, list(places)) for group, places in groupby(statuses, lambda status: status.group)]


def standing_of(log: SessionLog, group: str) -> GroupSummary:
    """How a group stands.

    Raises:
        GroupNotFoundError: When there is none of this name.
    """
    found = {standing.group: standing for standing in standings(log.groups())}
    if group not in found:
        raise GroupNotFoundError(group, list(found))
    return found[group]


def by_whom(log: SessionLog, group: str) -> str:
    """Who will do what a group was told to: nobody, as long as it has no consumer."""
    readers = [one.active for one in log.groups() if one.group == group and one.active]
    return "" if readers else " as soon as a consumer comes: nobody reads it now"


def as_json(standing: GroupSummary, by_partition: bool = False) -> dict[str, Any]:
    """Everything of it; of a single partition also which, and up to where all is settled there."""
    (first, *_) = standing.places
    place = {"partition": first.partition, "checkpoint": first.checkpoint} if by_partition else {}
    counts = ("lag", "lag_seconds", "pending", "parked", "redeliveries")
    found = {name: standing.lag_seconds if name == "lag_seconds" else standing.total(name) for name in counts}
    return {
        "group": standing.group,
        **place,
        **found,
        "consumers": standing.consumers,
        "idle_seconds": standing.idle_seconds,
        "abandoned": standing.is_abandoned,
        "gaps": [gap_as_json(gap) for gap in standing.gaps],
        "backfill": standing.backfill,
        "problems": standing.problems,
    }


def gap_as_json(gap: Gap) -> dict[str, Any]:
    """Where it is, and how many it swallowed."""
    places = {"partition": gap.after.partition, "after": gap.after.stream_id, "before": gap.before.stream_id}
    return {**places, "missing": gap.missing}


def missing(gaps: Iterable[Gap]) -> str:
    """`12 envelopes`."""
    return count(sum(gap.missing for gap in gaps), "envelope")


def print_standings(terminal: Console, found: Sequence[GroupSummary], by_partition: bool = False) -> None:
    """A table, a line for each."""
    headings: Sequence[str] = (_HEADINGS[0], "PARTITION", *_HEADINGS[1:]) if by_partition else _HEADINGS
    rows = narrowed(terminal, [headings, *(_cells(standing, by_partition) for standing in found)], _SPARE)
    headings = rows[0]
    widths = widths_of(rows)
    widths[0] = min(widths[0], _WIDEST_GROUP)
    numbers = range(1, headings.index("CONSUMERS") + 1)
    put(terminal, row(headings, widths, ["bold"] * len(headings), right=numbers), crop=True)
    for standing, cells in zip(found, rows[1:], strict=True):
        styles = ["cyan", *[""] * (len(cells) - 2), "red" if standing.gaps or standing.problems else "yellow"]
        put(terminal, row(cells, widths, styles, right=numbers), crop=True)


def _cells(standing: GroupSummary, by_partition: bool) -> tuple[str, ...]:
    counts = [f"{standing.total(name):,}" for name in ("lag", "pending", "parked", "redeliveries")]
    is_behind = standing.total("lag") + standing.total("pending") > 0
    idle = standing.idle_seconds
    return (
        one_line(standing.group),
        *([str(standing.places[0].partition)] if by_partition else []),
        counts[0],
        span(standing.lag_seconds) if is_behind else "-",
        *counts[1:],
        str(len(standing.consumers)),
        "never" if idle is None else f"{span(idle)} ago",
        _state(standing),
    )


def _state(standing: GroupSummary) -> str:
    gap = [f"lacks {sum(gap.missing for gap in standing.gaps):,}"] if standing.gaps else []
    backfill = dict.fromkeys(_BACKFILLS[kind.partition(" ")[0]] for kind in standing.backfill)
    broken = ["broken"] if standing.problems else []
    return ", ".join([*broken, *gap, *backfill, *(["abandoned"] if standing.is_abandoned else [])])
