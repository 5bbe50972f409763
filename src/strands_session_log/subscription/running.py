"""Handling deliveries with a function: many at once, each with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import logging
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ..errors import DeliveryLostError
from ..errors.quoting import type_and_place
from .deliveries import Deliveries
from .delivery import Delivery
from .failure import Failure
from .hands import Hand
from .settings import SubscriptionSettings

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Delivery], Awaitable[object] | object]"
"""Handles one delivery: a coroutine function, or a plain one, which runs in a thread."""


async def run(deliveries: Deliveries, handler: Handler, concurrency: int, settings: SubscriptionSettings) -> None:
    """See `Subscriber.run`."""
    queues: list[asyncio.Queue[Delivery | None]] = [asyncio.Queue(maxsize=1) for _ in range(concurrency)]
    if not settings.ordered:
        queues = [queues[0]] * concurrency
    ending = asyncio.Event()
    workers = [asyncio.create_task(_work(deliveries, queue, handler, settings.timeout, ending)) for queue in queues]
    try:
        await _distribute(deliveries, queues, workers)
        for queue in queues:
            await _put(queue, None, workers)
        await asyncio.gather(*workers)
    finally:
        # A handler that ends just now swallows the cancellation (`asyncio.wait_for`): its worker must not go on.
        ending.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _distribute(
    deliveries: Deliveries, queues: list[asyncio.Queue[Delivery | None]], workers: list[asyncio.Task[None]]
) -> None:
    """The events of one session go to the same worker, which takes one after the other."""
    async for delivery in deliveries:
        # It waits for its turn, and until then it may be called back (`Deliveries.begin`).
        delivery.started = 0.0
        number = zlib.crc32(delivery.session_id.encode()) % len(queues)
        await _put(queues[number], delivery, workers)


async def _put(queue: asyncio.Queue[Delivery | None], item: Delivery | None, workers: list[asyncio.Task[None]]) -> None:
    putting = asyncio.ensure_future(queue.put(item))
    await asyncio.wait([putting, *workers], return_when=asyncio.FIRST_COMPLETED)
    if not putting.done():
        putting.cancel()
        # A worker ends early only by an error of our own.
        await asyncio.gather(*(worker for worker in workers if worker.done()))
    await putting


async def _work(
    deliveries: Deliveries,
    queue: asyncio.Queue[Delivery | None],
    handler: Handler,
    timeout: float,
    ending: asyncio.Event,
) -> None:
    hand = Hand()
    try:
        while not ending.is_set() and (delivery := await queue.get()) is not None:
            if deliveries.begin(delivery):
                await _handle(delivery, handler, timeout, hand)
    finally:
        hand.let_go()


async def _handle(delivery: Delivery, handler: Handler, timeout: float, hand: Hand) -> None:
    try:
        await asyncio.wait_for(_called(handler, delivery, hand), timeout)
    except asyncio.TimeoutError:
        await delivery.fail(Failure(f"TimeoutError: not handled within {timeout:g} s"))
    except Exception as error:
        # Not its text, which may quote what it could not handle.
        logger.warning("delivery=<%s>, error=<%s> | its handler failed", delivery, type_and_place(error))
        await delivery.fail(error)
    else:
        try:
            await delivery.ack()
        except DeliveryLostError as lost:
            logger.warning("error=<%s> | it took too long", lost)


async def _called(handler: Handler, delivery: Delivery, hand: Hand) -> None:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
        await handler(delivery)  # type: ignore[misc]
    else:
        await hand.run(handler, delivery)
