"""Consumer groups over the feed: every event is handled by one consumer of each group."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import InvalidIdError, SessionLogError
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of, raw


def test_every_event_of_every_session_is_delivered_once(log: SessionLog, told: Told) -> None:
    told(range(100))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 100, "all events")
        told(range(100, 150))
        wait_until(lambda: len(consumer.handled) == 150, "those that came later")
    assert set(consumer.handled) == told.all


def test_events_of_a_session_come_in_order(log: SessionLog, told: Told) -> None:
    told(range(200))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 200, "all events")
    for session in {session for session, _ in told.all}:
        numbers = [number for name, number in consumer.handled if name == session]
        assert numbers == sorted(numbers)


def test_two_consumers_of_a_group_share_the_work(log: SessionLog, told: Told) -> None:
    with Consumer(log, batch=5, in_flight=5) as one, Consumer(log, batch=5, in_flight=5) as other:
        told(range(300))
        wait_until(lambda: len(one.handled) + len(other.handled) == 300, "all events")
    assert not set(one.handled) & set(other.handled)
    assert one.handled
    assert other.handled


def test_each_group_gets_everything(log: SessionLog, told: Told) -> None:
    told(range(20))
    with Consumer(log, "one") as one, Consumer(log, "other") as other:
        wait_until(lambda: len(one.handled) == len(other.handled) == 20, "all events twice")
    assert set(one.handled) == set(other.handled) == told.all


def test_a_group_goes_on_where_its_last_consumer_stopped(log: SessionLog, told: Told) -> None:
    told(range(10))
    with Consumer(log) as first:
        wait_until(lambda: len(first.handled) == 10, "the first ten")
    told(range(10, 20))
    with Consumer(log) as second:
        wait_until(lambda: len(second.handled) == 10, "the next ten")
    assert set(first.handled) | set(second.handled) == told.all


def test_a_group_that_starts_now_hears_only_of_what_comes(log: SessionLog, told: Told) -> None:
    told(range(10))
    with Consumer(log, start="now") as consumer:
        wait_until(lambda: len(log.groups()) == log._events.keyspace.partitions, "the group")
        told(range(10, 15))
        wait_until(lambda: len(consumer.handled) == 5, "what came")
    assert {number for _, number in consumer.handled} == set(range(10, 15))


def test_a_group_that_starts_now_has_begun_in_every_partition_though_its_consumer_leaves_at_once(
    log: SessionLog, told: Told
) -> None:
    told(range(7))
    with Subscriber(log, "g", start="now"):
        pass
    told(range(7, 21))
    with Consumer(log, start="now") as consumer:
        wait_until(lambda: len(consumer.handled) == 14, "what came meanwhile")
    assert {number for _, number in consumer.handled} == set(range(7, 21))


def test_types_and_agents_that_are_not_wanted_are_passed_over_and_done(log: SessionLog) -> None:
    log.append("s", [events.Custom("custom.a", {}), events.Custom("custom.b", {}), events.Custom("custom.a", {}, "x")])
    with Subscriber(log, "g", types="custom.a", agent="x") as deliveries:
        delivery = next(deliveries)
        assert (delivery.envelope.type, delivery.envelope.agent, delivery.id.revision) == ("custom.a", "x", 3)
        delivery.ack(confirm=True)
        wait_until(lambda: sum(one.pending for one in log.groups()) == 0, "all settled")


def test_content_comes_only_when_it_is_asked_for(log: SessionLog, told: Told) -> None:
    told([1])
    with Subscriber(log, "without") as deliveries:
        assert next(deliveries).event is None
    with Subscriber(log, "with", bodies=True) as deliveries:
        recorded = next(deliveries).recorded
        assert recorded == next(log.read("s-1"))


def test_the_content_of_a_session_that_was_deleted_is_none(log: SessionLog, told: Told) -> None:
    told([1])
    log.delete("s-1")
    with Subscriber(log, "g", bodies=True) as deliveries:
        delivery = next(deliveries)
    assert (delivery.session_id, delivery.event) == ("s-1", None)


def test_a_failure_is_tried_again_and_then_parked_with_its_error(log: SessionLog, told: Told) -> None:
    attempts: list[int] = []

    def fail(delivery: object) -> None:
        attempts.append(delivery.attempts)  # type: ignore[attr-defined]
        raise ValueError("no such customer")

    told([1])
    with Consumer(log, handle=fail, max_attempts=3, claim_after=0.3):
        wait_until(lambda: list(log.parked("g")), "the event to be parked")
    (parked,) = log.parked("g")
    assert attempts == [1, 2, 3]
    assert (parked.session_id, parked.id.revision, parked.attempts) == ("s-1", 1, 3)
    assert re.fullmatch(r"ValueError at subscription/test_subscriber\.py:\d+", parked.error)


def test_poison_does_not_hold_up_the_rest(log: SessionLog, told: Told) -> None:
    def fail_sometimes(delivery: object) -> None:
        if number_of(delivery)[1] % 10 == 3:
            raise ValueError("three")

    told(range(50))
    with Consumer(log, handle=fail_sometimes, max_attempts=2, claim_after=0.2) as consumer:
        wait_until(lambda: len(consumer.handled) == 45 and len(list(log.parked("g"))) == 5, "the rest")
    assert not any(number % 10 == 3 for _, number in consumer.handled)


def test_parked_events_can_be_replayed(log: SessionLog, told: Told) -> None:
    broken = threading.Event()
    broken.set()

    def handle(delivery: object) -> None:
        if broken.is_set():
            raise ValueError("not yet")

    told(range(3))
    with Consumer(log, handle=handle, max_attempts=2, claim_after=0.2) as consumer:
        wait_until(lambda: len(list(log.parked("g"))) == 3, "all parked")
        broken.clear()
        assert log.parked("g").replay([one.parked_id for one in log.parked("g")]) == 3
        # A lease this short runs out on a busy machine, and then one is handled twice.
        wait_until(lambda: set(consumer.handled) == told.all and not list(log.parked("g")), "the replay")


def test_parked_events_can_be_dropped(log: SessionLog, told: Told) -> None:
    told([1])
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("nobody needs it")
    (parked,) = log.parked("g")
    assert parked.error == "nobody needs it"
    assert log.parked("g").drop([parked.parked_id]) == 1
    assert not list(log.parked("g"))


def test_a_new_group_can_begin_with_all_history(log: SessionLog, told: Told) -> None:
    told(range(100))
    for partition in range(log._events.keyspace.partitions):
        log.client.execute_command("DEL", log._events.keyspace.feed(partition))
    with Consumer(log, start="beginning") as consumer:
        told(range(100, 130))
        wait_until(lambda: len(set(consumer.handled)) == 130, "history, and what came meanwhile")
        wait_until(lambda: not any(one.backfill for one in log.groups()), "history to be over")
        told(range(130, 140))
        wait_until(lambda: len(set(consumer.handled)) == 140, "the feed")
    assert set(consumer.handled) == told.all


def test_history_goes_on_where_the_last_consumer_stopped(log: SessionLog, told: Told) -> None:
    told(range(50), "only")
    with Subscriber(log, "g", start="beginning", bodies=True, batch=5) as deliveries:
        first = []
        for delivery in deliveries:
            first.append(number_of(delivery))
            delivery.ack()
            if len(first) == 20:
                break
    with Consumer(log, batch=5) as consumer:
        wait_until(lambda: set(first) | set(consumer.handled) == told.all, "the rest")
    assert len(consumer.handled) <= 30


def test_in_ordered_mode_a_failure_holds_up_its_session_until_it_is_parked(log: SessionLog, told: Told) -> None:
    seen: list[int] = []

    def handle(delivery: object) -> None:
        seen.append(number_of(delivery)[1])
        if number_of(delivery)[1] == 3:
            raise ValueError("three")

    told(range(8), "only")
    with Consumer(log, handle=handle, ordered=True, max_attempts=3) as consumer:
        wait_until(lambda: len(consumer.handled) == 7, "what follows")
    assert seen == [0, 1, 2, 3, 3, 3, 4, 5, 6, 7]
    assert [number for _, number in consumer.handled] == [0, 1, 2, 4, 5, 6, 7]


def test_in_ordered_mode_consumers_share_the_partitions(
    log: SessionLog, another_log: Callable[..., SessionLog]
) -> None:
    sessions = [f"session-{number}" for number in range(64)]
    with Consumer(log, ordered=True) as one, Consumer(another_log(), ordered=True) as other:
        for number in range(100_000):
            for session in sessions:
                log.append(session, [events.Custom("custom.number", {"number": number})])
            if one.handled and other.handled and number > 5:
                break
        rounds = number + 1
        wait_until(lambda: len(one.handled) + len(other.handled) >= rounds * 64, "all events", timeout=20)
    for session in sessions:
        for consumer in (one, other):
            numbers = [number for name, number in consumer.handled if name == session]
            assert numbers == sorted(numbers)


def test_what_was_not_begun_is_given_back_and_does_not_count_as_an_attempt(log: SessionLog, told: Told) -> None:
    told(range(10))
    with Subscriber(log, "g", claim_after=60) as deliveries:
        next(deliveries).ack()
    with Consumer(log, claim_after=60) as consumer:
        wait_until(lambda: len(consumer.handled) == 9, "what was given back")
        assert consumer.deliveries.counters.parked == 0


def hand_to(log: SessionLog, consumer: str, told: Told, count: int, *how: object) -> None:
    """Have a consumer that never says anything of them hold deliveries of one partition."""
    with Subscriber(log, "g"):
        pass
    told(range(count), "only")
    feed = log._events.keyspace.session("only").feed
    log.client.execute_command("XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", feed, ">")
    ids = [row[0] for row in raw(log, b"XPENDING", feed, "g", "-", "+", count)]
    raw(log, b"XCLAIM", feed, "g", consumer, 0, *ids, *how, "JUSTID")


def test_a_consumer_that_comes_again_is_given_all_it_had_however_small_its_batches(log: SessionLog, told: Told) -> None:
    hand_to(log, "c", told, 60)
    with Consumer(log, consumer="c", batch=10, claim_after=60) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "all it had", timeout=10)


def test_all_that_killed_its_consumers_too_often_is_parked_at_once_however_much_it_is(
    log: SessionLog, told: Told
) -> None:
    hand_to(log, "gone", told, 250, "IDLE", 100_000, "RETRYCOUNT", 5)
    with Consumer(log, claim_after=60):
        wait_until(lambda: len(list(log.parked("g"))) == 250, "all of it to be parked", timeout=8)


def test_what_an_error_interrupts_has_failed(log: SessionLog, told: Told) -> None:
    told([1])

    def interrupted() -> None:
        with Subscriber(log, "g", max_attempts=2, claim_after=0.1) as deliveries:
            raise RuntimeError(f"boom at attempt {next(deliveries).attempts}")

    for attempt in (1, 2):
        with pytest.raises(RuntimeError, match=f"boom at attempt {attempt}"):
            interrupted()
    (parked,) = log.parked("g")
    assert re.fullmatch(r"RuntimeError at subscription/test_subscriber\.py:\d+", parked.error)


def test_no_more_is_in_flight_than_allowed(log: SessionLog, told: Told) -> None:
    told(range(50), "only")
    with Subscriber(log, "g", batch=4, in_flight=4) as deliveries:
        held = [next(deliveries) for _ in range(4)]
        assert sum(one.pending for one in log.groups()) == 4
        for delivery in held:
            delivery.ack()
        assert next(deliveries)


def test_no_more_is_in_flight_than_allowed_in_however_many_partitions(log: SessionLog, told: Told) -> None:
    told(range(70))
    handled = []
    with Subscriber(log, "g", batch=4, in_flight=4, bodies=True) as deliveries:
        for _ in range(70):
            delivery = next(deliveries)
            assert sum(one.pending for one in log.groups()) <= 4
            handled.append(number_of(delivery))
            delivery.ack(confirm=True)
    assert set(handled) == told.all


def test_a_client_that_decodes_is_as_good(another_log: Callable[..., SessionLog], told: Told) -> None:
    told(range(30))
    with Consumer(another_log(decode_responses=True)) as consumer:
        wait_until(lambda: len(consumer.handled) == 30, "all events")
        told(range(30, 60))
        wait_until(lambda: len(consumer.handled) == 60, "those that came later")
    assert set(consumer.handled) == told.all


def test_lag_and_pending_are_counted(log: SessionLog, told: Told) -> None:
    told(range(10), "only")
    with Subscriber(log, "g", batch=4, in_flight=4) as deliveries:
        held = next(deliveries)
        wait_until(lambda: sum(one.pending for one in log.groups()) == 4, "as many as may be unsettled")
        (status,) = [one for one in log.groups() if one.lag or one.pending]
        assert (status.group, status.lag, status.pending, status.parked, status.consumers) == ("g", 6, 4, 0, 1)
        assert status.lag_seconds > 0
        held.ack()
        for delivery in (next(deliveries) for _ in range(9)):
            delivery.ack()
    assert not any(one.lag or one.pending or one.lag_seconds for one in log.groups())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"start": "yesterday"}, "start='yesterday'"),
        ({"batch": 0}, "batch=0"),
        ({"claim_after": 0}, "claim_after=0"),
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"on_gap": "cry"}, "on_gap='cry'"),
        ({"consumer": "with space"}, "with space"),
    ],
)
def test_settings_that_cannot_be_are_named(log: SessionLog, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SessionLogError, match=named):
        Subscriber(log, "g", **settings)


def test_a_group_without_a_name_is_refused(log: SessionLog) -> None:
    with pytest.raises(InvalidIdError, match="group"):
        Subscriber(log, "")


async def _handled(log: SessionLog, count: int, **settings: Any) -> list[tuple[str, int]]:
    handled = []
    async with Subscriber(log, "g", bodies=True, **settings) as deliveries:
        async for delivery in deliveries:
            handled.append(number_of(delivery))
            await delivery.ack()
            if len(handled) == count:
                return handled
    raise AssertionError("it ended too early")


def test_a_coroutine_iterates_over_deliveries(log: SessionLog, told: Told) -> None:
    told(range(30))
    assert set(asyncio.run(asyncio.wait_for(_handled(log, 30), PATIENCE))) == told.all


def test_a_function_handles_many_at_once_and_stops_when_told(log: SessionLog, told: Told) -> None:
    told(range(20))
    handled: list[int] = []
    together, most, full = [0], [0], asyncio.Event()

    async def handle(delivery: object) -> None:
        together[0] += 1
        most[0] = max(most[0], together[0])
        if together[0] == 4:
            full.set()
        await full.wait()
        # A fifth, if there could be one, comes now.
        await asyncio.sleep(0.01)
        handled.append(number_of(delivery)[1])
        together[0] -= 1

    async def run() -> None:
        task = asyncio.create_task(Subscriber(log, "g", bodies=True).run(handle, concurrency=4))
        while len(handled) < 20:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert sorted(handled) == list(range(20))
    assert most[0] == 4


def test_a_handler_that_hangs_is_given_up_while_others_make_progress(log: SessionLog, told: Told) -> None:
    told(range(10))
    handled: list[int] = []

    async def handle(delivery: object) -> None:
        if number_of(delivery)[1] == 4:
            await asyncio.Event().wait()
        handled.append(number_of(delivery)[1])

    async def run() -> None:
        settings: dict[str, Any] = {"timeout": 0.1, "max_attempts": 2, "claim_after": 0.3, "backoff": 0.05}
        task = asyncio.create_task(Subscriber(log, "g", bodies=True, **settings).run(handle, concurrency=2))
        while not (parked := await asyncio.to_thread(lambda: list(log.parked("g")))):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert "not handled within 0.1 s" in parked[0].error

    asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert sorted(handled) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_who_is_told_to_stop_finishes_one_and_gives_the_rest_back(log: SessionLog, told: Told) -> None:
    told(range(20), "only")
    with Subscriber(log, "g", claim_after=60) as deliveries:
        handled = []
        for delivery in deliveries:
            deliveries.stop()
            delivery.ack()
            handled.append(delivery.id.revision)
    assert handled == [1]
    with Consumer(log, claim_after=60) as other:
        wait_until(lambda: len(other.handled) == 19, "the rest")
