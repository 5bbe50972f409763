"""Between the threads that read and the one who consumes: bounded, and waited for in a thread or in an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Condition
from typing import Any, Generic, NamedTuple, TypeVar

from ..concurrency import held, running_loop, wait_until

T = TypeVar("T")

CAPACITY_BYTES = 1024 * 1024
CAPACITY = 1000
"""A reader is turned away once so many items, or bytes of them as they came from the server, wait; it may bring a page
more than that."""


class Sized(NamedTuple):
    """An item with what it counts for.

    Attributes:
        item: What the consumer gets; an exception is raised there.
        size: Bytes.
    """

    item: Any
    size: int


class ReadingEnded(Exception):
    """Nothing will come any more."""


class Buffer(Generic[T]):
    """What was read and is not consumed yet.

    No `Channel`: it is bounded, hands out one at a time, and may be closed in the middle of whatever it does.

    Nothing is lost when a wait is cancelled: an item is taken in the very step in which it is returned.

    Args:
        starting: How many readers have yet to find out where they begin.
    """

    def __init__(self, starting: int = 1) -> None:
        # Reentrant, as the garbage collector may close a buffer in any thread at any time.
        self._changed = Condition()
        self._items: deque[Sized] = deque()
        self._size = 0
        self._starting = self._readers = starting
        self._blocked: list[Callable[[], object]] = []
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._has_ended = False
        self._error: BaseException | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing is taken in any more."""
        return self._has_ended

    def started(self) -> None:
        """Say that one more reader knows where it begins."""
        with self._changed:
            self._starting -= 1
            self._tell()

    def put(self, items: Iterable[Sized], resume: Callable[[], object]) -> bool:
        """Add items.

        Args:
            items: In order.
            resume: Called once there is room, if there is none now. Must neither wait nor raise.

        Returns:
            Whether there is room for more.
        """
        with self._changed:
            if self._has_ended:
                return True
            for item in items:
                self._items.append(item)
                self._size += item.size
            self._tell()
            if self._size < CAPACITY_BYTES and len(self._items) < CAPACITY:
                return True
            self._blocked.append(resume)
            return False

    def end(self, error: BaseException | None = None) -> None:
        """Take nothing in any more; what is there is still consumed, then the error is raised, if it is one."""
        with self._changed:
            if not self._has_ended:
                self._has_ended, self._error = True, error
            self._tell()

    def leave(self, error: Exception) -> None:
        """Let one reader go for good: its error is raised in its turn, and once the last has gone nothing comes."""
        with self._changed:
            self._readers -= 1
            self._items.append(Sized(error, 0))
            if self._readers < 1:
                self._has_ended = True
            self._tell()

    def close(self) -> None:
        """End, and forget what is there."""
        with self._changed:
            self._has_ended, self._error = True, None
            self._items.clear()
            self._blocked.clear()
            self._tell()

    def get(self) -> T:
        """Wait for the next item.

        Raises:
            Ended: When there will be none.
        """
        with held(self._changed):
            wait_until(self._changed, lambda: self._items or self._has_ended)
            return self._take()

    async def get_async(self) -> T:
        """See `get`."""
        while True:
            with self._changed:
                if self._items or self._has_ended:
                    return self._take()
                future = self._promise()
            await self._kept(future)

    def wait_started(self) -> None:
        """Wait until every reader knows where it begins, or the end."""
        with held(self._changed):
            wait_until(self._changed, lambda: self._is_started)

    async def wait_started_async(self) -> None:
        """See `wait_started`."""
        while True:
            with self._changed:
                if self._is_started:
                    return
                future = self._promise()
            await self._kept(future)

    @property
    def _is_started(self) -> bool:
        return self._starting <= 0 or self._has_ended

    def _take(self) -> T:
        if not self._items:
            if self._error is not None:
                raise self._error
            raise ReadingEnded
        item, size = self._items.popleft()
        self._size -= size
        self._call_again()
        if isinstance(item, Exception):
            raise item
        taken: T = item
        return taken

    def _call_again(self) -> None:
        """Once half of it is consumed, so that readers come for pages, not for single items."""
        if self._blocked and self._size <= CAPACITY_BYTES // 2 and len(self._items) <= CAPACITY // 2:
            calls, self._blocked = self._blocked, []
            for call in calls:
                call()

    def _promise(self) -> asyncio.Future[None]:
        loop = running_loop()
        future = loop.create_future()
        self._waiting.append((loop, future))
        return future

    async def _kept(self, future: asyncio.Future[None]) -> None:
        try:
            await future
        finally:
            with self._changed:
                self._waiting = [waiting for waiting in self._waiting if waiting[1] is not future]

    def _tell(self) -> None:
        self._changed.notify_all()
        waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            # The loop may be closed already, with whoever waited in it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
