"""What a consumer leaves behind, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from subprocess import PIPE
from typing import Any

import pytest
from valkey import ValkeyCluster

from strands_session_log import FeedRetention, SessionLog, Subscriber
from strands_session_log.errors import DeliveryLostError, ServerUnavailableError
from strands_session_log.subscription.group import Group
from strands_session_log.subscription.notifier import FeedNotifier
from support.programs import Program
from support.waiting import PATIENCE, wait_until

from .helpers import Consumer, Told, number_of

HANGS = 2 * PATIENCE


def consumers(log: SessionLog) -> int:
    return sum(one.consumers for one in log.groups())


def notes(log: SessionLog) -> set[str]:
    """The fields of the group that name consumers."""
    keys = [log._events.keyspace.group(partition, "g").group for partition in range(log._events.keyspace.partitions)]
    found = [log.client.execute_command("HKEYS", key, NEVER_DECODE=True) for key in keys]
    return {name.decode() for names in found for name in names if b":" in name or name == b"lease"}


@pytest.mark.parametrize("ordered", [False, True])
def test_a_consumer_that_leaves_with_nothing_pending_leaves_no_name_no_lease_and_no_thread(
    log: SessionLog, told: Told, ordered: bool
) -> None:
    told(range(30))
    with Consumer(log, ordered=ordered) as consumer:
        wait_until(lambda: len(consumer.handled) == 30, "all events")
        assert consumers(log)
    assert consumers(log) == 0
    assert notes(log) == set()
    name = consumer.subscriber.settings.consumer
    wait_until(lambda: not [one for one in threading.enumerate() if name in one.name], "its threads to end")


def test_what_is_given_back_is_had_at_once_however_long_others_wait(log: SessionLog, told: Told) -> None:
    told(range(5), "only")
    with Subscriber(log, "g") as deliveries:
        next(deliveries)
    assert sum(one.pending for one in log.groups()) == 5
    with Consumer(log, claim_after=60) as other:
        wait_until(lambda: len(other.handled) == 5, "what was given back")
    assert set(other.handled) == told.all


def test_stopping_gives_back_what_was_read_and_not_begun(log: SessionLog, told: Told) -> None:
    told(range(20), "only")
    with Subscriber(log, "g", bodies=True) as deliveries:
        next(deliveries).ack()
        deliveries.stop()
        assert [number_of(one) for one in deliveries] == []
    with Consumer(log, claim_after=60) as other:
        wait_until(lambda: len(other.handled) == 19, "the rest")
    assert {number for _, number in other.handled} == set(range(1, 20))


def test_what_was_given_back_is_not_confirmed_as_done(log: SessionLog, told: Told) -> None:
    """An ack that nobody waits for says nothing: it comes again, as always with at-least-once."""
    told(range(3), "only")
    with Subscriber(log, "g") as deliveries:
        late, done = next(deliveries), next(deliveries)
        done.ack()
    late.ack()
    with pytest.raises(DeliveryLostError, match="has left its subscription"):
        late.ack(confirm=True)
    done.ack(confirm=True)
    assert deliveries.ack([late, done]) == []
    with Consumer(log) as other:
        wait_until(lambda: len(other.handled) == 2, "what was given back")
    assert {number for _, number in other.handled} == {0, 2}


def test_an_ack_of_a_batch_counts_none_that_was_failed_before(log: SessionLog, told: Told) -> None:
    told(range(3), "only")
    with Subscriber(log, "g", backoff=60) as deliveries:
        batch = next(iter(deliveries.batches()))
        batch[1].fail("not this one")
        assert deliveries.ack(batch) == [batch[0], batch[2]]
    assert sum(one.pending for one in log.groups()) == 1


def test_what_is_said_too_late_after_leaving_is_refused_and_waits_for_nobody(log: SessionLog, told: Told) -> None:
    """It has failed for taking too long, so it was not given back; its handler goes on."""
    told([1])
    with Subscriber(log, "g", ordered=True, timeout=0.1, claim_after=0.1, backoff=60) as deliveries:
        late = next(deliveries)
        wait_until(lambda: deliveries.counters.failed, "it to fail")
    with ThreadPoolExecutor() as pool, pytest.raises(DeliveryLostError):
        pool.submit(late.ack).result(PATIENCE)


SERVICE = """
import os, sys, time
from strands_session_log import FeedRetention, SessionLog, Subscriber
import asyncio

log = SessionLog.connect(sys.argv[1], sys.argv[2])

def say(what, delivery):
    # Two threads write: each line at once.
    os.write(1, f"{what} {delivery.event.data['number']}\\n".encode())

def handle(delivery):
    say("begun", delivery)
    time.sleep(0.3)
    say("done", delivery)

asyncio.run(Subscriber(log, "g", bodies=True, claim_after=60).run(handle, concurrency=2))
"""


def test_a_service_finishes_at_sigterm_what_it_handles_and_gives_back_the_rest(
    log: SessionLog, told: Told, server_url: str
) -> None:
    told(range(20))
    service = Program(["-c", SERVICE, server_url, log.namespace], stdout=PIPE, text=True)
    assert service.stdout
    lines = [service.stdout.readline()]
    service.send_signal(signal.SIGTERM)
    lines += service.stdout.readlines()
    assert service.wait(10) == 0
    words = [line.split() for line in lines]
    begun, done = ({int(word[1]) for word in words if word[0] == what} for what in ("begun", "done"))
    assert begun == done
    assert len(done) < 10
    with Consumer(log, claim_after=60) as other:
        wait_until(lambda: {number for _, number in other.handled} == set(range(20)) - done, "the rest, at once")


def test_functions_that_hang_use_up_no_threads_of_others(log: SessionLog, told: Told) -> None:
    told(range(40))
    handled, release = list[int](), threading.Event()

    def handle(delivery: Any) -> None:
        if number_of(delivery)[1] % 4 == 0:
            release.wait(HANGS)
        handled.append(number_of(delivery)[1])

    async def main() -> None:
        settings: dict[str, Any] = {"timeout": 0.1, "max_attempts": 2, "claim_after": 0.3, "backoff": 0.05}
        task = asyncio.create_task(Subscriber(log, "g", bodies=True, **settings).run(handle, concurrency=4))
        while len(list(log.parked("g"))) < 10 or len(handled) < 30:
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    began = time.monotonic()
    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert time.monotonic() - began < HANGS
    assert sorted(set(handled)) == [number for number in range(40) if number % 4]
    release.set()


def has_handled(consumer: Consumer, number: int) -> bool:
    return len(set(consumer.handled)) == number


@pytest.mark.parametrize("options", [{"socket_timeout": 0.2}, {"max_connections": 2}])
def test_a_client_with_tight_limits_is_as_good(
    another_log: Callable[..., SessionLog], told: Told, options: dict[str, Any]
) -> None:
    with Consumer(another_log(**options)) as consumer:
        for at in range(0, 60, 20):
            told(range(at, at + 20))
            wait_until(partial(has_handled, consumer, at + 20), "all events")
        assert consumer.deliveries.counters.redelivered == 0
    assert sorted(consumer.handled) == sorted(told.all)
    assert not consumer.errors


def test_a_client_that_is_closed_under_a_consumer_hangs_nobody(
    another_log: Callable[..., SessionLog], told: Told
) -> None:
    other = another_log()
    with Consumer(other) as consumer:
        told([1])
        wait_until(lambda: consumer.handled, "the first")
        other.client.close()
        told([2])
        wait_until(lambda: set(consumer.handled) == told.all, "the next")
    assert not consumer.errors


def test_consumers_that_died_long_ago_are_forgotten(log: SessionLog) -> None:
    key = log._events.keyspace.group(0, "g").group
    log.client.execute_command("HSET", key, "heartbeat:dead", 1)
    with Consumer(log, ordered=True) as consumer:
        wait_until(lambda: "heartbeat:dead" not in notes(log), "it to be forgotten")
        assert f"heartbeat:{consumer.subscriber.settings.consumer}" in notes(log)


def test_a_name_of_the_dead_goes_with_the_feed_that_is_trimmed(make_client: Callable[..., Any], namespace: str) -> None:
    log = SessionLog(make_client(), namespace, feed=FeedRetention(keep=0, abandoned_after=0.1))
    Told(log)([1])
    partition = log._events.keyspace.partition("s-1")
    with Consumer(log) as consumer:
        wait_until(lambda: consumer.handled, "the event")
        feed = log._events.keyspace.feed(partition)
        log.client.execute_command("XGROUP", "CREATECONSUMER", feed, "g", "dead")
    wait_until(lambda: log._events.trim_feed(partition).abandoned, "it to be trimmed")
    assert consumers(log) == 0


def test_connections_are_given_back(another_log: Callable[..., SessionLog], told: Told) -> None:
    other = another_log()
    told(range(10))
    before = threads()

    def come_and_go() -> None:
        with Consumer(other) as consumer:
            wait_until(lambda: consumer.handled, "something")
        wait_until(lambda: threads() <= before, "its threads to end")
        told(range(10))

    come_and_go()
    connected = log_clients(told.log)
    for _ in range(20):
        come_and_go()
    # A cluster is read slot by slot, and how many connections that takes at once is a matter of chance.
    chance = told.log._events.keyspace.partitions if isinstance(told.log.client, ValkeyCluster) else 2
    assert log_clients(told.log) <= connected + chance


def threads() -> int:
    return sum(thread.name.startswith("session-log") for thread in threading.enumerate())


def log_clients(log: SessionLog) -> int:
    """How many connections the server has."""
    found = log.client.execute_command("INFO", "clients")
    nodes = found.values() if all(isinstance(one, dict) for one in found.values()) else [found]
    return sum(int(one["connected_clients"]) for one in nodes)


def test_one_that_lost_the_server_while_it_listened_is_waited_for_when_it_takes(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one that listens is not, for it takes nothing."""
    listen, take = FeedNotifier.wait, Group.fetch
    errors, listens_while_it_takes, joined = list[int](), list[bool](), threading.Event()

    def failing(self: FeedNotifier, seen: Any, seconds: float) -> list[int]:
        errors.append(1)
        if len(errors) == 1:
            raise ServerUnavailableError("away")
        return listen(self, seen, seconds)

    def watched(self: Group, requests: Any) -> Any:
        if errors:
            # Its threads are quicker than whoever starts them.
            assert joined.wait(30)
            (mine,) = [
                one for one in deliveries._consumer._fetchers if one._thread._thread is threading.current_thread()
            ]
            listens_while_it_takes.append(mine._listening.is_set())
        return take(self, requests)

    monkeypatch.setattr(FeedNotifier, "wait", failing)
    monkeypatch.setattr(Group, "fetch", watched)
    with Subscriber(log, "g") as deliveries:
        joined.set()
        wait_until(lambda: listens_while_it_takes, "it to be at work again")
    assert not listens_while_it_takes[0]
