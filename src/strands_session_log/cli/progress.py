"""A progress bar for what takes long enough to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from .. import Progress
from .terminal import console, is_screen, one_line

_LONG = 50_000


@contextmanager
def progress(what: str, long: int = _LONG, beside: Console | None = None) -> Iterator[Progress]:
    """Tells a terminal how far something has come, once it turns out to be long: to have so many steps.

    On standard error, but on the console on which lines are printed meanwhile where that is a terminal, too.
    """
    # Here, because few commands need it.
    from rich.progress import Progress as Bar

    terminal = beside if beside and is_screen(beside) else console(stderr=True)
    with Bar(console=terminal, transient=True, disable=not is_screen(terminal)) as bar:
        task = bar.add_task(one_line(what, 40), visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total >= long)
