"""A progress bar for what takes long enough to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import Progress
from .terminal import console, one_line

_LONG = 50_000


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Tells a terminal how far something has come, once it turns out to be long."""
    # Here, because few commands need it.
    from rich.progress import Progress as Bar

    terminal = console(stderr=True)
    with Bar(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(one_line(what, 40), visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total >= _LONG)
