"""Hands things from background threads to whoever reads them, in a thread or in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from .interruptible import held, wait_until
from .running_loop import running_loop

T = TypeVar("T")


class Channel(Generic[T]):
    """A queue that ends, perhaps with an error; what is an error in it is raised to whoever comes to it.

    Args:
        ran_dry: Told when `is_dry` may have become true.
    """

    def __init__(self, ran_dry: Callable[[], object] | None = None) -> None:
        self._ran_dry, self._found_nothing = ran_dry, False
        self._items: deque[T | Exception] = deque()
        self._changed = threading.Condition()
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._asking, self._is_closed = 0, False

    def put(self, items: Iterable[T | Exception]) -> None:
        """Add to it; what comes after the end is forgotten."""
        with self._changed:
            if not self._is_closed:
                self._add(items)
            self._found_nothing = self._found_nothing and not self._items
            self._wake()

    def release(self, item: T) -> None:
        """Note that it is done with: something may have waited for that."""

    def close(self, error: Exception | None = None) -> None:
        """Let it end once all is read, with an error if there is one."""
        with self._changed:
            if not self._is_closed and error is not None:
                self._items.append(error)
            self._end()
            self._is_closed = True
            self._wake()

    def drain(self) -> list[T]:
        """End it, and take out all that nobody has read."""
        with self._changed:
            self._is_closed = True
            left = [item for item in self._items if not isinstance(item, Exception)] + self._end()
            self._items.clear()
            self._wake()
            return left

    def __len__(self) -> int:
        return len(self._items)

    def take(self, most: int = 1) -> list[T] | None:
        """What is there, without waiting; None at the end.

        Raises:
            Exception: The error that stands next in it.
        """
        with self._changed:
            if self._items:
                if isinstance(self._items[0], Exception):
                    raise self._items.popleft()  # type: ignore[misc]
                found = self._pop(most)
                if not self.is_dry:
                    return found
            elif self._is_closed:
                return None
            else:
                found = []
        # Without the lock: whoever is told may have one of its own.
        self._tell_dry(bool(found))
        return found

    @property
    def is_dry(self) -> bool:
        """Whether somebody waits for what is to come."""
        return not self._items and bool(self._found_nothing or self._waiting or self._asking)

    def _tell_dry(self, has_found: bool) -> None:
        is_told = self._found_nothing
        self._found_nothing = not has_found
        if self._ran_dry and not (is_told and self._found_nothing):
            self._ran_dry()

    def get(self, most: int = 1, timeout: float | None = None) -> list[T] | None:
        """Wait for what comes; nothing when the time is over, None at the end."""
        if not self._items and not self._is_closed:
            self._tell_dry(False)
        with held(self._changed):
            self._asking += 1
            try:
                if timeout is None:
                    wait_until(self._changed, lambda: self._items or self._is_closed)
                elif not self._changed.wait_for(lambda: self._items or self._is_closed, timeout):
                    return []
            finally:
                self._asking -= 1
        return self.take(most)

    async def aget(self, most: int = 1) -> list[T] | None:
        """Wait for what comes in an event loop; None at the end."""
        while True:
            found = self.take(most)
            if found is None or found:
                return found
            await self.arrival()

    async def arrival(self) -> None:
        """Wait until something comes, which another may take first, or the end."""
        loop = running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self._changed:
            if self._items or self._is_closed:
                return
            self._waiting[waiter] = loop
        try:
            await waiter
        except asyncio.CancelledError:
            with self._changed:
                if self._waiting.pop(waiter, None) is None:
                    # It was woken for something that is another's now.
                    self._wake()
            raise

    def _add(self, items: Iterable[T | Exception]) -> None:
        self._items.extend(items)

    def _pop(self, most: int) -> list[T]:
        found: list[Any] = [self._items.popleft() for _ in range(min(most, len(self._items)))]
        if errors := [at for at, item in enumerate(found) if isinstance(item, Exception)]:
            self._items.extendleft(reversed(found[errors[0] :]))
            del found[errors[0] :]
        return found

    def _end(self) -> list[T]:
        """Take out what would be handed out only after something else is done with."""
        return []

    def _wake(self) -> None:
        """As many tasks as there is something for, in the order in which they came, or all at the end."""
        self._changed.notify_all()
        wanted = len(self._waiting) if self._is_closed else len(self._items)
        while wanted > 0 and self._waiting:
            waiter = next(iter(self._waiting))
            wanted -= _woke(self._waiting.pop(waiter), waiter)


def _woke(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> bool:
    try:
        loop.call_soon_threadsafe(_resolve, waiter)
    except RuntimeError:
        if not loop.is_closed():
            raise
        # Nobody waits in it any more.
        return False
    return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
