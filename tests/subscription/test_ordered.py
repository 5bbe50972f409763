"""Ordered mode: the events of a session one after the other, whichever consumers there are."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from strands_session_log import SessionLog, Subscriber, testing
from strands_session_log.errors import DeliveryLostError
from strands_session_log.scripts.group_protocol import Disposition, SettleReply, SettleRequest
from strands_session_log.subscription.failure import Failure
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
    log.client.execute_command("DEL", log._events.keyspace.feed(log._events.keyspace.partition("only")))
    told(range(9, 12), "only")
    with Consumer(log, ordered=True, on_gap="catch_up") as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= set(range(5, 12)), "what was missing")
    numbers = first_times(consumer.handled)["only"]
    assert numbers == sorted(numbers)


def crash(consumer: Consumer) -> None:
    """Let a consumer fall silent, as kill -9 does: it takes and tells nothing any more."""
    testing.crash(consumer.deliveries)
    consumer.join(10)


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


def told_in_one_partition(log: SessionLog, told: Told, sessions: int = 2, each: int = 3) -> list[str]:
    """Append events of sessions that share a partition, in turn; their names."""
    numbered = (f"x-{number}" for number in itertools.count())
    first = log._events.keyspace.partition("x-0")
    names = list(itertools.islice((one for one in numbered if log._events.keyspace.partition(one) == first), sessions))
    for number in range(each):
        for name in names:
            told([number], name)
    return names


class InHand:
    """Handles deliveries, some of which fail, and sees that of no session two are in hand, or one before its turn."""

    def __init__(self, chance: random.Random) -> None:
        self.handled: list[tuple[str, int]] = []
        self._chance, self._in_hand, self._lock = chance, dict[str, int](), threading.Lock()

    async def handle(self, delivery: Any) -> None:
        """All of it, in a task."""
        self.begin(delivery)
        for _ in range(self._chance.randrange(3)):
            await asyncio.sleep(0)
        await (delivery.ack() if self.end(delivery) else delivery.fail("by chance"))

    def begin(self, delivery: Any) -> None:
        session, number = number_of(delivery)
        with self._lock:
            assert session not in self._in_hand, f"{session}: {number} while {self._in_hand[session]} is in hand"
            self._in_hand[session] = number

    def linger(self) -> None:
        """Take a moment, in a thread."""
        threading.Event().wait(self._chance.random() / 1000)

    def end(self, delivery: Any) -> bool:
        """Whether it is done; otherwise it is to be tried again."""
        session, number = number_of(delivery)
        is_done = delivery.attempts > 1 or self._chance.random() > 0.2
        with self._lock:
            del self._in_hand[session]
            if is_done:
                self.handled.append((session, number))
        return is_done

    def check(self) -> None:
        assert all(numbers == sorted(numbers) for numbers in first_times(self.handled).values()), self.handled


@pytest.mark.parametrize("way", ["each", "batches", "both"])
def test_no_event_is_handed_out_before_the_one_before_is_settled_however_many_tasks_iterate(
    log: SessionLog, told: Told, way: str
) -> None:
    told(range(120))
    in_hand = InHand(random.Random(way))

    async def one_by_one(deliveries: Any) -> None:
        async for delivery in deliveries:
            await in_hand.handle(delivery)

    async def one_of_each_batch(deliveries: Any) -> None:
        async for batch in deliveries.batches(1):
            await in_hand.handle(batch[0])

    async def main() -> None:
        ways = {"each": [one_by_one], "batches": [one_of_each_batch], "both": [one_by_one, one_of_each_batch]}
        async with Subscriber(log, "g", ordered=True, bodies=True, backoff=0.01, max_attempts=50) as deliveries:
            tasks = [asyncio.create_task(iterate(deliveries)) for iterate in ways[way] * 8]
            while len(set(in_hand.handled)) < 120 and not any(task.done() for task in tasks):
                await asyncio.sleep(0.01)
            deliveries.stop()
            await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    in_hand.check()


def test_no_event_is_handed_out_before_the_one_before_is_settled_however_many_threads_iterate(
    log: SessionLog, told: Told
) -> None:
    told(range(120))
    in_hand = InHand(random.Random(0))
    errors: list[BaseException] = []

    def iterate(deliveries: Any) -> None:
        try:
            for delivery in deliveries:
                in_hand.begin(delivery)
                in_hand.linger()
                delivery.ack() if in_hand.end(delivery) else delivery.fail("by chance")
        except BaseException as error:
            errors.append(error)

    with Subscriber(log, "g", ordered=True, bodies=True, backoff=0.01, max_attempts=50) as deliveries:
        threads = [threading.Thread(target=iterate, args=(deliveries,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: errors or len(set(in_hand.handled)) == 120, "all events")
        deliveries.stop()
        for thread in threads:
            thread.join(10)
    assert not errors
    in_hand.check()


def test_a_loop_that_settles_nothing_is_handed_one_event_of_each_session(log: SessionLog, told: Told) -> None:
    names = told_in_one_partition(log, told, sessions=3)

    async def main() -> None:
        async with Subscriber(log, "g", ordered=True, bodies=True) as deliveries:
            first = [await anext_of(deliveries) for _ in names]
            assert [number_of(delivery) for delivery in first] == [(name, 0) for name in names]
            waiting = asyncio.create_task(anext_of(deliveries))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await first[1].ack()
            assert number_of(await waiting) == (names[1], 1)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_consecutive_events_taken_in_one_batch_count_as_one(log: SessionLog, told: Told) -> None:
    told(range(3), "only")
    with Subscriber(log, "g", ordered=True, bodies=True) as deliveries:
        (first,) = next(deliveries.batches(1))
        channel: Any = deliveries._consumer._ordered
        wait_until(lambda: len(channel._later["only"]) == 2, "the others to be fetched")
        first.ack()
        batch = next(deliveries.batches())
        assert [number_of(delivery) for delivery in batch] == [("only", 1), ("only", 2)]
        told([3], "only")
        deliveries.ack(batch[1:])
        assert deliveries._consumer.channel.take() == []
        deliveries.ack(batch[:1])
        assert number_of(next(deliveries)) == ("only", 3)


def test_while_a_session_waits_the_others_of_its_partition_go_on(log: SessionLog, told: Told) -> None:
    slow, *others = told_in_one_partition(log, told, sessions=3)
    handled = list[tuple[str, int]]()

    async def main() -> None:
        release = asyncio.Event()

        async def handle(delivery: Any) -> None:
            if delivery.session_id == slow:
                await release.wait()
            handled.append(number_of(delivery))

        task = asyncio.create_task(Subscriber(log, "g", ordered=True, bodies=True).run(handle, concurrency=2))
        while len(handled) < 6 and not task.done():
            await asyncio.sleep(0.01)
        assert {session for session, _ in handled} == set(others)
        release.set()
        while len(handled) < 9 and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert all(numbers == sorted(numbers) for numbers in first_times(handled).values())


def test_sessions_that_fill_their_batches_leave_no_handler_idle(log: SessionLog, told: Told) -> None:
    """Of each of them, only one event is handled at a time, however many were fetched."""
    keyspace = log._events.keyspace
    for at in range(4):
        name = next(one for one in (f"y-{number}" for number in itertools.count()) if keyspace.partition(one) == at)
        told(range(20), name)
    at_work, most = set[str](), list[int]()

    async def handle(delivery: Any) -> None:
        at_work.add(delivery.session_id)
        most.append(len(at_work))
        await asyncio.sleep(0.01)
        at_work.discard(delivery.session_id)

    async def main() -> None:
        subscriber = Subscriber(log, "g", ordered=True, bodies=True, batch=10)
        task = asyncio.create_task(subscriber.run(handle, concurrency=4))
        while len(most) < 80 and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert max(most) == 4


def test_a_consumer_that_waits_for_its_own_ack_says_so_once_in_a_while(
    log: SessionLog, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told(range(3), "only")

    def told_of() -> list[str]:
        return [record.message for record in caplog.records if "ack of its own" in record.message]

    with Subscriber(log, "g", ordered=True, bodies=True, claim_after=0.2) as deliveries:
        first = next(deliveries)
        waiting = threading.Thread(target=lambda: next(deliveries).ack(), daemon=True)
        waiting.start()
        wait_until(told_of, "the line")
        machinery = deliveries._consumer
        for _ in range(3):
            machinery._tell_of_blocked()
        first.ack()
        waiting.join(10)
        assert not waiting.is_alive()
    (line,) = told_of()
    assert f"session=<only>, event=<{first.id}>" in line
    assert "waiting=<2>" in line


def test_a_consumer_whose_handlers_are_slow_is_not_told_to_settle(
    log: SessionLog, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    told(range(2), "only")
    handled: list[int] = []

    async def main() -> None:
        async def handle(delivery: Any) -> None:
            await asyncio.sleep(2.5)
            handled.append(number_of(delivery)[1])

        subscriber = Subscriber(log, "g", ordered=True, bodies=True, claim_after=0.2)
        task = asyncio.create_task(subscriber.run(handle, concurrency=2))
        while not handled and not task.done():
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert not [record for record in caplog.records if "ack of its own" in record.message]


@pytest.mark.parametrize("start", ["feed", "beginning"])
def test_what_nobody_settles_is_tried_again_and_parked_and_what_follows_goes_on(
    log: SessionLog, told: Told, start: str
) -> None:
    told(range(3), "only")
    settings: Any = {"timeout": 0.1, "claim_after": 1.0, "max_attempts": 2, "backoff": 0.01, "start": start}
    with Subscriber(log, "g", ordered=True, bodies=True, **settings) as deliveries:
        tries = [next(deliveries) for _ in range(2)]
        assert [number_of(one) for one in tries] == [("only", 0)] * 2
        assert [one.attempts for one in tries] == [1, 2]
        for number in (1, 2):
            following = next(deliveries)
            assert number_of(following) == ("only", number)
            following.ack()
        wait_until(lambda: list(log.parked("g")), "the first to be parked")
        (parked,) = log.parked("g")
        assert "TimeoutError" in parked.error
        for late in tries:
            with pytest.raises(DeliveryLostError):
                late.ack()


def test_what_is_tried_again_and_settled_by_nobody_holds_up_its_session_for_no_longer_than_it_may(
    log: SessionLog, told: Told
) -> None:
    told([0], "only")
    with Subscriber(log, "g", ordered=True, bodies=True, timeout=0.1, claim_after=1.0, backoff=0.01) as deliveries:
        next(deliveries).park("by hand")
        wait_until(lambda: list(log.parked("g")), "it to be parked")
        log.parked("g").replay([parked.parked_id for parked in log.parked("g")])
        assert number_of(next(deliveries)) == ("only", 0)
        told([1], "only")
        following = next(deliveries)
        while number_of(following) == ("only", 0):
            following = next(deliveries)
        following.ack()


@pytest.mark.parametrize("first", ["ack", "park"])
def test_what_is_failed_for_being_late_and_settled_in_the_same_moment_is_no_gap(
    log: SessionLog, told: Told, first: str
) -> None:
    told([0], "only")
    with Subscriber(log, "g", ordered=True, bodies=True, claim_after=60) as deliveries:
        one = next(deliveries)
        done = [one.key] if first == "ack" else []
        said = [
            Disposition(what, one.key, 1, failure=Failure("TimeoutError"))
            for what in ([] if done else ["park"]) + ["nack"]
        ]
        (settled,) = deliveries._consumer._group.settle([SettleRequest(one.partition, done=done, others=said)])
        assert isinstance(settled, SettleReply)
        assert settled.done + settled.others == "kg"
        assert [status.gap for status in log.groups() if status.gap] == []


def test_what_follows_a_delivery_that_another_consumer_took_is_not_handed_out(
    log: SessionLog, another_log: Callable[..., SessionLog], told: Told
) -> None:
    """Though it was fetched, and nobody has taken it over yet: the partition is the other's."""
    told(range(6), "only")
    with Subscriber(log, "g", ordered=True, bodies=True, claim_after=0.6) as deliveries:
        first = next(deliveries)
        keys = log._events.keyspace.group(first.partition, "g")
        log.client.execute_command("HSET", keys.group, "lease_owner", "thief", "lease_until", 2**52)
        wait_until(lambda: first.expires == 0.0, "it to be noticed")
        wait_until(lambda: deliveries._consumer._in_flight.count == 1, "what was fetched to be given back")
        first.ack()
        log.client.execute_command("HDEL", keys.group, "lease_owner", "lease_until")
        following = next(deliveries)
        assert (number_of(following), following.attempts) == (("only", 1), 1)


async def anext_of(deliveries: Any) -> Any:
    return await deliveries.__anext__()
