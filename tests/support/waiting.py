"""Waiting for something to become true, with a deadline instead of a hopeful sleep."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

PATIENCE = 30.0
"""How long to wait for what comes at once on a machine that is not busy."""


def wait_until(condition: Callable[[], object], what: str, timeout: float = PATIENCE, interval: float = 0.005) -> None:
    """Return as soon as `condition()` is true.

    Raises:
        TimeoutError: Naming `what` was waited for.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(interval)


def wait_until_collected(*references: Callable[[], object]) -> None:
    """Until nothing is left of what weak references lead to.

    The thread that wrote last may hold on to what it did for a moment longer than its caller waits.
    """

    def are_gone() -> bool:
        gc.collect()
        return not any(found() is not None for found in references)

    wait_until(are_gone, "what nobody needs to be collected")
