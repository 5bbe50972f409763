"""Tails: what happens, as it happens, in order, for ever."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import finalize

from ..concurrency import running_loop
from ..event_log import EventLog
from ..events import Recorded, selector
from ..ids import Point, check_id, parse_point
from .buffer import Buffer, ReadingEnded
from .cursor import StreamCursor
from .multiplexer import Multiplexer
from .session_cursor import NOW, SessionCursor

Item = TypeVar("Item")
Self = TypeVar("Self", bound="Tail[Any]")


class Tail(Generic[Item]):
    """What happens, as it happens: for `async for` and, in threads, for `for`.

    It has begun when it is made. Entering a `with` or `async with` block waits until it knows where: what is appended
    in the block comes, however it was told to begin. Leaving the block closes it, as does losing the last reference.

    While the server is away it waits, for ever; nothing is lost, nothing comes twice.

    Raises:
        LogForkedError: In the loop: what was read is not the history of the session any more. `SessionDeletedError`,
            one of them, if there is no session any more. In the loop over the whole feed, what was read of a
            partition is not in its feed any more; looping again goes on in what has taken its place.
        FeedGapError: In the loop over the whole feed, once for each gap: envelopes are gone. Looping again goes on.
        CorruptEntryError: In the loop over the whole feed, once for each entry that somebody else wrote. Looping again
            goes on. In that over one session, of which such an entry is no history: nothing comes after it.
        AsyncioNeededError: In `async for` and `async with`, under another event loop than that of asyncio.
        RevisionNotFoundError: In the loop: the session does not have the revision after which to begin.
        ServerRefusedError: In the loop: the server refuses, and will go on doing so.
    """

    def __init__(
        self,
        multiplexer: Multiplexer,
        buffer: Buffer[Any],
        cursors: Sequence[StreamCursor[Any]],
        later: Sequence[StreamCursor[Any]] = (),
    ) -> None:
        """Made by `SessionLog.tail`; some of the cursors begin by themselves, later."""
        self._buffer = buffer
        multiplexer.follow(cursors)
        self._close = finalize(self, _end, buffer, [*cursors, *later])
        self._close.atexit = False

    def close(self) -> None:
        """End it; a loop that waits in another thread or task ends."""
        self._close()

    async def aclose(self) -> None:
        """See `close`."""
        self._close()

    def _item(self, found: Any) -> Item | None:
        """What the consumer gets; None for what only this needs to know."""
        item: Item = found
        return item

    def __iter__(self: Self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            while (item := self._item(self._buffer.get())) is None:
                pass
            return item
        except ReadingEnded:
            raise StopIteration from None

    def __enter__(self: Self) -> Self:
        self._buffer.wait_started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> Item:
        # Not only where it has to wait: as long as there is something it would seem to work.
        running_loop()
        try:
            while (item := self._item(await self._buffer.get_async())) is None:
                pass
            return item
        except ReadingEnded:
            raise StopAsyncIteration from None

    async def __aenter__(self: Self) -> Self:
        running_loop()
        await self._buffer.wait_started_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def tail_session(
    multiplexer: Multiplexer,
    log: EventLog,
    session_id: str,
    after: Point | None,
    types: str | Sequence[str] | None,
    agent: str | None,
) -> Tail[Recorded]:
    """Follow one session, see `SessionLog.tail`.

    Raises:
        InvalidPointError: When `after` is none.
        InvalidIdError: When the session id cannot be one.
    """
    check_id("session_id", session_id)
    if after is not None and after != NOW:
        parse_point(after)
    buffer = Buffer[Recorded]()
    return Tail(multiplexer, buffer, [SessionCursor(log, session_id, after, selector(types, agent), buffer)])


def _end(buffer: Buffer[Any], cursors: Sequence[StreamCursor[Any]]) -> None:
    """Whoever reads for the tail is told as when there is room again, and sees that there is nobody."""
    buffer.close()
    for cursor in cursors:
        cursor.resume()
