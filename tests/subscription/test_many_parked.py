"""Many dead letters: the server is told of them in steps, and nobody reads all of them to handle one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.subscription import SyncDelivery
from support.waiting import wait_until

from .helpers import Consumer, raw

_COUNT = 1_200


def park_many(log: SessionLog) -> list[str]:
    """Have group `g` give up so many events of one session; what they are called then."""
    for start in range(0, _COUNT, 400):
        log.append("only", [events.Custom("custom.number", {"number": start + at}) for at in range(400)])
    with Subscriber(log, "g", bodies=True, batch=400) as deliveries:
        for _ in range(_COUNT):
            next(deliveries).park("nobody needs it")
    return [one.parked_id for one in log.parked("g")]


def script_calls(log: SessionLog, work: Callable[[], object]) -> int:
    """How many scripts some work runs."""

    def count() -> int:
        reply: Any = log.client.execute_command("INFO", "commandstats")
        nodes = [reply] if "cmdstat_info" in reply else list(reply.values())
        return sum(one.get(f"cmdstat_{name}", {}).get("calls", 0) for one in nodes for name in ("evalsha", "eval"))

    before = count()
    work()
    return count() - before


def test_parked_events_are_replayed_and_dropped_in_steps(log: SessionLog) -> None:
    ids = park_many(log)
    assert len(ids) == _COUNT
    # A script the server has not had yet is sent once more.
    assert script_calls(log, lambda: log.parked("g").replay(ids)) in (3, 4)
    assert [one.parked_id for one in log.parked("g") if one.is_replayed] == ids
    assert script_calls(log, lambda: log.parked("g").drop(ids)) == 3
    assert list(log.parked("g")) == []
    assert {one.backfill for one in log.groups()} == {""}


def test_all_that_is_replayed_is_handled_in_the_order_it_was_asked_for_and_then_gone(log: SessionLog) -> None:
    ids = park_many(log)
    assert log.parked("g").replay(ids[600:]) == 600
    assert log.parked("g").replay(ids) == _COUNT
    with Consumer(log, ordered=True) as consumer:
        wait_until(lambda: len(consumer.handled) == _COUNT, "all that was parked", timeout=60)
    assert [number for _, number in consumer.handled] == [*range(600, _COUNT), *range(600)]
    keys = log._events.keyspace.group(log._events.keyspace.partition("only"), "g")
    assert list(log.parked("g")) == []
    assert raw(log, b"EXISTS", keys.replay) == 0


def test_what_others_put_among_what_is_to_be_replayed_is_removed(log: SessionLog) -> None:
    keys = log._events.keyspace.group(log._events.keyspace.partition("only"), "g")
    log.append("only", events.Custom("custom.number", {"number": 0}))
    with Subscriber(log, "g", bodies=True) as deliveries:
        next(deliveries).park("nobody needs it")
    log.parked("g").replay([one.parked_id for one in log.parked("g")])
    for junk in (b"two words", b"\xff\xfe", b"1-1-1", b"99-1"):
        raw(log, b"ZADD", keys.replay, 1, junk)
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled == [("only", 0)], "what was parked")
        wait_until(lambda: raw(log, b"EXISTS", keys.replay) == 0, "what is none is gone")


def test_deleting_a_group_forgets_what_was_to_be_replayed(log: SessionLog) -> None:
    log.append("only", events.Custom("custom.number", {"number": 0}))
    with Subscriber(log, "g", bodies=True) as deliveries:
        next(deliveries).park("nobody needs it")
    log.parked("g").replay([one.parked_id for one in log.parked("g")])
    log.delete_group("g")
    keys = log._events.keyspace.group(log._events.keyspace.partition("only"), "g")
    assert raw(log, b"EXISTS", keys.replay) == 0


def test_all_that_was_handled_is_told_of_when_its_consumer_leaves_at_once(log: SessionLog) -> None:
    ids = park_many(log)[:250]
    log.parked("g").replay(ids)
    with Subscriber(log, "g", batch=400) as deliveries:
        held: list[SyncDelivery] = []
        while len(held) < len(ids):
            held += next(deliveries.batches(400))
        for delivery in held:
            delivery.ack()
    assert len(list(log.parked("g"))) == _COUNT - len(ids)
    assert {one.backfill for one in log.groups()} == {""}
