"""What a consumer reads from."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from ..errors import FeedGapError
from .consumer import Consumer
from .counters import Counters
from .delivery import BaseDelivery, Delivery, SyncDelivery

AnyDelivery = TypeVar("AnyDelivery", bound=BaseDelivery)

_LOOK_EVERY = 0.1


class _Deliveries:
    """What the async and the sync ones share."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer, self._most = consumer, consumer.settings.batch
        # In order, what is taken at once counts as one.
        self._ahead = 1 if consumer.settings.ordered else self._most
        self._read: deque[BaseDelivery] = deque()

    @property
    def counters(self) -> Counters:
        """What this consumer has seen so far."""
        return self._consumer.counters

    def stop(self) -> None:
        """End the iteration after what is being handled; may be called from anywhere, also from a signal's handler."""
        self._consumer.stop()

    def catch_up(self, gap: FeedGapError) -> None:
        """Have what a gap swallowed delivered from the session streams, which still have it.

        Events of that time may come that were delivered before: at least once.
        """
        self._consumer.catch_up(gap)

    def skip(self, gap: FeedGapError) -> None:
        """Go on behind a gap; nobody of the group is told of it again."""
        self._consumer.skip(gap)

    def _next(self) -> Any:
        """The next of what was read and may still be handled; None when nothing of it is left."""
        try:
            while not self._consumer.begin(delivery := self._read.popleft(), time.monotonic()):
                pass
        except IndexError:
            # Another task, or thread, may have read the last one.
            return None
        return delivery

    def _begun(self, found: Sequence[BaseDelivery]) -> list[Any]:
        """Those that still may be handled; what others may have by now is left alone."""
        now = time.monotonic()
        return [one for one in found if self._consumer.begin(one, now)]

    def _acks(self, batch: Sequence[AnyDelivery]) -> list[tuple[AnyDelivery, Future[bool]]]:
        """Of those that are not settled yet."""
        return [(one, future) for one in batch if (future := one._ack(True))]


class Deliveries(_Deliveries):
    """Iterate over it with `async for`; several tasks may."""

    def __aiter__(self) -> Deliveries:
        return self

    async def __anext__(self) -> Delivery:
        """The next delivery.

        Raises:
            FeedGapError: When envelopes are gone that were not delivered; iterating again goes on behind them.
            LogForkedError: When history was replaced by another; the subscription has ended.
        """
        while True:
            delivery: Delivery | None = self._next()
            if delivery:
                return delivery
            found = self._consumer.channel.take(self._ahead)
            if found is None:
                raise StopAsyncIteration
            self._read.extend(found)
            if not found:
                # What comes, another task may read, and leave the rest of it to this one.
                await self._consumer.channel.arrival()

    async def batches(self, most: int = 0) -> AsyncIterator[list[Delivery]]:
        """All that is there, as it comes.

        Args:
            most: How many at once at most; as many as the subscription takes at once if 0.
        """
        most = most or self._most
        while (found := await self._consumer.channel.aget(most)) is not None:
            if begun := self._begun(found):
                yield begun

    async def ack(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """Say that they are done, and wait for the server's word.

        Returns:
            Those that count as done by this: others have been taken over by another consumer, or had been failed,
            parked, acked or given back before.
        """
        return [one for one, future in self._acks(batch) if await asyncio.wrap_future(future)]


class SyncDeliveries(_Deliveries):
    """Iterate over it with `for`; several threads may."""

    def __iter__(self) -> Iterator[SyncDelivery]:
        return self

    def __next__(self) -> SyncDelivery:
        """See `Deliveries.__anext__`."""
        while True:
            delivery: SyncDelivery | None = self._next()
            if delivery:
                return delivery
            # What comes, another thread may read, and leave the rest of it to this one.
            found = self._consumer.channel.get(self._ahead, _LOOK_EVERY)
            if found is None:
                raise StopIteration
            self._read.extend(found)

    def batches(self, most: int = 0) -> Iterator[list[SyncDelivery]]:
        """See `Deliveries.batches`."""
        most = most or self._most
        while (found := self._consumer.channel.get(most)) is not None:
            if begun := self._begun(found):
                yield begun

    def ack(self, batch: Sequence[SyncDelivery]) -> list[SyncDelivery]:
        """See `Deliveries.ack`."""
        return [one for one, future in self._acks(batch) if future.result()]
