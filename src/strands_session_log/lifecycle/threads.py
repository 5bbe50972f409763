"""Running what waits for the network away from the caller's event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_MAX_THREADS = 32
_executor = ThreadPoolExecutor(_MAX_THREADS, "session-log")


def _renew() -> None:
    """A forked child has the pool's bookkeeping, but none of its threads."""
    global _executor
    _executor = ThreadPoolExecutor(_MAX_THREADS, "session-log")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


async def run_in_thread(call: Callable[[], T]) -> T:
    """Run a call in a thread and wait for it without blocking the event loop.

    Each sync `agent()` runs in an event loop of its own, so threads belong to the process and not to a loop. When the
    caller is cancelled the call goes on to its end: what it writes has an outcome all the same.
    """
    return await asyncio.shield(asyncio.wrap_future(_executor.submit(call)))
