"""Groups over one partition and over many, and how it is known that somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from strands_session_log import FeedRetention, SessionLog, Subscriber, events
from strands_session_log.scripts.group_protocol import FetchReply, FetchRequest
from strands_session_log.subscription.group import Group
from support.waiting import wait_until

from .helpers import Consumer, Told, number_of, raw


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("partitions", [1, 64])
def test_a_group_reads_one_partition_as_it_reads_many(
    make_client: Callable[..., Any], namespace: str, partitions: int, ordered: bool
) -> None:
    log = SessionLog(make_client(), namespace, partitions=partitions)
    expected = {(f"session-{number}", number) for number in range(150)}
    with Consumer(log, ordered=ordered) as one, Consumer(log, ordered=ordered) as other:
        for session, number in sorted(expected):
            log.append(session, [events.Custom("custom.number", {"number": number})])
        wait_until(lambda: {*one.handled, *other.handled} == expected, "all events", timeout=20)
        assert not one.errors + other.errors


def test_a_group_that_somebody_reads_is_not_abandoned_though_nothing_comes(
    make_client: Callable[..., Any], namespace: str
) -> None:
    log = SessionLog(make_client(), namespace, feed=FeedRetention(keep=0, abandoned_after=1.0))
    Told(log)([1])
    with Consumer(log, claim_after=1) as consumer:
        wait_until(lambda: consumer.handled, "the event")

        def abandoned(partition: int) -> bool:
            return log._events.trim_feed(partition).abandoned != []

        for partition in range(log._events.keyspace.partitions):
            with pytest.raises(TimeoutError):
                wait_until(partial(abandoned, partition), "nothing", timeout=0.15)
        assert all(one.idle_seconds is not None and one.idle_seconds < 1.0 for one in log.groups())


def test_many_partitions_are_searched_at_once_for_what_others_left(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[bool]] = []
    fetch = Group.fetch

    def spied(self: Group, requests: Sequence[FetchRequest]) -> list[FetchReply]:
        asked.append([one.claim for one in requests])
        return fetch(self, requests)

    monkeypatch.setattr(Group, "fetch", spied)
    with Consumer(log, batch=1, in_flight=100, claim_after=0.4):
        # Of a cluster, one slot after the other.
        at_once = 1 if log._events.store.is_cluster else log._events.keyspace.partitions
        wait_until(lambda: asked.count([True] * at_once) > 1, "all to be searched")


def test_what_may_have_killed_its_consumers_is_given_alone_wherever_it_lies(log: SessionLog) -> None:
    """In several partitions that are asked at once, something was delivered twice to a consumer that died each time."""
    keyspace, told = log._events.keyspace, Told(log)
    with Subscriber(log, "g"):
        pass
    told(range(7))
    for partition in {keyspace.partition(session) for session, _ in told.all}:
        feed = keyspace.feed(partition)
        ids = [id_ for id_, _ in raw(log, b"XRANGE", feed, "-", "+")]
        raw(log, b"XGROUP SETID", feed, "g", ids[-1])
        raw(log, b"XCLAIM", feed, "g", "dead", 0, *ids, "TIME", 1, "RETRYCOUNT", 2, "FORCE")
    suspects, in_hand = set(told.all), list[Any]()
    with Subscriber(log, "g", bodies=True, claim_after=0.4, batch=8, in_flight=200) as deliveries:
        for number, delivery in enumerate(deliveries):
            in_hand.append(delivery)
            if number_of(delivery) in suspects:
                # Each partition is asked again before any of these comes.
                told(range(number + 10, number + 17))
            elif len(in_hand) == 8:
                assert sum(number_of(one) in suspects for one in in_hand) == 1
                while in_hand:
                    in_hand.pop().ack()
            if number == 8 * len(suspects) - 1:
                break


def test_in_order_too_what_may_have_killed_its_consumers_is_given_alone(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, asked, fetch = Told(log), list[int](), Group.fetch
    with Subscriber(log, "g", ordered=True):
        pass
    told(range(7))
    feeds = [log._events.keyspace.feed(one) for one in {log._events.keyspace.partition(name) for name, _ in told.all}]
    for feed in feeds:
        (id_, _), *_ = raw(log, b"XRANGE", feed, "-", "+", "COUNT", 1)
        raw(log, b"XGROUP SETID", feed, "g", id_)
        raw(log, b"XCLAIM", feed, "g", "dead", 0, id_, "TIME", 1, "RETRYCOUNT", 2, "FORCE")

    def spied(self: Group, requests: Sequence[FetchRequest]) -> list[FetchReply]:
        answers = fetch(self, requests)
        asked.extend(one.partition for one in requests)
        return answers

    def again() -> int:
        return sum(row[3] == 3 for feed in feeds for row in raw(log, b"XPENDING", feed, "g", "-", "+", 100))

    monkeypatch.setattr(Group, "fetch", spied)
    with Subscriber(log, "g", ordered=True, claim_after=0.4) as deliveries:
        given = 0
        for delivery in deliveries:
            if delivery.attempts == 3:
                before, given = len(asked), given + 1
                wait_until(lambda before=before: len(asked) > before, "others to be asked")  # type: ignore[misc]
                assert again() == 1
            delivery.ack(confirm=True)
            if given == len(feeds):
                break
