"""A line of the table: what was measured on either side, and whether that is what we want."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any, Literal, NamedTuple, TypeAlias

Call: TypeAlias = Callable[[], Any]
Better: TypeAlias = Literal["less", "more"]
Unit: TypeAlias = Literal["s", "bytes", "round trips", "connections", "instructions", "elements", "times"]


class Pair(NamedTuple):
    """Two ways to do something.

    Attributes:
        name: What is done, `ours ÷ peer` or, where more is better, `peer ÷ ours`.
        ours: Our way; one function may be in several pairs, and is then measured once.
        peer: The least it could cost, or how another does it.
        target: What the ratio should be at most, or at least where more is better.
        better: Whether the ratio is ours to the peer's and should be small, or the other way round.
    """

    name: str
    ours: Call
    peer: Call
    target: float | None = None
    better: Better = "less"


class Cost(NamedTuple):
    """A row in plain words.

    Attributes:
        what: What users do; rows that say the same share a line.
        other: What it is that the row's other figure belongs to.
        each: Of how many the figures of the row are.
    """

    what: str
    other: str
    each: float = 1


class Row(NamedTuple):
    """A pair that was measured.

    Attributes:
        name: As in `Pair`.
        ours: Each round's seconds, or the one figure there is; empty when it could not be measured.
        peer: The same of the other.
        target: As in `Pair`.
        better: As in `Pair`.
        unit: What the figures are.
        note: What else there is to say.
        cost: Where it stands in the table of what the log costs users, if it does.
    """

    name: str
    ours: Sequence[float]
    peer: Sequence[float]
    target: float | None = None
    better: Better = "less"
    unit: Unit = "s"
    note: str = ""
    cost: Cost | None = None

    @property
    def ratio(self) -> float | None:
        """The ratio of the medians; None where there is none, as when noise made less than nothing of what is below."""
        if not self.ours or not self.peer:
            return None
        return _ratio(self.better, median(self.ours), median(self.peer))

    @property
    def spread(self) -> tuple[float, float] | None:
        """The quartiles of the ratios of single rounds; None when there were too few."""
        every = [_ratio(self.better, *round_) for round_ in zip(self.ours, self.peer, strict=False)]
        ratios = [one for one in every if one is not None]
        if len(ratios) < 2:
            return None
        first, _, third = quantiles(ratios, n=4, method="inclusive")
        return first, third

    @property
    def allowance(self) -> float | None:
        """How much of what the target allows is used up: 1 at the target, whichever way it points."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio / self.target if self.better == "less" else self.target / self.ratio

    @property
    def verdict(self) -> str:
        """`met` or `missed`; nothing where there is no target."""
        if self.target is None:
            return ""
        if self.allowance is None:
            return "not measured"
        return "met" if self.allowance <= 1 else "missed"


def _ratio(better: Better, ours: float, peer: float) -> float | None:
    above, below = (ours, peer) if better == "less" else (peer, ours)
    return above / below if below > 0 else None
