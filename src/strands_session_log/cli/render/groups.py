"""How consumer groups stand, as commands tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import Gap, GroupStatus
from ..terminal import Cell, count, narrowed, one_line, put_table, span

_HEADINGS = ("GROUP", "LAG", "OLDEST", "PENDING", "PARKED", "REDELIVERED", "CONSUMERS", "LAST SEEN", "STATE")
_BACKFILLS = {"history": "reads history", "between": "catches up", "replay": "replays"}
_WIDEST_GROUP = 40
_SPARE = ("REDELIVERED", "LAST SEEN")


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group in some partitions, at least one."""

    places: Sequence[GroupStatus]

    @property
    def group(self) -> str:
        """Its name."""
        return self.places[0].group

    @property
    def gaps(self) -> list[Gap]:
        """What is gone and was not delivered."""
        return [place.gap for place in self.places if place.gap]

    @property
    def consumers(self) -> list[str]:
        """Those that were heard of within the last minute."""
        return sorted({consumer for place in self.places for consumer in place.active})

    @property
    def problems(self) -> list[str]:
        """What is broken, by partition."""
        return [f"partition {place.partition}: {place.problem}" for place in self.places if place.problem]

    def total(self, name: str) -> int:
        """The sum of a count over the partitions."""
        return sum(getattr(place, name) for place in self.places)


def summaries(statuses: Iterable[GroupStatus]) -> list[GroupSummary]:
    """One for each group, in the order of their names."""
    return [GroupSummary(list(places)) for _, places in groupby(statuses, lambda status: status.group)]


def group_json(summary: GroupSummary, by_partition: bool = False) -> dict[str, Any]:
    """Everything of it; of a single partition also which, and up to where all is settled there."""
    (first, *_) = summary.places
    place = {"partition": first.partition, "checkpoint": first.checkpoint} if by_partition else {}
    return {
        "group": summary.group,
        **place,
        "lag": summary.total("lag"),
        "lag_seconds": _oldest(summary),
        **{name: summary.total(name) for name in ("pending", "parked", "redeliveries")},
        "consumers": summary.consumers,
        "idle_seconds": _idle(summary),
        "abandoned": _is_abandoned(summary),
        "gaps": [gap_json(gap) for gap in summary.gaps],
        "backfill": _backfill(summary),
        "problems": summary.problems,
    }


def _oldest(summary: GroupSummary) -> float:
    return max(place.lag_seconds for place in summary.places)


def _idle(summary: GroupSummary) -> float | None:
    """How many seconds ago a consumer was last heard of; None for never."""
    return min((place.idle_seconds for place in summary.places if place.idle_seconds is not None), default=None)


def _backfill(summary: GroupSummary) -> list[str]:
    return sorted({place.backfill for place in summary.places if place.backfill})


def _is_abandoned(summary: GroupSummary) -> bool:
    return any(place.abandoned for place in summary.places)


def gap_json(gap: Gap) -> dict[str, Any]:
    """Where it is, and how many it swallowed."""
    places = {"partition": gap.after.partition, "after": gap.after.stream_id, "before": gap.before.stream_id}
    return {**places, "missing": gap.missing}


def missing(gaps: Iterable[Gap]) -> str:
    """`12 envelopes`."""
    return count(sum(gap.missing for gap in gaps), "envelope")


def print_groups(terminal: Console, found: Sequence[GroupSummary], by_partition: bool = False) -> None:
    """A table, a line for each."""
    headings: Sequence[str] = (_HEADINGS[0], "PARTITION", *_HEADINGS[1:]) if by_partition else _HEADINGS
    rows = narrowed(terminal, [headings, *(_cells(one, by_partition) for one in found)], _SPARE)
    styles = ["cyan", *[""] * (len(rows[0]) - 1)]
    put_table(terminal, rows, styles, range(1, rows[0].index("CONSUMERS") + 1), _WIDEST_GROUP)


def _cells(summary: GroupSummary, by_partition: bool) -> tuple[Cell, ...]:
    counts = [f"{summary.total(name):,}" for name in ("lag", "pending", "parked", "redeliveries")]
    is_behind = summary.total("lag") + summary.total("pending") > 0
    idle = _idle(summary)
    return (
        one_line(summary.group),
        *([str(summary.places[0].partition)] if by_partition else []),
        counts[0],
        span(_oldest(summary)) if is_behind else "-",
        *counts[1:],
        str(len(summary.consumers)),
        "never" if idle is None else f"{span(idle)} ago",
        _state(summary),
    )


def _state(summary: GroupSummary) -> Text:
    missing = [f"missing {sum(gap.missing for gap in summary.gaps):,}"] if summary.gaps else []
    backfill = dict.fromkeys(_BACKFILLS[kind.partition(" ")[0]] for kind in _backfill(summary))
    broken = ["broken"] if summary.problems else []
    shown = ", ".join([*broken, *missing, *backfill, *(["abandoned"] if _is_abandoned(summary) else [])])
    return Text(shown, "red" if broken or missing else "yellow")
