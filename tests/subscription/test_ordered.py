"""Ordered mode: the events of a session one after the other, whichever consumers there are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from strands_session_log import SessionLog, Subscriber
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of

Log = Callable[..., SessionLog]


def first_times(handled: list[tuple[str, int]]) -> dict[str, list[int]]:
    """The numbers of each session, in the order in which they were handled for the first time."""
    found: dict[str, list[int]] = {}
    for session, number in handled:
        numbers = found.setdefault(session, [])
        if number not in numbers:
            numbers.append(number)
    return found


@pytest.mark.parametrize("concurrency", [1, 3])
def test_what_follows_a_failure_waits_for_it_though_it_was_fetched(
    log: SessionLog, told: Told, concurrency: int
) -> None:
    told(range(30), "s-{}")
    handled: list[tuple[str, int]] = []
    failed: set[int] = set()

    async def handle(delivery: Any) -> None:
        session, number = number_of(delivery)
        await asyncio.sleep(0)
        if number % 4 == 1 and number not in failed:
            failed.add(number)
            raise ValueError(number)
        handled.append((session, number))

    async def main() -> None:
        subscriber = Subscriber(log, "g", ordered=True, bodies=True, backoff=0.01, claim_after=1)
        task = asyncio.create_task(subscriber.run(handle, concurrency=concurrency))
        while len(set(handled)) < 30:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert all(numbers == sorted(numbers) for numbers in first_times(handled).values())


def test_what_a_gap_swallowed_comes_before_what_follows_it(log: SessionLog, told: Told) -> None:
    told(range(5), "only")
    with Consumer(log, ordered=True) as consumer:
        wait_until(lambda: len(consumer.handled) == 5, "the first events")
    told(range(5, 9), "only")
    log.client.execute_command("DEL", log.events.keyspace.feed(log.events.keyspace.partition("only")))
    told(range(9, 12), "only")
    with Consumer(log, ordered=True, on_gap="catch_up") as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= set(range(5, 12)), "what was missing")
    numbers = first_times(consumer.handled)["only"]
    assert numbers == sorted(numbers)


def crash(consumer: Consumer) -> None:
    """Let a consumer fall silent, as kill -9 does: it takes and tells nothing any more."""
    exchange = consumer.deliveries._exchange
    for intake in exchange._intakes:
        intake.stop()
    exchange._desk._group.settle = lambda words: 1 / 0
    exchange._group.leave = lambda partitions: None
    exchange.mailbox.close()
    consumer.join(10)
    for intake in exchange._intakes:
        intake.join(10)


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 16))
def test_order_holds_across_consumers_that_come_and_go(
    make_client: Callable[..., Any], new_namespace: Callable[[], str], seed: int
) -> None:
    chance, namespace = random.Random(seed), new_namespace()
    handled: list[tuple[str, int]] = []

    def handle(delivery: Any) -> None:
        if chance.random() < 0.05:
            raise ValueError("by chance")
        handled.append(number_of(delivery))

    def consumer() -> Consumer:
        return Consumer(SessionLog(make_client(), namespace), handle=handle, **SETTINGS)

    told, running = Told(SessionLog(make_client(), namespace)), [consumer()]
    for at in range(0, 210, 30):
        told(range(at, at + 30))
        running.append(consumer())
        if chance.random() < 0.8:
            chance.choice([crash, Consumer.stop])(running.pop(chance.randrange(len(running))))
    wait_until(lambda: set(handled) == told.all, "all events", timeout=30)
    for one in running:
        one.stop()
    assert all(numbers == sorted(numbers) for numbers in first_times(handled).values())


SETTINGS: dict[str, Any] = {"ordered": True, "claim_after": 0.3, "backoff": 0.01, "max_attempts": 50, "batch": 5}
