"""The event loop that whoever awaits is in."""

from __future__ import annotations

import asyncio

from ..errors import AsyncioNeededError


def running_loop() -> asyncio.AbstractEventLoop:
    """The loop of asyncio that runs in this thread.

    Raises:
        AsyncioNeededError: When none does: trio and others would fail later, at what is awaited, and not say why.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise AsyncioNeededError from None
