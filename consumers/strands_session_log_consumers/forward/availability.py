"""Whether the receiver is there: while it is not, one event at a time asks, after growing pauses; the others wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StoppingError(Exception):
    """It is to end, while something waits for the receiver."""


class Availability:
    """What all who send to one receiver know of it.

    Args:
        first: Seconds of the first pause.
        longest: Seconds of the longest.
        stopping: Done as soon as nothing is to be waited for any more.

    Attributes:
        taken: How many events it has taken.
    """

    def __init__(self, first: float, longest: float, stopping: asyncio.Future[object]) -> None:
        self._first, self._longest, self._stopping = first, longest, stopping
        self._pause, self._not_before = first, 0.0
        self._asking = asyncio.Lock()
        self.is_away = False
        self.taken = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until something may be sent.

        Raises:
            StoppingError: When it is to end before.
        """
        if not self.is_away:
            yield
            return
        async with self._asking:
            while self.is_away and (left := self._not_before - asyncio.get_running_loop().time()) > 0:
                await asyncio.wait((self._stopping,), timeout=left)
                if self._stopping.done():
                    raise StoppingError
            yield

    def note_taken(self) -> None:
        """It has taken an event."""
        self.taken += 1
        self.is_away, self._pause = False, self._first

    def note_away(self, wish: float) -> None:
        """It has not, and not for what was sent.

        Args:
            wish: For how many seconds it wants to be left alone.
        """
        # Not all at once, where there are more forwarders than one.
        pause = max(wish, self._pause * random.uniform(0.5, 1.0))
        self._not_before = asyncio.get_running_loop().time() + pause
        self._pause = min(2 * self._pause, self._longest)
        self.is_away = True
