"""docs/benchmarks.svg: how much of what each target allows is used up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from .report import number, target
from .rows import Row

_LEAST = 0.01
"""What is shown of what is less, or less than nothing: the axis is logarithmic."""
_MET, _MISSED = "#2a9d5c", "#c8443c"


def draw(rows: Sequence[Row], path: Path) -> None:
    """One bar for every row with a target: what ends left of the line meets it."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"})
    from matplotlib import pyplot

    measured = [row for row in rows if row.allowance is not None]
    figure, axes = pyplot.subplots(figsize=(11, 1.2 + 0.55 * len(measured)), layout="constrained")
    _bars(axes, measured)
    axes.set(xscale="log", xlabel="part of the target that is used up (1: just met; logarithmic)")
    axes.axvline(1, color="black", linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _bars(axes: Any, measured: Sequence[Row]) -> None:
    allowances = [max(row.allowance or 0.0, _LEAST) for row in measured]
    least = min([0.1, *allowances]) / 2
    colors = [_MET if row.verdict == "met" else _MISSED for row in measured]
    labels = [fill(row.name.replace("`", ""), 62) for row in measured]
    bars = axes.barh(labels, [one - least for one in allowances], left=least, color=colors)
    axes.bar_label(bars, [f"  {number(row.ratio or 0.0)}  (target {target(row)})" for row in measured], fontsize=9)
    axes.set_xlim(least, max([1.0, *allowances]) * 4)
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
