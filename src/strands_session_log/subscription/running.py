"""Handling deliveries with a function: many at once, each with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import logging
import zlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from .deliveries import Deliveries
from .delivery import Delivery
from .settings import SubscriptionSettings

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Delivery], Awaitable[object] | object]"
"""Handles one delivery: a coroutine function, or a plain one, which runs in a thread."""


async def run(deliveries: Deliveries, handler: Handler, concurrency: int, settings: SubscriptionSettings) -> None:
    """See `Subscriber.run`."""
    queues: list[asyncio.Queue[Delivery | None]] = [asyncio.Queue(maxsize=1) for _ in range(concurrency)]
    if not settings.ordered:
        queues = [queues[0]] * concurrency
    workers = [asyncio.create_task(_work(queue, handler, settings.timeout)) for queue in queues]
    try:
        await _distribute(deliveries, queues, workers)
        for queue in queues:
            await _put(queue, None, workers)
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _distribute(
    deliveries: Deliveries, queues: list[asyncio.Queue[Delivery | None]], workers: list[asyncio.Task[None]]
) -> None:
    """The events of one session go to the same worker, which takes one after the other."""
    async for delivery in deliveries:
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


async def _work(queue: asyncio.Queue[Delivery | None], handler: Handler, timeout: float) -> None:
    while (delivery := await queue.get()) is not None:
        if not delivery.is_settled:
            await _handle(delivery, handler, timeout)


async def _handle(delivery: Delivery, handler: Handler, timeout: float) -> None:
    try:
        await asyncio.wait_for(_called(handler, delivery), timeout)
    except asyncio.TimeoutError:
        await delivery.fail(f"TimeoutError: not handled within {timeout:g} s")
    except Exception as error:
        logger.warning("delivery=<%s>, error=<%r> | its handler failed", delivery, error)
        await delivery.fail(error)
    else:
        await delivery.ack()


async def _called(handler: Handler, delivery: Delivery) -> None:
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
        await handler(delivery)  # type: ignore[misc]
    else:
        await asyncio.to_thread(handler, delivery)
