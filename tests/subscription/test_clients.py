"""Subscriptions with every kind of client that users bring: replies look different, what is delivered is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import valkey

from strands_session_log import SessionLog
from strands_session_log.feed import FeedRetention
from support.waiting import wait_until

from .helpers import Consumer, Told

OPTIONS: dict[str, dict[str, Any]] = {
    "resp3": {"protocol": 3},
    "resp3 decoding": {"protocol": 3, "decode_responses": True},
    "decoding": {"decode_responses": True},
    "decoding latin-1": {"decode_responses": True, "encoding": "latin-1"},
    "utf-16": {"encoding": "utf-16"},
    "pool of two": {"max_connections": 2},
}


@pytest.fixture(params=OPTIONS.values(), ids=list(OPTIONS))
def log(
    request: pytest.FixtureRequest, make_client: Callable[..., Any], server_url: str, namespace: str
) -> Iterator[SessionLog]:
    options = dict(request.param)
    if "+cluster" in server_url:
        # There a key's node is looked for with the client's encoding, and a read takes a connection for each partition.
        options.pop("encoding", None)
        options.pop("max_connections", None)
    client = make_client(**options)
    with SessionLog(client, namespace, partitions=4) as log:
        yield log


def pending(log: SessionLog) -> int:
    return sum(status.lag + status.pending for status in log.groups())


@pytest.mark.parametrize("ordered", [False, True])
def test_everything_is_delivered_acknowledged_and_then_trimmed(log: SessionLog, told: Told, ordered: bool) -> None:
    told(range(20))
    with Consumer(log, ordered=ordered) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "all to be handled")
        told(range(20, 40))
        wait_until(lambda: pending(log) == 0, "all to be acknowledged")
    assert consumer.errors == []
    assert set(consumer.handled) == told.all
    trimming = SessionLog(log.client, log.namespace, feed=FeedRetention(keep=0))
    assert sum(trimming._events.trim_feed(partition, exactly=True).removed for partition in range(4)) == 40


def test_what_fails_is_parked_and_can_be_replayed(log: SessionLog, told: Told) -> None:
    def fail(_: object) -> None:
        raise ValueError("no")

    told(range(3))
    with Consumer(log, handle=fail, max_attempts=2) as consumer:
        wait_until(lambda: len(list(log.parked("g"))) == 3, "all to be parked")
    assert consumer.errors == []
    assert all(one.error.startswith("ValueError at ") for one in log.parked("g"))
    log.parked("g").replay([one.parked_id for one in log.parked("g")])
    with Consumer(log) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "all to be tried again")


def test_what_a_consumer_left_lying_is_given_to_another(log: SessionLog, told: Told, client: valkey.Valkey) -> None:
    told(range(6))
    for partition in range(4):
        feed = log._events.keyspace.feed(partition)
        if client.exists(feed):
            client.xgroup_create(feed, "g", "0")
            client.xreadgroup("g", "dead", {feed: ">"})
    with Consumer(log) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "what was left to be taken over")
    assert consumer.errors == []


def test_a_tail_of_all_sessions_follows(log: SessionLog, told: Told) -> None:
    with log.tail(after="now") as tail:
        told(range(3))
        found = [next(tail) for _ in range(3)]
    assert sorted(one.session_id for one in found) == ["s-0", "s-1", "s-2"]
