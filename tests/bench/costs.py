"""The table that a user understands: a line for everything that costs them, beside what it costs with others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from .report import amount
from .rows import Row

_HEAD = ["| what it costs you | with this log | with others, or the least there is |", "| --- | ---: | --- |"]


def costs(rows: Iterable[Row]) -> list[str]:
    """A line for each thing users do, in the order of the rows; what costs less than ours is bold."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if row.cost is not None and row.ours and row.peer:
            lines.setdefault(row.cost.what, []).append(row)
    return _HEAD + [f"| {what} | {_amount(same[0], same[0].ours)} | {_others(same)} |" for what, same in lines.items()]


def _others(same: Sequence[Row]) -> str:
    return ", ".join(map(_other, same))


def _other(row: Row) -> str:
    assert row.cost is not None
    told = f"{row.cost.other} {_amount(row, row.peer)}"
    return f"**{told}**" if median(row.peer) < median(row.ours) else told


def _amount(row: Row, side: Sequence[float]) -> str:
    assert row.cost is not None
    return amount(median(side) / row.cost.each, row.unit)
