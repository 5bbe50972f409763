"""Handling deliveries with a function: many at once, each with a deadline."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from ..errors import DeliveryLostError, HandlerError
from ..errors.quoting import type_and_place
from .deliveries import Deliveries
from .delivery import Delivery
from .failure import Failure
from .handler_threads import HandlerThread

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Delivery], Awaitable[object] | object]"
"""Handles one delivery: a coroutine function, or a plain one, which runs in a thread; what it returns is awaited."""


async def run(deliveries: Deliveries, handler: Handler, concurrency: int, timeout: float) -> None:
    """See `Subscriber.run`."""
    ending = asyncio.Event()
    workers = [asyncio.create_task(_work(deliveries, handler, timeout, ending)) for _ in range(concurrency)]
    try:
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        for worker in done:
            worker.result()
    finally:
        # A handler that ends just now swallows the cancellation (`asyncio.wait_for`): its worker must not go on.
        ending.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _work(deliveries: Deliveries, handler: Handler, timeout: float, ending: asyncio.Event) -> None:
    hand = HandlerThread()
    try:
        async for delivery in deliveries:
            await _handle(delivery, handler, timeout, hand, ending)
            if ending.is_set():
                return
    finally:
        hand.close()


async def _handle(
    delivery: Delivery, handler: Handler, timeout: float, hand: HandlerThread, ending: asyncio.Event
) -> None:
    try:
        error = await asyncio.wait_for(_failure(handler, delivery, hand), timeout)
    except asyncio.TimeoutError:
        await delivery.fail(Failure(f"TimeoutError: not handled within {timeout:g} s"))
    except asyncio.CancelledError as cancelled:
        if ending.is_set():
            raise
        # Something that the handler waited for was cancelled, not the subscription.
        await delivery.fail(cancelled)
    else:
        await _settle(delivery, error)


async def _settle(delivery: Delivery, error: Exception | None) -> None:
    if error:
        # Not its text, which may quote what it could not handle.
        logger.warning("delivery=<%s>, error=<%s> | its handler failed", delivery, type_and_place(error))
        await delivery.fail(error)
        return
    try:
        await delivery.ack()
    except DeliveryLostError as lost:
        logger.warning("error=<%s> | it took too long", lost)


async def _failure(handler: Handler, delivery: Delivery, hand: HandlerThread) -> Exception | None:
    """What went wrong. Raised, a time-out of the handler's own could not be told from that of the subscription."""
    try:
        await _call(handler, delivery, hand)
    except HandlerError:
        raise
    except Exception as error:
        return error
    return None


async def _call(handler: Handler, delivery: Delivery, hand: HandlerThread) -> None:
    """Call it, and await what it returns: much that is no coroutine function returns something to be awaited."""
    returned: Any = handler(delivery) if _is_coroutine_function(handler) else await hand.run(handler, delivery)
    while True:
        if inspect.isawaitable(returned):
            returned = await returned
        elif isinstance(returned, concurrent.futures.Future):
            returned = await asyncio.wrap_future(returned)
        else:
            break
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        # Every delivery would seem to be done.
        raise HandlerError.of("handler", handler, returned, "a handler must not `yield`")


def _is_coroutine_function(handler: Any) -> bool:
    while isinstance(handler, partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
