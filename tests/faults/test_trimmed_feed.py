"""Trimming while groups read: within the cap nothing is lost, beyond it the gap is told, and can be caught up with."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from valkey.exceptions import TimeoutError as TimeoutFromReading

from strands_session_log import FeedRetention, SessionLog, Subscriber, events
from strands_session_log.errors import FeedGapError, ServerUnavailableError
from strands_session_log.event_log import EventLog
from strands_session_log.server import Store, outage
from strands_session_log.subscription.bodies import Bodies
from subscription.helpers import Consumer, Told, ends_of, number_of
from support.servers import Server
from support.waiting import wait_until

pytestmark = pytest.mark.faults

Log = Callable[..., SessionLog]


@pytest.fixture
def log(make_client: Callable[..., Any], namespace: str) -> SessionLog:
    """A log whose feed is kept for nobody, and is ten envelopes long at most."""
    return SessionLog(make_client(), namespace, feed=FeedRetention(keep=0, max_length=10))


@pytest.fixture
def told(log: SessionLog) -> Told:
    return Told(log)


def trim(log: SessionLog, session: str = "only") -> Any:
    return log._events.trim_feed(log._events.keyspace.partition(session), exactly=True)


def begin(log: SessionLog) -> None:
    """Have a group: what nobody reads may be trimmed at any time."""
    with Subscriber(log, "g"):
        wait_until(lambda: len(log.groups()) == log._events.keyspace.partitions, "the group")


@pytest.mark.parametrize("what", ["fail", "park", "give back"])
def test_what_was_trimmed_while_it_was_handled_and_then_not_done_is_a_gap(
    log: SessionLog, told: Told, what: str
) -> None:
    begin(log)
    told(range(3), "only")
    with Subscriber(log, "g", batch=3, in_flight=3) as deliveries:
        held = [next(deliveries) for _ in range(3)]
        told(range(3, 20), "only")
        trim(log)
        held[0].ack()
        if what == "fail":
            held[1].fail("no")
        elif what == "park":
            held[1].park("no")
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError) as raised:
        next(deliveries)
    assert ends_of(raised.value) == (1, 11)


def test_a_group_that_has_read_nothing_yet_is_told_what_it_lost(log: SessionLog, told: Told) -> None:
    begin(log)
    told(range(20), "only")
    assert trim(log).lost == [("g", 10)]
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError) as raised:
        next(deliveries)
    assert ends_of(raised.value) == (0, 11)


def test_a_feed_that_was_deleted_before_anything_was_read_is_a_gap(log: SessionLog, told: Told) -> None:
    begin(log)
    told(range(5), "only")
    log.client.execute_command("DEL", log._events.keyspace.feed(log._events.keyspace.partition("only")))
    told([5], "only")
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError) as raised:
        next(deliveries)
    assert ends_of(raised.value) == (0, 6)


def test_what_was_trimmed_from_under_a_dead_consumer_does_not_hide_what_else_is_gone(
    log: SessionLog, told: Told
) -> None:
    begin(log)
    told(range(3), "only")
    with Subscriber(log, "g", batch=3, in_flight=3, claim_after=0.05) as dead:
        assert next(dead)
        for fetcher in dead._consumer._fetchers:
            fetcher.stop()
            fetcher.join(5)
        dead._consumer._in_flight._open.clear()
        told(range(3, 20), "only")
        trim(log)
        with Consumer(log, batch=3, in_flight=3, claim_after=0.05, on_gap="catch_up") as consumer:
            wait_until(lambda: {number for _, number in consumer.handled} == set(range(20)), "all events")


def test_what_others_have_settled_and_was_trimmed_is_no_gap(make_client: Callable[..., Any], namespace: str) -> None:
    log = SessionLog(make_client(), namespace, feed=FeedRetention(keep=0))
    told = Told(log)
    with Subscriber(log, "g", batch=1, in_flight=1) as one:
        told([0], "only")
        next(one).ack(confirm=True)
        with Subscriber(log, "g", batch=1, in_flight=1) as other:
            for number in range(1, 30):
                told([number], "only")
                wait_until(lambda: one._consumer.channel or other._consumer.channel, "a delivery")
                next(one if one._consumer.channel else other).ack(confirm=True)
                trim(log)
        assert not any(found.gap for found in log.groups())


def test_what_had_failed_when_its_feed_was_lost_is_read_from_its_session(
    make_client: Callable[..., Any], namespace: str
) -> None:
    """Its consumer was given it, and the group, which knew that it is not settled, went with the feed."""
    log = SessionLog(make_client(), namespace)
    told, failed = Told(log), threading.Event()

    def handle(delivery: Any) -> None:
        if number_of(delivery)[1] == 1 and not failed.is_set():
            failed.set()
            raise ValueError

    with Consumer(log, handle=handle, on_gap="catch_up", backoff=0.5, claim_after=1) as consumer:
        told([0], "only")
        wait_until(lambda: consumer.handled, "the first")
        told([1], "only")
        wait_until(
            lambda: failed.is_set() and log.groups()[log._events.keyspace.partition("only")].pending, "a failure"
        )
        wait_until(lambda: not consumer.deliveries._consumer._in_flight._queue, "the group to know of it")
        log.client.execute_command("DEL", log._events.keyspace.feed(log._events.keyspace.partition("only")))
        told([2], "only")
        wait_until(lambda: {number for _, number in consumer.handled} == {0, 1, 2}, "all events", timeout=20)


class Turmoil:
    """Consumers that come, go and fail, on feeds that are trimmed and deleted."""

    def __init__(self, log: SessionLog, seed: int, ordered: bool) -> None:
        self.log, self.told, self.chance, self.ordered = log, Told(log), random.Random(seed), ordered
        self.handled: list[tuple[str, int]] = []
        self.running: list[Consumer] = []

    def handle(self, delivery: Any) -> None:
        """Fail now and then."""
        if self.chance.random() < 0.1:
            raise ValueError("by chance")
        self.handled.append(number_of(delivery))

    def come(self, **more: Any) -> None:
        """One more consumer."""
        more |= {"batch": 3, "in_flight": 6, "claim_after": 0.3, "backoff": 0.01, "max_attempts": 50}
        self.running.append(Consumer(self.log, handle=self.handle, on_gap="catch_up", ordered=self.ordered, **more))

    def trim(self) -> None:
        """Trim all feeds, and delete some."""
        for partition in range(self.log._events.keyspace.partitions):
            self.log._events.trim_feed(partition, exactly=True)
            if self.chance.random() < 0.1:
                self.log.client.execute_command("DEL", self.log._events.keyspace.feed(partition))

    def come_and_go(self) -> None:
        """Perhaps."""
        if self.chance.random() < 0.5:
            self.come()
        if len(self.running) > 1 and self.chance.random() < 0.7:
            self.running.pop(0).stop()

    def end(self) -> None:
        """Everybody leaves."""
        for one in self.running:
            one.stop()
            assert not one.errors


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 16), ordered=st.booleans(), start=st.sampled_from(["feed", "beginning"]))
def test_whatever_is_trimmed_every_event_is_handled(
    make_client: Callable[..., Any], new_namespace: Callable[[], str], seed: int, ordered: bool, start: str
) -> None:
    log = SessionLog(make_client(), new_namespace(), feed=FeedRetention(keep=0, max_length=4))
    turmoil = Turmoil(log, seed, ordered)
    turmoil.come(start=start)
    wait_until(lambda: len(log.groups()) == log._events.keyspace.partitions, "the group")
    for at in range(0, 200, 40):
        turmoil.told(range(at, at + 40))
        turmoil.trim()
        turmoil.come_and_go()
    wait_until(lambda: set(turmoil.handled) == turmoil.told.all, "all events", timeout=30)
    turmoil.end()


def test_history_goes_on_after_the_server_was_away(tcp_server: Server) -> None:
    """For longer than reads wait for it."""
    with SessionLog.connect(tcp_server.url, retry_for=0.2) as log:
        for at in range(0, 2000, 100):
            log.append("only", [events.Custom("custom.number", {"number": at + number}) for number in range(100)])
        with Consumer(log, start="beginning", batch=5, in_flight=5) as consumer:
            wait_until(lambda: len(consumer.handled) > 5, "history")
            tcp_server.execute("SAVE")
            tcp_server.kill()
            with pytest.raises(TimeoutError):
                wait_until(lambda: consumer.errors, "an error", timeout=1)
            tcp_server.restart()
            wait_until(lambda: {number for _, number in consumer.handled} == set(range(2000)), "the rest", timeout=20)
        assert not consumer.errors


@pytest.mark.parametrize("ordered", [False, True])
def test_content_that_could_not_be_fetched_is_fetched_again_which_is_no_attempt_to_handle_it(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    fetch, calls = Bodies.add_to, list[int]()
    monkeypatch.setattr(outage, "_LONGEST", 0.02)

    def failing(self: Bodies, deliveries: Any) -> Any:
        calls.append(1)
        if len(calls) % 10:
            raise ServerUnavailableError("away")
        return fetch(self, deliveries)

    monkeypatch.setattr(Bodies, "add_to", failing)
    with SessionLog.connect(tcp_server.url) as log:
        told = Told(log)
        told(range(5), "only")
        told(range(5, 10), "another")
        with Consumer(log, claim_after=60, ordered=ordered, max_attempts=2) as consumer:
            wait_until(lambda: len(consumer.handled) == 10, "all events")
            told(range(10, 15), "only")
            wait_until(lambda: len(consumer.handled) == 15, "what came after them")
            assert consumer.deliveries.counters.redelivered == 0
        assert [number for session, number in consumer.handled if session == "only"] == [*range(5), *range(10, 15)]
        assert list(log.parked("g")) == []


def test_content_that_is_too_much_for_the_time_there_is_is_fetched_in_parts(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched again as a whole, it would be too much again."""
    send = Store._send_all

    def slow(self: Store, commands: Any, is_lenient: bool) -> Any:
        if sum(command[-1] for command in commands if command[0] == b"XRANGE") > 4:
            raise TimeoutFromReading("it takes too long")
        return send(self, commands, is_lenient)

    monkeypatch.setattr(Store, "_send_all", slow)
    with SessionLog.connect(tcp_server.url, retry_for=0.02) as log:
        Told(log)(range(30), "only")
        with Consumer(log, claim_after=60) as consumer:
            wait_until(lambda: len(consumer.handled) == 30, "all events")
            assert [number for _, number in consumer.handled] == list(range(30))


def test_history_goes_on_after_a_page_that_could_not_be_read(
    log: SessionLog, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(range(20))
    read, calls = EventLog.pages, list[str]()

    def failing(self: EventLog, session_id: str, *more: str) -> Any:
        calls.append(session_id)
        if calls.count(session_id) == 1:
            raise ServerUnavailableError("away")
        return read(self, session_id, *more)

    monkeypatch.setattr(EventLog, "pages", failing)
    with Consumer(log, start="beginning") as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "all events")
