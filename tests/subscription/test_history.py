"""Events that come from the sessions themselves: all history, what a gap swallowed, and what was parked."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.errors import DeliveryLostError, FeedGapError
from strands_session_log.feed import FeedId
from support.servers import Server
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of


def works(log: SessionLog) -> set[str]:
    return {one.backfill for one in log.groups()} - {""}


def delete_feeds(log: SessionLog) -> None:
    for partition in range(log._events.keyspace.partitions):
        log.client.execute_command("DEL", log._events.keyspace.feed(partition))


def test_history_has_only_the_types_and_agents_that_are_wanted(log: SessionLog) -> None:
    wanted = [events.Custom("custom.b", {"number": number}, "x") for number in range(3)]
    log.append("s", [events.Custom("custom.a", {}), *wanted[:2], events.Custom("custom.b", {}), wanted[2]])
    with Consumer(log, start="beginning", types="custom.b", agent="x") as consumer:
        wait_until(
            lambda: not works(log) and len(log.groups()) == log._events.keyspace.partitions, "the end of history"
        )
    assert [number for _, number in consumer.handled] == [0, 1, 2]


def test_history_holds_no_more_in_flight_than_allowed(log: SessionLog, told: Told) -> None:
    told(range(70))
    with Subscriber(log, "g", start="beginning", batch=4, in_flight=4) as deliveries:
        held = [next(deliveries) for _ in range(4)]
        with Consumer(log, "other", start="beginning") as other:
            wait_until(lambda: len(other.handled) == 70, "another group")
        assert deliveries.counters.delivered == 4
        for delivery in held:
            delivery.ack()
        assert next(deliveries)


def test_a_session_that_is_deleted_while_its_history_is_read_is_passed_over(log: SessionLog, told: Told) -> None:
    session = "s-only"
    for _ in range(4):
        log.append(session, [events.Custom("custom.number", {"number": -1}) for _ in range(500)])
    # The feed tells of the deletion, too, and has no number.
    with Consumer(log, start="beginning", batch=5, in_flight=5, types="custom.number") as consumer:
        wait_until(lambda: len(consumer.handled) > 10, "history")
        log.delete(session)
        told([1])
        wait_until(lambda: ("s-1", 1) in consumer.handled, "the rest")
    assert not consumer.errors


def test_a_late_ack_of_history_is_refused(log: SessionLog, told: Told) -> None:
    told([1])
    with Subscriber(log, "g", start="beginning", claim_after=0.2) as deliveries:
        mine = next(deliveries)
        # As if it had stood still: nobody says any more that the work goes on.
        for fetcher in deliveries._consumer._fetchers:
            fetcher.stop()
        with Consumer(log, claim_after=0.2) as other:
            wait_until(lambda: other.handled, "the takeover")
        with pytest.raises(DeliveryLostError):
            mine.ack(confirm=True)


def test_an_ack_of_history_is_confirmed_by_the_server_though_nothing_more_is_taken(log: SessionLog, told: Told) -> None:
    told(range(5), "only")
    with Subscriber(log, "g", start="beginning", batch=2, in_flight=2) as deliveries:
        held = [next(deliveries), next(deliveries)]
        deliveries.stop()
        assert deliveries.ack(held) == held


def test_leaving_again_and_again_parks_no_history(log: SessionLog, told: Told) -> None:
    told([1])
    for _ in range(5):
        with Subscriber(log, "g", start="beginning", max_attempts=2) as deliveries:
            next(deliveries)
    assert not list(log.parked("g"))


def test_a_parked_event_that_was_replayed_and_dropped_leaves_no_work(log: SessionLog, told: Told) -> None:
    told(range(2), "only")
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("bad")
        next(deliveries).park("bad")
    parked = [one.parked_id for one in log.parked("g")]
    log.parked("g").replay(parked)
    log.parked("g").drop(parked[:1])
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled and not works(log), "the replay to end")
    assert len(consumer.handled) == 1


def test_a_replayed_event_that_kills_its_consumers_is_parked_again(log: SessionLog, told: Told) -> None:
    told([1])
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("bad")
    (first,) = log.parked("g")
    log.parked("g").replay([first.parked_id])

    def parked() -> set[str]:
        return {one.parked_id for one in log.parked("g")}

    def tried(deliveries: Any) -> bool:
        return deliveries.counters.delivered > 0 or parked() != {first.parked_id}

    for _ in range(6):
        dying = Subscriber(log, "g", max_attempts=2, claim_after=0.1)
        deliveries = dying.__enter__()
        wait_until(partial(tried, deliveries), "it to be tried")
        kill(deliveries)
        if parked() != {first.parked_id}:
            break
    (again,) = log.parked("g")
    assert again.error == "its consumers went away while they handled it"


def kill(deliveries: Any) -> None:
    """Let a consumer do nothing any more, and say nothing of it."""
    machinery = deliveries._consumer
    for fetcher in machinery._fetchers:
        fetcher.stop()
        fetcher.join(5)
    machinery._in_flight._open.clear()
    machinery._acknowledger.close(1)


def test_a_second_gap_does_not_take_the_place_of_the_first(log: SessionLog, told: Told) -> None:
    def lose(numbers: range, next_: int) -> FeedGapError:
        told(numbers, "only")
        delete_feeds(log)
        told([next_], "only")
        with Subscriber(log, "g") as deliveries:
            with pytest.raises(FeedGapError) as raised:
                next(deliveries)
            next(deliveries).ack()
            deliveries.catch_up(raised.value)
        return raised.value

    told([0], "only")
    with Subscriber(log, "g") as deliveries:
        next(deliveries).ack()
    lose(range(1, 5), 5)
    with Subscriber(log, "g") as deliveries:
        deliveries.catch_up(lose_again(log, told))
    with Consumer(log) as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= {1, 2, 3, 4, 6, 7, 8}, "both gaps")


def lose_again(log: SessionLog, told: Told) -> FeedGapError:
    told(range(6, 10), "only")
    partition = log._events.keyspace.partition("only")
    rows = log.client.execute_command("XRANGE", log._events.keyspace.feed(partition), "-", "+", NEVER_DECODE=True)
    places = [tuple(map(int, row[0].split(b"-"))) for row in rows]
    return FeedGapError(FeedId(partition, *places[-5]), FeedId(partition, *places[-1]), 3)


def test_a_gap_that_has_grown_since_it_was_told_is_caught_up_with_as_a_whole(log: SessionLog, told: Told) -> None:
    told([0], "only")
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled, "the first")
    told([1, 2], "only")
    delete_feeds(log)
    told([3], "only")
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError) as raised:
        next(deliveries)
    key = log._events.keyspace.group(log._events.keyspace.partition("only"), "g").group
    after, before = log.client.execute_command("HGET", key, "gap", NEVER_DECODE=True).decode().split()
    ms, sequence = before.split("-")
    log.client.execute_command("HSET", key, "gap", f"{after} {int(ms) + 5}-{int(sequence) + 5}")
    with Subscriber(log, "g") as deliveries:
        deliveries.catch_up(raised.value)
    assert works(log) == {f"between {after.split('-')[0]} {int(ms) + 5}"}


def test_tasks_share_what_one_of_them_read(log: SessionLog, told: Told) -> None:
    """One that hangs keeps the others from nothing but its own."""

    async def handle(deliveries: Any, handled: list[int]) -> None:
        async for delivery in deliveries:
            if number_of(delivery)[1] == 0:
                await asyncio.Event().wait()
            handled.append(number_of(delivery)[1])
            await delivery.ack()

    async def main() -> None:
        handled: list[int] = []
        async with Subscriber(log, "g", bodies=True) as deliveries:
            tasks = [asyncio.create_task(handle(deliveries, handled)) for _ in range(2)]
            await asyncio.sleep(0.1)
            log.append("only", [events.Custom("custom.number", {"number": number}) for number in range(10)])
            while len(handled) < 9:
                await asyncio.sleep(0.01)
            assert sorted(handled) == list(range(1, 10))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_feed_that_nobody_writes_to_after_it_was_deleted_is_no_other_history(log: SessionLog, told: Told) -> None:
    told([1])
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled, "the event")
        wait_until(lambda: not any(one.pending for one in log.groups()), "it to be settled")
        delete_feeds(log)
        # History is compared every other second.
        with pytest.raises(TimeoutError):
            wait_until(lambda: consumer.errors, "an error", timeout=3)
        told([8])
        wait_until(lambda: len(consumer.handled) == 2, "the next event")


def test_in_order_who_joins_is_given_nothing_that_another_is_still_handling(
    log: SessionLog, told: Told, another_log: Callable[..., SessionLog]
) -> None:
    """A consumer gives up the partitions beyond its share, those at work on their history once that is handled."""
    sessions = one_in_each_partition(log)
    for session in sessions:
        told(range(3), session)
    settings: dict[str, Any] = {"ordered": True, "start": "beginning", "claim_after": 1.0, "bodies": True}
    with Subscriber(log, "g", **settings) as deliveries:
        held = [next(deliveries) for _ in sessions]
        assert len({delivery.session_id for delivery in held}) == len(sessions)
        with Consumer(another_log(), **settings) as other:
            wait_until(lambda: deliveries._consumer._assignment._share < len(sessions), "half of them to be its share")
            time.sleep(2 * deliveries._consumer.settings.claim_after)
            assert other.handled == []
            for delivery in held:
                delivery.ack(confirm=True)
            wait_until(lambda: {number for _, number in other.handled} == {1, 2}, "it to go on with some of them")
            deliveries.stop()
            wait_until(lambda: len(other.handled) == 2 * len(sessions), "it to go on with all of them")
    # What is appended before the end of history may come twice; this was not.
    assert sorted(other.handled) == sorted((session, number) for session in sessions for number in (1, 2))


def one_in_each_partition(log: SessionLog) -> list[str]:
    """Names of sessions, none of which share one."""
    names = {log._events.keyspace.partition(name): name for name in (f"each-{number}" for number in range(1000))}
    assert len(names) == log._events.keyspace.partitions
    return list(names.values())


def test_who_lost_history_to_another_and_has_it_again_goes_on_where_that_one_was(log: SessionLog, told: Told) -> None:
    """It stood still for too long; what it had read by then, the other has handled."""
    told(range(40), "only")
    settings: dict[str, Any] = {"start": "beginning", "claim_after": 0.3, "bodies": True, "batch": 10}
    moves = threading.Event()
    moves.set()
    with Subscriber(log, "g", **settings) as deliveries:
        stands_still(deliveries, moves)
        assert number_of(next(deliveries))[1] == 0
        moves.clear()
        with Subscriber(log, "g", **settings) as other:
            for number in range(30):
                delivery = next(other)
                assert number_of(delivery)[1] == number
                delivery.ack(confirm=True)
        moves.set()
        handed_out, settled = list[int](), set[int]()
        for delivery in deliveries:
            handed_out.append(number_of(delivery)[1])
            # What it took up in the moment in which it moved again, before it asked whether it may, is lost.
            with suppress(DeliveryLostError):
                delivery.ack(confirm=True)
                settled.add(handed_out[-1])
            if len(settled) == 10:
                break
    assert settled == set(range(30, 40))
    assert [number for number in handed_out if 10 <= number < 30] == []


def stands_still(deliveries: Any, moves: threading.Event) -> None:
    """Let a consumer do no work beside the feed while it does not move."""
    work = deliveries._consumer._backfill
    go_on = work.go_on

    def wait_and_go_on(partition: int, kind: str) -> bool:
        moves.wait(PATIENCE)
        return bool(go_on(partition, kind))

    work.go_on = wait_and_go_on


def test_what_is_replayed_waits_for_no_consumer_that_has_left(log: SessionLog, told: Told) -> None:
    """It had read the history, and so was the one to read beside the feed."""
    told(range(3), "only")
    with Subscriber(log, "g", start="beginning", claim_after=60) as deliveries:
        for _ in range(3):
            next(deliveries).park("not yet")
        wait_until(lambda: not works(log), "the end of history")
    log.parked("g").replay(one.parked_id for one in log.parked("g"))
    with Consumer(log, claim_after=60) as consumer:
        wait_until(lambda: len(consumer.handled) == 3, "what is replayed", timeout=20)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("is_replay", [False, True])
def test_a_server_is_asked_rarely_while_handlers_are_slow_and_at_once_when_they_are_done(
    tcp_server: Server, ordered: bool, is_replay: bool
) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        for session in one_in_each_partition(log):
            log.append(session, [events.Custom("custom.number", {"number": number}) for number in range(20)])
        settings: dict[str, Any] = {"ordered": ordered, "start": "beginning", "batch": 4, "bodies": True}
        if is_replay:
            with Subscriber(log, "g", **settings) as deliveries:
                for _ in range(20 * log.partitions):
                    next(deliveries).park("not yet")
                wait_until(lambda: sum(one.parked for one in log.groups()) == 20 * log.partitions, "all to be parked")
                log.parked("g").replay(one.parked_id for one in log.parked("g"))
        with Subscriber(log, "g", **settings) as deliveries:
            slow = next(deliveries)
            tcp_server.execute("CONFIG", "RESETSTAT")
            time.sleep(1)
            assert scripts_run(tcp_server) < 250
            slow.ack()
            begun, left = time.monotonic(), 20 * log.partitions - 1
            for delivery in itertools.islice(deliveries, left):
                delivery.ack()
            # A read that blocks, or the next look, would take half a second each.
            assert time.monotonic() - begun < 10


def scripts_run(server: Server) -> int:
    return int(server.execute("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
