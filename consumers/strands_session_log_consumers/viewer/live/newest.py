"""The newest sessions as they change, and how many wait for a person: read once, however many have the list open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from strands_session_log import SessionInfo, SessionLog
from strands_session_log.errors import SessionLogError

from .channel import Work

logger = logging.getLogger(__name__)

_ROWS: Final = 50
_OF_WAITING: Final = ("interrupt.", "session.")
"""How the events begin that change who waits: a session may be rewound, or deleted."""
_MOST_WAITING: Final = 500
_GATHERED: Final = 0.25
"""Seconds for which what the feed tells is gathered before the list is read."""
_AGAIN: Final = 2.0


class NewestSessions:
    """Follows the feed, which says that something happened, and reads the head of the list then.

    Args:
        log: The log.
        work: Runs what waits for the server off the event loop.
        tell: Called when there is something new.

    Attributes:
        rows: The sessions that were active last.
        waiting: How many wait for a person, as far as they are counted; None until they were.
        asked_anew: How often that was counted: whoever waits may be another, though as many do.
    """

    def __init__(self, log: SessionLog, work: Work, tell: Callable[[], None]) -> None:
        self._log, self._work, self._tell = log, work, tell
        self.rows: Sequence[SessionInfo] = ()
        self.waiting: int | None = None
        self.asked_anew = 0
        self._changed, self._asks = asyncio.Event(), True
        self._changed.set()
        self._tasks = [asyncio.create_task(self._keep_on(part)) for part in (self._follow, self._read)]

    def ask_anew(self) -> None:
        """Something has changed of those who wait that no event tells of."""
        self._asks = True
        self._changed.set()

    def close(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()

    async def _keep_on(self, part: Callable[[], object]) -> None:
        while True:
            try:
                await part()  # type: ignore[misc]
                return
            except SessionLogError as error:
                # A gap in the feed, or somebody else's entry: the list is read anyhow.
                logger.debug("error=<%s> | reading the list again", type(error).__name__)
                self._changed.set()
                await asyncio.sleep(_AGAIN)

    async def _follow(self) -> None:
        async with self._log.tail(after="now") as tail:
            async for envelope in tail:
                self._asks |= envelope.type.startswith(_OF_WAITING)
                self._changed.set()

    async def _read(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHERED)
            self._changed.clear()
            self.rows = await self._work(lambda: self._log.sessions(_ROWS, last_message=True))
            if self._asks:
                self._asks = False
                self.waiting = await self._work(lambda: len(self._log.sessions(_MOST_WAITING, waiting=True)))
                self.asked_anew += 1
            self._tell()
