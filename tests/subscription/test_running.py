"""`Subscriber.run` goes on whatever its handler, or somebody else, does."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from strands_session_log import SessionLog, Subscriber, events
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of


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
            claim = ("XCLAIM", log.events.keyspace.feed(delivery.partition), "g", "thief", 0, delivery.key)
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
    feed = log.events.keyspace.feed(log.events.keyspace.partition("s-0"))
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
            deliveries._exchange.close(None)
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
        wait_until(lambda: len(log.groups()) == log.events.keyspace.partitions, "the group")
        keys = [log.events.keyspace.group(number, "g") for number in range(log.events.keyspace.partitions)]
        for key in keys:
            log.client.execute_command("DEL", key.feed, key.group, key.position)
        told(range(10))
        wait_until(lambda: len(set(consumer.handled)) == 10 or consumer.errors, "all events, or an error")
