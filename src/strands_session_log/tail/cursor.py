"""One stream, followed for one reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

from ..codec import RawEntry
from ..event_log.reader import next_count
from .buffer import Buffer, Sized

T = TypeVar("T")

PAGE_BYTES = 512 * 1024
_FIRST_PAGE = 4

Command: TypeAlias = "tuple[str | int, ...]"


class CursorState(Enum):
    """Where a cursor stands, and who takes care of it from there.

    Attributes:
        BEHIND: There may be more to read at once: the catch-up reader reads page by page.
        LIVE: At the end of its stream: the blocking reader waits for what comes.
        BLOCKED: The consumer is slow: nobody reads, until it calls again.
        CLOSED: Nobody will read any more.
    """

    BEHIND = "behind"
    LIVE = "live"
    BLOCKED = "full"
    CLOSED = "over"


class StreamCursor(ABC, Generic[T]):
    """One stream followed for one reader; one thread at a time takes care of it.

    Its position moves with what was read and goes into the buffer, so an error on the way loses and repeats nothing.

    Args:
        key: The stream.
        partition: Its partition.
        buffer: Where what is read goes.
    """

    def __init__(self, key: str, partition: int, buffer: Buffer[T]) -> None:
        self.key, self.partition, self.buffer = key, partition, buffer
        self._bring: Callable[[StreamCursor[Any]], object] = lambda cursor: None
        self._has_begun, self._has_left, self._count = False, False, _FIRST_PAGE

    def followed_by(self, bring: Callable[[StreamCursor[Any]], object]) -> None:
        """Know who takes care of it; takes a cursor in any thread, at any moment, and neither waits nor raises."""
        self._bring = bring

    def resume(self) -> None:
        """Have it looked at: there is room again, or nobody who consumes."""
        self._bring(self)

    @property
    def is_over(self) -> bool:
        """Whether nobody need read for it any more."""
        return self._has_left or self.buffer.has_ended

    @property
    @abstractmethod
    def position(self) -> tuple[int, int]:
        """The stream id, as numbers, of what was read last."""

    @abstractmethod
    def _begin(self) -> None:
        """Ask the server where to begin; may be repeated."""

    @abstractmethod
    def _page(self, count: int) -> Sequence[RawEntry]:
        """Read so many entries after the position, once it is certain that it still stands."""

    @abstractmethod
    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        """Check what follows the position, move there, and tell what of it is for the consumer."""

    @abstractmethod
    def probe(self) -> Sequence[Command]:
        """What to ask the server to learn whether the position still stands and is the end: constant in size."""

    @abstractmethod
    def is_current(self, replies: Sequence[Any]) -> bool:
        """Whether it does; False is no verdict but calls for a closer look."""

    @property
    def landmark(self) -> RawEntry | None:
        """An entry to be looked for once more has come; None where what comes tells whether history stands."""
        return None

    def doubt(self, landmark: RawEntry) -> None:
        """Look closer: an entry that was read is not where it was, or is another."""

    @property
    def can_wait(self) -> bool:
        """Whether what comes next needs nothing but the entry to be understood."""
        return True

    def advance(self) -> CursorState:
        """Read one page.

        Raises:
            SessionLogError: When it cannot be followed any further.
        """
        if not self._has_begun:
            self._begin()
            self._has_begun = True
            self.buffer.started()
        page = self._page(self._count)
        if len(page) < self._count:
            return self._deliver(page, CursorState.LIVE)
        self._count = next_count(page, PAGE_BYTES)
        return self._deliver(page, CursorState.BEHIND)

    def take(self, entries: Sequence[RawEntry]) -> CursorState:
        """Take what came while it was at the end of its stream.

        Raises:
            SessionLogError: When it cannot be followed any further.
        """
        if not self.can_wait:
            return CursorState.BEHIND
        # Another reader of the stream may be behind this one.
        known = sum(numbers_of(entry) <= self.position for entry in entries)
        return self._deliver(entries[known:], CursorState.LIVE)

    def fail(self, error: Exception) -> None:
        """Let the consumer know, after all that was read."""
        self.buffer.end(error)

    def _leave(self, error: Exception) -> None:
        """Let the consumer know, and the others that read for it go on."""
        self._has_left = True
        if not self._has_begun:
            self.buffer.started()
        self.buffer.leave(error)

    def _deliver(self, entries: Sequence[RawEntry], otherwise: CursorState) -> CursorState:
        items: list[Sized] = []
        has_room = True
        try:
            for entry in entries:
                items += self._accept(entry)
        finally:
            # Also what precedes an entry that does not belong there.
            if items:
                has_room = self.buffer.put(items, self.resume)
        if self.is_over:
            return CursorState.CLOSED
        return otherwise if has_room else CursorState.BLOCKED


def numbers_of(entry: RawEntry) -> tuple[int, int]:
    """Where an entry stands in its stream, whoever wrote it."""
    first, _, second = entry[0].partition(b"-")
    return int(first), int(second)
