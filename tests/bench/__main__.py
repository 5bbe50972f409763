"""`make bench`, or `python -m tests.bench --help`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .against import measure_against
from .document import document
from .groups import GROUPS, measure
from .machine import description
from .measuring import Run
from .plot import draw
from .report import table
from .rows import Row

_DOCS = Path(__file__).parents[2] / "docs"
_console = Console(width=None if sys.stdout.isatty() else 160)


def main(
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this group alone; may be repeated. Writes nothing.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds, small sessions. Writes nothing.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Measure this commit beside what is here. Writes nothing.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say which groups there are.")] = False,
) -> None:
    """Measure what the log costs beside the least it could cost, and write docs/benchmarks.md."""
    if list_:
        return _list()
    if unknown := set(only or ()) - GROUPS.keys():
        raise typer.BadParameter(f"no group is called {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    if against is not None:
        return _measure_against(against, Run(quick))
    started = time.monotonic()
    results, failed = _measure(only or list(GROUPS), Run(quick))
    _console.print(f"{time.monotonic() - started:.0f} s")
    if not only and not quick:
        _write(results)
    if failed:
        raise SystemExit(f"could not be measured: {', '.join(failed)}")
    return None


def _list() -> None:
    for name, title in GROUPS.items():
        _console.print(f"{name:8} {title}")


def _measure(names: list[str], run: Run) -> tuple[dict[str, list[Row]], list[str]]:
    """What each group has measured, and the groups that failed: the others' quarter of an hour is not lost for it."""
    results, failed = dict[str, list[Row]](), list[str]()
    for name in names:
        started = time.monotonic()
        try:
            with run.progress:
                rows = list(measure(name, run))
        except Exception as error:
            _console.print_exception()
            failed.append(name)
            rows = [Row("not measured", [], [], note=f"{type(error).__name__}: {error}")]
        _tell(f"{GROUPS[name]} ({time.monotonic() - started:.0f} s)", rows)
        results[GROUPS[name]] = rows
    return results, failed


def _measure_against(commit: str, run: Run) -> None:
    with run.progress:
        rows = list(measure_against(commit, run))
    _tell(f"here, and at {commit}", rows)


def _tell(title: str, rows: list[Row]) -> None:
    _console.print(f"\n{title}", table(rows))
    for row in rows:
        if row.note:
            _console.print(f"[dim]{row.name}: {row.note}[/]", highlight=False)


def _write(results: dict[str, list[Row]]) -> None:
    (_DOCS / "benchmarks.md").write_text(document(results, description()))
    draw([row for rows in results.values() for row in rows], _DOCS / "benchmarks.svg")
    _console.print("written: docs/benchmarks.md, docs/benchmarks.svg")


if __name__ == "__main__":
    typer.run(main)
