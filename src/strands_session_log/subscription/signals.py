"""Ending gracefully when the system asks to."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Calls a function at SIGTERM or SIGINT while it is entered, and puts back what was there before.

    Args:
        stop: What to call, in the event loop if there is one.
        enabled: Whether to do anything at all.
    """

    def __init__(self, stop: Callable[[], object], enabled: bool = True) -> None:
        self._stop = stop
        self._enabled = enabled and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if not self._enabled:
            return self
        for number in _SIGNALS:
            self._before[number] = signal.getsignal(number)
            try:
                asyncio.get_running_loop().add_signal_handler(number, self._stop)
            except (RuntimeError, NotImplementedError):
                signal.signal(number, lambda *_: self._stop())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            with suppress(RuntimeError, NotImplementedError):
                asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, before or signal.SIG_DFL)
