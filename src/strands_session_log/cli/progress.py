"""A progress bar for reading a session that is long enough to wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from ..event_log import EventLog
from .terminal import console, one_line

_LONG = 50_000
_STEP = 1_000


@contextmanager
def progress(log: EventLog, session_id: str) -> Iterator[EventLog]:
    """The log, which shows on a terminal how far the session has been read."""
    terminal = console(stderr=True)
    head = log.head(session_id) if terminal.is_terminal else None
    if head is None or head.id.revision < _LONG:
        yield log
        return
    # Here, because few commands need it.
    from rich.progress import Progress

    with Progress(console=terminal, transient=True) as bar:
        task = bar.add_task(one_line(session_id, 40), total=head.id.revision)
        yield cast(EventLog, _Watched(log, lambda: bar.advance(task, _STEP)))


class _Watched:
    """As much of an event log as verifying needs."""

    def __init__(self, log: EventLog, advance: Callable[[], None]) -> None:
        self._log, self._advance = log, advance

    def entries(self, *arguments: Any) -> Iterator[tuple[Any, Any]]:
        for number, entry in enumerate(self._log.entries(*arguments), 1):
            yield entry
            if number % _STEP == 0:
                self._advance()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
