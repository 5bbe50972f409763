"""`Subscriber.run` goes on whatever its handler, or somebody else, does."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import HandlerError
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of

HANGS = 2 * PATIENCE


async def until(condition: Any, subscriber: Subscriber, handle: Any) -> None:
    task = asyncio.create_task(subscriber.run(handle))
    while not condition() and not task.done():
        await asyncio.sleep(0.01)
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_an_ack_that_came_too_late_does_not_end_it(log: SessionLog, told: Told) -> None:
    told([1])
    handled: list[int] = []

    async def handle(delivery: Any) -> None:
        if not handled:
            # As if it had stood still until others had it.
            delivery.expires = 0.0
            claim = ("XCLAIM", log._events.keyspace.feed(delivery.partition), "g", "thief", 0, delivery.key)
            log.client.execute_command(*claim)
            told([2])
        handled.append(number_of(delivery)[1])

    subscriber = Subscriber(log, "g", bodies=True, claim_after=60)
    asyncio.run(asyncio.wait_for(until(lambda: handled == [1, 2], subscriber, handle), PATIENCE))


def test_it_ends_though_its_handler_ends_in_the_moment_in_which_it_is_cancelled(log: SessionLog, told: Told) -> None:
    told([1])

    async def main() -> None:
        async def handle(delivery: Any) -> None:
            task.cancel()

        task = asyncio.create_task(Subscriber(log, "g", bodies=True).run(handle))
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.done()

    asyncio.run(main())


def test_what_somebody_else_wrote_to_the_feed_is_parked_and_the_rest_goes_on(log: SessionLog, told: Told) -> None:
    told([0, 7])
    feed = log._events.keyspace.feed(log._events.keyspace.partition("s-0"))
    last = log.client.execute_command("XREVRANGE", feed, "+", "-", "COUNT", 1, NEVER_DECODE=True)[0][0].decode()
    ms, sequence = last.split("-")
    log.client.execute_command("XADD", feed, f"{ms}-{int(sequence) + 1}", "what", "ever")
    told([14])
    handled: list[int] = []

    async def handle(delivery: Any) -> None:
        handled.append(delivery.envelope.id.revision)

    subscriber = Subscriber(log, "g", bodies=True, max_attempts=2, backoff=0.01, claim_after=0.2)

    def is_over() -> bool:
        return handled == [1, 2, 3] and sum(one.parked for one in log.groups()) == 1

    asyncio.run(asyncio.wait_for(until(is_over, subscriber, handle), PATIENCE))


def test_a_forked_process_that_leaves_takes_nothing_from_its_parent(log: SessionLog, told: Told) -> None:
    told(range(4), "only")
    with Subscriber(log, "g", bodies=True, ordered=True) as deliveries:
        held = next(deliveries)
        child = os.fork()
        if child == 0:
            deliveries._consumer.close(None)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with Consumer(log, ordered=True) as other:
            held.ack(confirm=True)
            for number in (1, 2, 3):
                delivery = next(deliveries)
                assert number_of(delivery)[1] == number
                delivery.ack()
        assert not other.handled


def test_a_task_that_is_cancelled_while_it_waits_loses_no_event(log: SessionLog) -> None:
    async def main() -> list[int]:
        handled: list[int] = []
        async with Subscriber(log, "g", bodies=True) as deliveries:
            for number in range(20):
                waiting = asyncio.create_task(anext_of(deliveries))
                await asyncio.sleep(0.005)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                log.append("only", [events.Custom("custom.number", {"number": number})])
                delivery = await anext_of(deliveries)
                handled.append(number_of(delivery)[1])
                await delivery.ack()
        return handled

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == list(range(20))


async def anext_of(deliveries: Any) -> Any:
    return await deliveries.__anext__()


def test_a_group_made_anew_on_an_emptied_server_skips_nothing(log: SessionLog, told: Told) -> None:
    """Though it began with what came, and had had nothing yet."""
    with Consumer(log, start="now") as consumer:
        wait_until(lambda: len(log.groups()) == log._events.keyspace.partitions, "the group")
        keys = [log._events.keyspace.group(number, "g") for number in range(log._events.keyspace.partitions)]
        for key in keys:
            log.client.execute_command("DEL", key.feed, key.group, key.position)
        told(range(10))
        wait_until(lambda: set(consumer.handled) == told.all, "all events")
    assert not consumer.errors


class Notes:
    """Handlers of all kinds, which note what they handled, and whether that was in the event loop, before the ack."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.threads: set[int] = set()
        self._pool = ThreadPoolExecutor(1)

    async def note(self, delivery: Any) -> None:
        await asyncio.sleep(0.01)
        self.threads.add(threading.get_ident())
        self.note_at_once(delivery)

    def note_at_once(self, delivery: Any) -> None:
        assert not delivery.is_settled
        self.handled.append(number_of(delivery)[1])

    def note_in_a_pool(self, delivery: Any) -> Future[None]:
        def slow() -> None:
            time.sleep(0.01)
            self.note_at_once(delivery)

        return self._pool.submit(slow)

    async def note_in_a_task(self, delivery: Any) -> asyncio.Task[None]:
        return asyncio.create_task(self.note(delivery))

    def note_later(self, delivery: Any) -> Later:
        return Later(self.note(delivery))

    def log_and_note(self, delivery: Any) -> Any:
        return logged(self.note)(delivery)

    async def __call__(self, delivery: Any) -> None:
        await self.note(delivery)


class Later:
    """Something to be awaited that is no coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self._coroutine.__await__()


class ReturnsCoroutine:
    """A callable object whose `__call__` is a plain function."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def __call__(self, delivery: Any) -> Any:
        return self._notes.note(delivery)


def logged(function: Any) -> Any:
    """A decorator that knows nothing of coroutines."""

    @functools.wraps(function)
    def inner(*arguments: Any) -> Any:
        return function(*arguments)

    return inner


def logged_in_the_loop(function: Any) -> Any:
    """One that knows half of it."""

    @functools.wraps(function)
    async def inner(*arguments: Any) -> Any:
        return function(*arguments)

    return inner


def with_name(notes: Notes, name: str, delivery: Any) -> Any:
    return notes.note(delivery)


HANDLERS: dict[str, Callable[[Notes], Any]] = {
    "a coroutine function": lambda notes: notes.note,
    "a lambda": lambda notes: lambda delivery: notes.note(delivery),
    "a plain function": lambda notes: functools.partial(with_name, notes, "name"),
    "a decorator": lambda notes: logged(notes.note),
    "a decorator twice": lambda notes: logged(logged(notes.note)),
    "a coroutine that returns one": lambda notes: logged_in_the_loop(notes.note),
    "a callable object": lambda notes: notes,
    "a partial of a callable object": functools.partial,
    "a partial of a partial": lambda notes: functools.partial(functools.partial(notes)),
    "a method of it": lambda notes: notes.__call__,
    "a callable object that returns one": ReturnsCoroutine,
    "something to be awaited": lambda notes: notes.note_later,
    "a task": lambda notes: notes.note_in_a_task,
    "a thread pool": lambda notes: notes.note_in_a_pool,
    "a method that decorates": lambda notes: notes.log_and_note,
}


@pytest.mark.parametrize("kind", HANDLERS)
def test_whatever_a_handler_returns_to_be_awaited_is_awaited_in_the_loop_before_the_ack(
    log: SessionLog, told: Told, kind: str
) -> None:
    told(range(3), "only")
    notes = Notes()
    subscriber = Subscriber(log, "g", bodies=True)
    until_it_is_handled = until(lambda: len(notes.handled) == 3, subscriber, HANDLERS[kind](notes))
    asyncio.run(asyncio.wait_for(until_it_is_handled, PATIENCE))
    assert notes.handled == [0, 1, 2]
    assert notes.threads <= {threading.get_ident()}
    assert sum(one.parked for one in log.groups()) == 0


async def never(delivery: Any) -> None:
    await asyncio.sleep(HANGS)


async def fails(delivery: Any) -> None:
    await asyncio.sleep(0)
    raise LookupError("not there")


async def times_out(delivery: Any) -> None:
    await asyncio.sleep(0)
    raise asyncio.TimeoutError("of its own")


async def waits_for_what_is_cancelled(delivery: Any) -> None:
    waiting = asyncio.ensure_future(asyncio.sleep(HANGS))
    asyncio.get_running_loop().call_soon(waiting.cancel)
    await waiting


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        (never, "TimeoutError: not handled within 0.3 s"),
        (fails, "LookupError"),
        (times_out, "TimeoutError"),
        (waits_for_what_is_cancelled, "asyncio.exceptions.CancelledError"),
    ],
)
def test_what_a_handler_returned_may_fail_and_take_too_long_like_a_handler(
    log: SessionLog, told: Told, handle: Any, error: str
) -> None:
    told(range(2), "only")
    subscriber = Subscriber(log, "g", bodies=True, timeout=0.3 if handle is never else PATIENCE, max_attempts=1)
    until_parked = until(lambda: len(list(log.parked("g"))) == 2, subscriber, lambda delivery: handle(delivery))
    asyncio.run(asyncio.wait_for(until_parked, PATIENCE))
    for parked in log.parked("g"):
        assert parked.error.startswith(error)
        assert ("not handled within" in parked.error) == (handle is never)


def test_a_plain_function_that_returns_a_coroutine_too_late_leaves_none_that_never_ran(
    log: SessionLog, told: Told, recwarn: pytest.WarningsRecorder
) -> None:
    told([1])
    returned = threading.Event()

    def handle(delivery: Any) -> Any:
        time.sleep(0.2)
        returned.set()
        return fails(delivery)

    subscriber = Subscriber(log, "g", bodies=True, timeout=0.05, max_attempts=1)
    until_parked = until(lambda: returned.is_set() and list(log.parked("g")), subscriber, handle)
    asyncio.run(asyncio.wait_for(until_parked, PATIENCE))
    gc.collect()
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]


def yields(delivery: Any) -> Any:
    yield number_of(delivery)


async def yields_in_the_loop(delivery: Any) -> Any:
    yield number_of(delivery)


@pytest.mark.parametrize("handle", [yields, yields_in_the_loop])
def test_a_handler_that_yields_is_refused_and_nothing_counts_as_done(log: SessionLog, told: Told, handle: Any) -> None:
    told(range(3), "only")
    with pytest.raises(HandlerError, match=r"handler=yields.*yield"):
        asyncio.run(asyncio.wait_for(Subscriber(log, "g", bodies=True).run(handle), PATIENCE))
    with Consumer(log) as other:
        wait_until(lambda: len(other.handled) == 3, "all of them")
