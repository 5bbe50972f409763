"""Handling deliveries with a function: many at once, each with a deadline."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from ..errors import DeliveryLostError, SessionLogError
from .deliveries import Deliveries
from .delivery import Delivery
from .hands import Hand

logger = logging.getLogger(__name__)

Handler: TypeAlias = "Callable[[Delivery], Awaitable[object] | object]"
"""Handles one delivery: a coroutine function, or a plain one, which runs in a thread; what it returns is awaited."""


async def run(deliveries: Deliveries, handler: Handler, concurrency: int, timeout: float) -> None:
    """See `Subscriber.run`."""
    deliveries.are_settled()
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
    hand = Hand()
    try:
        async for delivery in deliveries:
            await _handle(delivery, handler, timeout, hand, ending)
            if ending.is_set():
                return
    finally:
        hand.let_go()


async def _handle(delivery: Delivery, handler: Handler, timeout: float, hand: Hand, ending: asyncio.Event) -> None:
    returned: object = None
    try:
        returned = await asyncio.wait_for(_called(handler, delivery, hand), timeout)
    except asyncio.TimeoutError:
        await delivery.fail(f"TimeoutError: not handled within {timeout:g} s")
    except asyncio.CancelledError as error:
        if ending.is_set():
            raise
        # Something that it waited for was cancelled, not the subscription.
        await delivery.fail(error)
    except Exception as error:
        logger.warning("delivery=<%s>, error=<%r> | its handler failed", delivery, error)
        await delivery.fail(error)
    else:
        _check_it_ran(handler, returned)
        try:
            await delivery.ack()
        except DeliveryLostError as lost:
            logger.warning("error=<%s> | it took too long", lost)


async def _called(handler: Handler, delivery: Delivery, hand: Hand) -> object:
    """What the handler returns in the end: much that is no coroutine function returns something to be awaited."""
    returned: Any = handler(delivery) if _is_coroutine_function(handler) else await hand.run(handler, delivery)
    while True:
        if inspect.isawaitable(returned):
            returned = await returned
        elif isinstance(returned, concurrent.futures.Future):
            returned = await asyncio.wrap_future(returned)
        else:
            return returned


def _is_coroutine_function(handler: Any) -> bool:
    while isinstance(handler, partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _check_it_ran(handler: Handler, returned: object) -> None:
    """Refuse a handler with a `yield` in it: calling it runs nothing, so that every delivery would seem to be done.

    Raises:
        SessionLogError: When it returned a generator.
    """
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        raise SessionLogError(
            f"handler={handler!r}: it returned a generator, of which nothing has run; a handler must not `yield`"
        )
