"""Places that a process has for runs and for followers: taken before anything is awaited for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Places:
    """Places of one kind; they may be left in any thread.

    Args:
        most: How many there are.
        taken: What is said when all are taken.
    """

    def __init__(self, most: int, taken: str) -> None:
        self._free, self._taken, self._lock = most, taken, Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of them, until the block ends.

        Raises:
            HTTPException: 503 when all are taken.
        """
        # Nothing is made while it is locked: a collection that comes then may leave a place, in this very thread.
        with self._lock:
            is_free = self._free > 0
            self._free -= is_free
        if not is_free:
            raise HTTPException(503, self._taken)
        try:
            yield
        finally:
            with self._lock:
                self._free += 1


class PlacedResponse(StreamingResponse):
    """A response that has a place until it is over, however it ends.

    Args:
        place: Closed then.
        content: What is streamed.
        **options: As for `StreamingResponse`.
    """

    def __init__(self, place: ExitStack, content: Any, **options: Any) -> None:
        super().__init__(content, **options)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._place:
            await super().__call__(scope, receive, send)
