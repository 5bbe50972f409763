"""Consumer groups looked at and looked after, and what they have parked."""

from __future__ import annotations

import pytest

from strands_session_log import SessionLog, Subscriber
from strands_session_log.errors import CorruptEntryError, FeedGapError, GroupNotFoundError, ParkedNotFoundError
from support.waiting import wait_until

from .helpers import Consumer, Told, number_of


def make_gap(log: SessionLog, told: Told) -> None:
    """Group `g` is given the numbers 0 to 4 of a session, 9 to 11 come, and what lies between is not in the feed."""
    told(range(5), "only")
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 5, "the first events")
    told(range(5, 9), "only")
    log.client.execute_command("DEL", log._events.keyspace.session("only").feed)
    told(range(9, 12), "only")
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError):
        next(deliveries)


def park(log: SessionLog, told: Told, *numbers: int) -> list[str]:
    """Have group `g` give these up; what they are called then."""
    told(numbers, "only")
    with Subscriber(log, "g", bodies=True) as deliveries:
        for _ in numbers:
            next(deliveries).park("nobody needs it")
    return [one.parked_id for one in log.parked("g")]


def test_an_operator_can_have_a_gap_read_from_the_sessions(log: SessionLog, told: Told) -> None:
    make_gap(log, told)
    (gap,) = log.settle_gaps("g", "catch_up")
    assert gap.missing == 4
    assert log.settle_gaps("g", "catch_up") == []
    with Consumer(log) as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= set(range(5, 12)), "what was missing")
        wait_until(lambda: not any(one.gap or one.backfill for one in log.groups()), "the gap to be closed")
    assert not consumer.errors


def test_an_operator_can_have_a_gap_skipped(log: SessionLog, told: Told) -> None:
    make_gap(log, told)
    assert [gap.missing for gap in log.settle_gaps("g", "skip")] == [4]
    with Consumer(log) as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= {9, 10, 11}, "what follows it")
    assert not {5, 6, 7, 8} & {number for _, number in consumer.handled}
    assert not consumer.errors


def test_work_under_way_is_not_cut_short_by_a_gap(log: SessionLog, told: Told) -> None:
    told(range(20), "only")
    with Subscriber(log, "g", start="beginning", bodies=True, batch=2) as deliveries:
        next(deliveries).ack()
    key = log._events.keyspace.group(log._events.keyspace.partition("only"), "g").group
    for gap, work in (("5000-1 9000-4", "between 0 9000"), ("7000-2 9000-6", "between 0 9001")):
        log.client.execute_command("HSET", key, "gap", gap, "backfill_cursor", "1-1 only")
        log.settle_gaps("g", "catch_up")
        assert [one.backfill for one in log.groups() if one.partition == log._events.keyspace.partition("only")] == [
            work
        ]
        assert not log.client.execute_command("HEXISTS", key, "backfill_cursor")


def test_a_group_that_is_not_there_is_named_with_those_that_are(log: SessionLog, told: Told) -> None:
    told([1])
    with Consumer(log, "audit"):
        wait_until(log.groups, "the group")
    for call in (lambda: log.settle_gaps("audti", "skip"), lambda: log.delete_group("audti")):
        with pytest.raises(GroupNotFoundError, match="'audti': there are 'audit'"):
            call()


def test_a_deleted_group_leaves_nothing_behind(log: SessionLog, told: Told) -> None:
    park(log, told, 1)
    log.delete_group("g")
    assert log.groups() == []
    for partition in range(log._events.keyspace.partitions):
        keys = log._events.keyspace.group(partition, "g")
        assert log.client.execute_command("EXISTS", keys.group, keys.parked) == 0
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled == [("only", 1)], "a group of the same name to begin anew")


def test_the_consumers_that_were_heard_of_lately_are_named(log: SessionLog, told: Told) -> None:
    with Consumer(log, consumer="one", batch=1, in_flight=1), Consumer(log, consumer="other", batch=1, in_flight=1):

        def were_both_heard_of() -> bool:
            told(range(7))
            return any(one.active == ("one", "other") for one in log.groups())

        wait_until(were_both_heard_of, "both")


def test_what_is_dropped_while_it_waits_to_be_tried_again_is_not_waited_for(log: SessionLog, told: Told) -> None:
    ids = park(log, told, 1, 2)
    assert log.parked("g").replay(ids) == 2
    assert log.parked("g").drop(ids) == 2
    assert not any(one.backfill for one in log.groups())


def test_a_parked_event_that_was_removed_by_other_means_is_not_waited_for(log: SessionLog, told: Told) -> None:
    ids = park(log, told, 1)
    log.parked("g").replay(ids)
    log.client.execute_command("DEL", log._events.keyspace.group(log._events.keyspace.partition("only"), "g").parked)
    with Consumer(log):
        wait_until(lambda: not any(one.backfill for one in log.groups()), "the replay to be over")


def test_nothing_is_replayed_or_dropped_when_one_is_not_there(log: SessionLog, told: Told) -> None:
    ids = park(log, told, 1)
    for settle in (log.parked("g").replay, log.parked("g").drop):
        with pytest.raises(ParkedNotFoundError, match="session-log parked list g"):
            settle([*ids, "0:1-1"])
    assert [one.is_replayed for one in log.parked("g")] == [False]


def test_what_somebody_else_wrote_to_the_feed_can_be_seen_and_dropped(log: SessionLog, told: Told) -> None:
    told([1], "only")
    feed = log._events.keyspace.session("only").feed
    last = log.client.execute_command("XREVRANGE", feed, "+", "-", "COUNT", 1)[0][0]
    ms = (last.decode() if isinstance(last, bytes) else last).partition("-")[0]
    log.client.execute_command("XADD", feed, f"{ms}-2", "field", "value")

    def handle(delivery: object) -> None:
        try:
            number_of(delivery)
        except CorruptEntryError as error:
            raise ValueError(error) from error

    with Consumer(log, handle=handle, max_attempts=1):
        wait_until(lambda: list(log.parked("g")), "it to be parked")
    (one,) = log.parked("g")
    assert one.session_id == ""
    with pytest.raises(CorruptEntryError, match="only be dropped"):
        log.parked("g").replay([one.parked_id])
    assert log.parked("g").drop([one.parked_id]) == 1
