"""Groups over one partition and over many, and how it is known that somebody reads them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from strands_session_log import FeedRetention, SessionLog, events
from support.waiting import wait_until

from .helpers import Consumer, Told


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
