"""The rows as the columns of a table, on the terminal and in the document."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.table import Column, Table

from .rows import Row

COLUMNS = ("what", "ours", "the other", "ratio", "target", "verdict", "middle half", "rounds")
"""The names of the columns."""

_STYLES = {"met": "green", "missed": "bold red", "not measured": "yellow"}
_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def table(rows: Sequence[Row]) -> Table:
    """For the terminal."""
    shown = Table(Column(COLUMNS[0], min_width=60), *(Column(name, no_wrap=True) for name in COLUMNS[1:]))
    for row in rows:
        *before, verdict, spread, rounds = cells(row)
        style = _STYLES.get(verdict)
        shown.add_row(*before, f"[{style}]{verdict}[/]" if style else verdict, spread, rounds)
    return shown


def markdown(rows: Sequence[Row]) -> list[str]:
    """For the document."""
    lines = [_line(COLUMNS), _line(["---", *("---:" for _ in COLUMNS[1:5]), "---", "---:", "---:"])]
    return lines + [_line(_bold_where_missed(cells(row))) for row in rows]


def cells(row: Row) -> list[str]:
    """What stands in each column."""
    sides = [amount(median(side), row.unit) if side else "" for side in (row.ours, row.peer)]
    ratio = "" if row.ratio is None else number(row.ratio)
    rounds = f"{len(row.ours):,}" if row.unit == "s" and row.ours else ""
    return [row.name, *sides, ratio, target(row), row.verdict, spread(row), rounds]


def target(row: Row) -> str:
    """`≤ 1.4`; nothing where there is none."""
    return "" if row.target is None else f"{'≤' if row.better == 'less' else '≥'} {row.target:g}"


def spread(row: Row) -> str:
    """Between which ratios half of the rounds are; nothing where there were too few."""
    return "" if row.spread is None else " to ".join(map(number, row.spread))


def number(ratio: float) -> str:
    """A ratio with two digits after the point, or three in all."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 20 else f"{ratio:.2f}"


def amount(figure: float, unit: str) -> str:
    """A figure for people."""
    if unit == "times":
        return number(figure)
    if unit != "s":
        return f"{figure:,.0f} B" if unit == "bytes" else f"{figure:,.0f}"
    factor, name = next(((factor, name) for factor, name in _TIMES if abs(figure) >= factor), _TIMES[-1])
    scaled = figure / factor
    return f"{scaled:.0f} {name}" if abs(scaled) >= 100 else f"{scaled:.3g} {name}"


def _bold_where_missed(texts: list[str]) -> list[str]:
    return [f"**{text}**" if text == "missed" else text for text in texts]


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
