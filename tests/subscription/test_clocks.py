"""Times of one clock are never compared with times of another, and a clock that went back holds nothing up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import FeedRetention, GroupStatus, SessionLog, Subscriber
from support.clocks import MovableClockServer, delivered_at
from support.servers import Server
from support.waiting import wait_until

from .helpers import Consumer, Told, raw
from .test_ordered import crash

HOUR = 3_600_000
SOON = 20.0
"""Far less than the time by which clocks are wrong here, far more than `claim_after`."""


def now_ms(log: SessionLog) -> int:
    return log._events.clock(log._events.keyspace.feed(0))


def note(log: SessionLog, **fields: object) -> None:
    """Write fields of the group in all partitions, as a consumer would have with another clock."""
    for partition in range(log._events.keyspace.partitions):
        flat = (part for pair in fields.items() for part in pair)
        log.client.execute_command("HSET", log._events.keyspace.group(partition, "g").group, *flat)


def noted(log: SessionLog, field: str, partition: int = 0) -> int:
    return int(raw(log, b"HGET", log._events.keyspace.group(partition, "g").group, field) or 0)


def of_partition(log: SessionLog, session: str = "only") -> GroupStatus:
    (found,) = [one for one in log.groups() if one.partition == log._events.keyspace.partition(session)]
    return found


def test_a_consumer_whose_host_is_ahead_leaves_its_partitions_as_soon_as_any_other(
    log: SessionLog, told: Told, another_log: Callable[..., SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"ordered": True, "claim_after": 2}
    with Consumer(another_log(), consumer="survivor", **settings) as survivor:
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + 60)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + 60_000_000_000)
        ahead = Consumer(another_log(), consumer="ahead", **settings)

        def have_both() -> bool:
            told(range(7))
            return bool(survivor.handled and ahead.handled)

        wait_until(have_both, "both to have a part")
        wait_until(lambda: noted(log, "heartbeat:ahead"), "it to have signed in")
        assert noted(log, "heartbeat:ahead") <= now_ms(log)
        crash(ahead)
        told(range(7, 28))
        wait_until(lambda: set(survivor.handled) | set(ahead.handled) == told.all, "all to be handled", SOON)


def test_a_lease_and_a_pause_that_end_in_an_hour_are_from_before_the_clock_went_back(
    log: SessionLog, told: Told
) -> None:
    told(range(14))
    with Consumer(log, ordered=True):
        pass
    told(range(14, 28))
    ahead = now_ms(log) + HOUR
    note(
        log, lease_owner="gone", lease_until=ahead, backoff_until=ahead, **{"heartbeat:gone": ahead, "last_read": ahead}
    )
    with Consumer(log, ordered=True, claim_after=2) as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= set(range(14, 28)), "what is there", SOON)


def test_such_a_lease_holds_for_as_long_as_a_lease_does(log: SessionLog, told: Told) -> None:
    """Its owner may well be there, and says so within that time."""
    told([0], "only")
    with Subscriber(log, "g"):
        pass
    note(log, lease_owner="other", lease_until=now_ms(log) + HOUR)
    with Consumer(log, ordered=True, claim_after=30) as consumer:
        wait_until(lambda: 0 < noted(log, "lease_until") - now_ms(log) <= 30_000, "it to count from now")
        assert consumer.handled == []


def test_history_that_another_reads_until_in_an_hour_is_read(log: SessionLog, told: Told) -> None:
    told(range(7))
    with Subscriber(log, "g", start="now"):
        pass
    note(log, backfill="history", backfill_owner="gone", backfill_owner_until=now_ms(log) + HOUR)
    with Consumer(log, claim_after=2) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "the history", SOON)


def deliver_in_an_hour(log: SessionLog, session: str, count: int) -> None:
    """A consumer that is gone has what is pending since a time to come: so it looks when the clock went back."""
    feed = log._events.keyspace.session(session).feed
    ids = [row[0].decode() for row in raw(log, b"XPENDING", feed, "g", "-", "+", count)]
    dump = raw(log, b"DUMP", feed)
    for id_ in ids:
        dump = delivered_at(dump, id_, now_ms(log) + HOUR)
    log.client.execute_command("RESTORE", feed, 0, dump, "REPLACE")


def test_what_a_dead_consumer_has_is_taken_over_though_the_clock_went_back(log: SessionLog, told: Told) -> None:
    with Subscriber(log, "g"):
        pass
    told(range(5), "only")
    keys = log._events.keyspace.group(log._events.keyspace.partition("only"), "g")
    log.client.execute_command("XREADGROUP", "GROUP", "g", "gone", "COUNT", 5, "STREAMS", keys.feed, ">")
    deliver_in_an_hour(log, "only", 5)
    note(log, last_read=now_ms(log) + HOUR)
    with Consumer(log, claim_after=2) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "what the dead one had", SOON)
        assert of_partition(log).redeliveries == 5
        assert not noted(log, "recount_cursor", partition_of_only(log))


def partition_of_only(log: SessionLog) -> int:
    return log._events.keyspace.partition("only")


def test_consumers_that_died_before_the_server_started_are_not_alive(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        Told(log)(range(3), "only")
        crashed = Consumer(log, consumer="dead", batch=1, in_flight=1)
        wait_until(lambda: len(crashed.handled) == 3, "the events")
        crash(crashed)
        long_ago = now_ms(log) - HOUR
        note(log, last_read=long_ago, **{"heartbeat:dead": long_ago})
        tcp_server.restart()
        (info,) = raw(log, b"XINFO", "CONSUMERS", log._events.keyspace.session("only").feed, "g")
        assert dict(zip(info[::2], info[1::2], strict=True))[b"idle"] < 60_000, "what the server says"
        status = of_partition(log)
        assert (status.active, status.consumers) == ((), 1)
        assert status.idle_seconds is not None
        assert status.idle_seconds >= 3600
        with Consumer(log, consumer="living", claim_after=60):
            wait_until(lambda: of_partition(log).active == ("living",), "the living one")


def test_a_group_that_nobody_reads_is_abandoned_though_the_server_restarts(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        Told(log)(range(3), "only")
        crashed = Consumer(log, consumer="dead")
        wait_until(lambda: len(crashed.handled) == 3 and not of_partition(log).pending, "the events to be settled")
        crash(crashed)
        long_ago = now_ms(log) - HOUR
        note(log, last_read=long_ago, **{"heartbeat:dead": long_ago})
        tcp_server.restart()
        log._events.retention = FeedRetention(abandoned_after=1800)
        assert log._events.trim_feed(partition_of_only(log)).abandoned == ["g"]
        assert of_partition(log).consumers == 0


def test_a_group_that_was_read_in_an_hour_is_abandoned_in_time(log: SessionLog, told: Told) -> None:
    told([0], "only")
    with Consumer(log):
        pass
    note(log, last_read=now_ms(log) + HOUR)
    log._events.retention = FeedRetention(abandoned_after=0.1)
    assert log._events.trim_feed(partition_of_only(log)).abandoned == []
    wait_until(lambda: log._events.trim_feed(partition_of_only(log)).abandoned == ["g"], "it to be given up")


def test_a_consumer_that_was_heard_of_in_an_hour_is_not_called_active(log: SessionLog, told: Told) -> None:
    told([0], "only")
    with Consumer(log, consumer="one", batch=1, in_flight=1) as consumer:
        wait_until(lambda: consumer.handled, "the event")
        wait_until(lambda: of_partition(log).active == ("one",), "it to be heard of")
        crash(consumer)
        ahead = now_ms(log) + HOUR
        note(log, last_read=ahead, **{"heartbeat:one": ahead})
        assert (of_partition(log).active, of_partition(log).idle_seconds) == ((), None)


def test_a_program_that_notes_nothing_is_active_as_the_server_says(log: SessionLog, told: Told) -> None:
    """See "Taking part from another language" in the format."""
    with Subscriber(log, "g"):
        pass
    told([0], "only")
    feed = log._events.keyspace.session("only").feed
    log.client.execute_command("XREADGROUP", "GROUP", "g", "plain", "STREAMS", feed, ">")
    assert of_partition(log).active == ("plain",)


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[MovableClockServer]:
    with MovableClockServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize("ordered", [False, True])
def test_after_a_clock_really_went_back_an_hour_others_have_what_a_dead_consumer_had(
    moved: MovableClockServer, ordered: bool
) -> None:
    with SessionLog.connect(moved.url) as log:
        told = Told(log)
        settings: dict[str, Any] = {"ordered": ordered, "claim_after": 2}
        told(range(21))
        dead = Consumer(log, consumer="dead", handle=lambda delivery: time.sleep(0.01), **settings)
        wait_until(lambda: dead.handled, "it to have begun")
        crash(dead)
        before = now_ms(log)
        moved.move_clock(-3600)
        wait_until(lambda: now_ms(log) < before - HOUR // 2, "the clock to go back")
        with Consumer(log, consumer="other", **settings) as other:
            told(range(21, 42))
            wait_until(lambda: set(other.handled) | set(dead.handled) == told.all, "all to be handled", SOON)


def test_consumers_go_on_while_a_clock_really_moves(moved: MovableClockServer) -> None:
    with SessionLog.connect(moved.url) as log:
        told = Told(log)
        with Consumer(log, ordered=True) as ordered, Consumer(log, "h") as competing, log.tail() as feed:
            for number, offset in enumerate((0, -3600, 0, 3600, -86_400, 0)):
                moved.move_clock(offset)
                told(range(7 * number, 7 * number + 7))
                wait_until(lambda: set(ordered.handled) == set(competing.handled) == told.all, "all so far", SOON)
            assert sum(1 for _, one in zip(range(42), feed, strict=False)) == 42
        assert not ordered.errors + competing.errors
