"""What becomes of a subscription when the server loses something, is away, or is replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from strands_session_log import FeedRetention, SessionLog, Subscriber
from strands_session_log.errors import FeedGapError, LogForkedError, ServerUnavailableError
from strands_session_log.feed.trimming import Trimmed
from strands_session_log.scripts.group_protocol import Gap
from strands_session_log.subscription import SyncDeliveries, SyncDelivery
from strands_session_log.subscription.group import Group
from subscription.helpers import Consumer, Told, ends_of, number_of
from support import Cluster, FaultProxy, ValkeyliteServer
from support.clients import client_of
from support.servers import Server
from support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def log(tcp_server: Server) -> Iterator[SessionLog]:
    """A log on a server of this test alone, so that it may be emptied."""
    with SessionLog.connect(tcp_server.url) as log:
        yield log


@pytest.fixture
def told(log: SessionLog) -> Told:
    return Told(log)


def trimmed(log: SessionLog, session: str, **retention: Any) -> Trimmed:
    """Trim the feed of a session's partition; only now: appends trim it in passing, about one in a thousand."""
    log._events.retention = FeedRetention(**retention)
    try:
        return log._events.trim_feed(log._events.keyspace.partition(session), exactly=True)
    finally:
        log._events.retention = FeedRetention()


def destroy(log: SessionLog, group: str = "g") -> None:
    for partition in {one.partition for one in log.groups()}:
        log.client.execute_command("XGROUP", "DESTROY", log._events.keyspace.feed(partition), group)


def handled(deliveries: SyncDeliveries) -> SyncDelivery:
    """The next delivery, settled at once."""
    delivery = next(deliveries)
    delivery.ack()
    return delivery


def delete_feeds(log: SessionLog) -> None:
    for partition in range(log._events.keyspace.partitions):
        log.client.execute_command("DEL", log._events.keyspace.feed(partition))


def test_a_destroyed_group_is_made_anew_where_it_was(log: SessionLog, told: Told) -> None:
    told(range(20))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        wait_until(lambda: not any(one.pending for one in log.groups()), "them to be settled")
        destroy(log)
        told(range(20, 30))
        wait_until(lambda: len(set(consumer.handled)) == 30, "the others")
    assert len(consumer.handled) == 30
    assert not consumer.errors


def test_what_was_not_settled_when_the_group_was_destroyed_is_delivered_again(log: SessionLog, told: Told) -> None:
    told(range(10), "only")
    with Subscriber(log, "g", bodies=True, claim_after=60) as deliveries:
        held = [next(deliveries) for _ in range(10)]
        held[0].ack(confirm=True)
        destroy(log)
        with Consumer(log) as other:
            wait_until(lambda: len(set(other.handled)) == 9, "the rest")
    assert {number for _, number in other.handled} == set(range(1, 10))


def test_a_feed_that_was_deleted_goes_on(log: SessionLog, told: Told) -> None:
    told(range(20))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        wait_until(lambda: not any(one.pending for one in log.groups()), "them to be settled")
        delete_feeds(log)
        told(range(20, 30))
        wait_until(lambda: len(consumer.handled) == 30, "the others")
    assert not consumer.errors


def test_what_a_deleted_feed_swallowed_is_a_gap_and_iteration_goes_on_behind_it(log: SessionLog, told: Told) -> None:
    told(range(5), "only")
    with Subscriber(log, "g", bodies=True) as deliveries:
        for _ in range(5):
            next(deliveries).ack()
    told(range(5, 9), "only")
    delete_feeds(log)
    told(range(9, 12), "only")
    with Subscriber(log, "g", bodies=True) as deliveries:
        with pytest.raises(FeedGapError) as raised:
            next(deliveries)
        assert (*ends_of(raised.value), raised.value.count) == (5, 10, 4)
        assert [number_of(next(deliveries))[1] for _ in range(3)] == [9, 10, 11]


def test_a_gap_is_told_though_the_server_was_away_when_it_was_asked_for_it(
    log: SessionLog, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes behind it was given already then, so nothing else would tell of the gap."""
    told(range(3), "only")
    missing, settle, asked, has_asked = Group.missing, Group.settle, list[Gap](), threading.Event()

    def late(self: Group, requests: Any) -> Any:
        has_asked.wait(PATIENCE)
        return settle(self, requests)

    def away_at_first(self: Group, unseen: Gap) -> Gap | None:
        asked.append(unseen)
        if len(asked) == 1:
            # What came before it is settled only now, which tells nothing of what is lost in between.
            has_asked.set()
            wait_until(lambda: sum(one.pending for one in log.groups()) == 1, "what was handled to be settled")
            raise ServerUnavailableError("away")
        return missing(self, unseen)

    monkeypatch.setattr(Group, "missing", away_at_first)
    monkeypatch.setattr(Group, "settle", late)
    with Subscriber(log, "g", bodies=True) as deliveries:
        for _ in range(3):
            handled(deliveries)
        feed = log._events.keyspace.session("only").feed
        ((newest, fields),) = log.client.execute_command("XREVRANGE", feed, "+", "-", "COUNT", 1)
        ms, _, sequence = newest.decode().partition("-")
        # As if the two before it were lost.
        client_of(log).xadd(feed, fields, id=f"{ms}-{int(sequence) + 3}")
        with pytest.raises(FeedGapError) as raised:
            _ = [handled(deliveries) for _ in range(2)]
    assert raised.value.count == 2
    assert len(asked) >= 2


def test_a_gap_can_be_filled_from_the_sessions(log: SessionLog, told: Told) -> None:
    told(range(5), "only")
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 5, "the first events")
    told(range(5, 9), "only")
    delete_feeds(log)
    told(range(9, 12), "only")
    with Consumer(log, on_gap="catch_up") as consumer:
        wait_until(lambda: {number for _, number in consumer.handled} >= set(range(5, 12)), "what was missing")
        wait_until(lambda: not any(one.gap or one.backfill for one in log.groups()), "the gap to be closed")


def test_an_unsettled_gap_is_told_to_every_consumer_that_begins(log: SessionLog, told: Told) -> None:
    told(range(3), "only")
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 3, "the first events")
    told(range(3, 6), "only")
    delete_feeds(log)
    told([6], "only")
    for _ in range(2):
        with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError) as raised:
            next(deliveries)
    with Subscriber(log, "g") as deliveries:
        with pytest.raises(FeedGapError):
            next(deliveries)
        deliveries.skip(raised.value)
    with Subscriber(log, "g", bodies=True, claim_after=0.2) as deliveries:
        assert number_of(next(deliveries))[1] == 6


def test_a_server_that_was_emptied_is_a_typed_error(log: SessionLog, told: Told) -> None:
    told(range(20))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        client_of(log).flushall()
        told(range(14))
        wait_until(lambda: consumer.errors, "the error")
    assert isinstance(consumer.errors[0], LogForkedError)


def test_a_restart_in_between_loses_and_repeats_nothing_that_was_settled(
    log: SessionLog, told: Told, tcp_server: Any
) -> None:
    told(range(20))
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        wait_until(lambda: not any(one.pending for one in log.groups()), "them to be settled")
        tcp_server.execute("SAVE")
        tcp_server.restart()
        told(range(20, 40))
        wait_until(lambda: len(set(consumer.handled)) == 40, "the others", timeout=20)
    assert not consumer.errors


def test_lost_replies_lose_no_event(told: Told, proxy: FaultProxy) -> None:
    told(range(50))
    with SessionLog.connect(proxy.url) as spoiled, Consumer(spoiled, batch=10) as consumer:
        for command in (b"XREADGROUP", b"EVALSHA", b"XRANGE", b"EVALSHA"):
            proxy.swallow_replies(of=command)
            told(range(len(told.all), len(told.all) + 10))
            wait_until(lambda: set(consumer.handled) == told.all, f"all events after {command!r}", timeout=20)
    assert not consumer.errors


def test_a_failover_in_between_loses_no_acknowledged_event() -> None:
    with Cluster(replicas=1, cluster_node_timeout="500") as cluster, SessionLog.connect(cluster.url) as log:
        told = Told(log)
        told(range(20), "only")
        with Consumer(log) as consumer:
            wait_until(lambda: len(consumer.handled) == 20, "the first events", timeout=20)
            feed = log._events.keyspace.feed(log._events.keyspace.partition("only"))
            cluster.node_for(feed).kill()
            told(range(20, 40), "only")
            wait_until(lambda: len(set(consumer.handled)) >= 40 or consumer.errors, "the others", timeout=40)
        assert {number for _, number in consumer.handled} == set(range(40)) or isinstance(
            consumer.errors[0], (LogForkedError, FeedGapError)
        )


def test_a_failover_that_lost_what_was_delivered_is_a_typed_error() -> None:
    """The replica lacks the newest events; their sequence numbers are used again, by others."""
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        told = Told(log)
        told(range(5), "only")
        feed = log._events.keyspace.feed(log._events.keyspace.partition("only"))
        before = {key: client_of(log).dump(key) for key in client_of(log).keys("strands:*")}
        told(range(5, 8), "only")
        with Consumer(log) as consumer:
            wait_until(lambda: len(consumer.handled) == 8, "all of them")
            client_of(log).flushall()
            for key, value in before.items():
                client_of(log).restore(key, 0, value)
            assert client_of(log).xlen(feed) == 5
            with SessionLog.connect(server.url) as another:
                Told(another)(range(100, 104), "only")
            wait_until(lambda: consumer.errors, "the error")
        assert isinstance(consumer.errors[0], LogForkedError)
        assert consumer.errors[0].session_id == "only"


@pytest.mark.parametrize("settings", [{"ordered": True}, {}, {"batch": 20}], ids=["ordered", "competing", "batches"])
def test_nothing_of_another_history_is_handled_however_much_comes(tcp_server: Server, settings: dict[str, Any]) -> None:
    """A consumer that always finds something new compares, too."""
    with SessionLog.connect(tcp_server.url) as log:
        told, begun, gate = Told(log), threading.Event(), threading.Event()
        told(range(5), "only")
        dumps: dict[bytes, bytes] = {}

        def handle(delivery: Any) -> None:
            if number_of(delivery)[1] == 4 and not dumps:
                dumps.update({key: client_of(log).dump(key) for key in client_of(log).keys("strands:*")})
            if number_of(delivery)[1] == 7:
                begun.set()
                gate.wait(PATIENCE)

        with Consumer(log, handle=handle, **{"batch": 1, "in_flight": 1, "claim_after": 60, **settings}) as consumer:
            wait_until(lambda: dumps, "a copy of what there is")
            told(range(5, 8), "only")
            assert begun.wait(PATIENCE)
            client_of(log).flushall()
            for key, dump in dumps.items():
                client_of(log).restore(key, 0, dump)
            with SessionLog.connect(tcp_server.url) as another:
                Told(another)(range(100, 160), "only")
            gate.set()
            wait_until(lambda: consumer.errors, "the error")
        assert isinstance(consumer.errors[0], LogForkedError)
        assert consumer.errors[0].session_id == "only"
        assert {number for _, number in consumer.handled} <= set(range(8))


def test_the_feed_is_trimmed_to_what_the_slowest_group_needs(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        told = Told(log)
        told(range(30), "only")
        partition = log._events.keyspace.partition("only")
        with Subscriber(log, "slow", batch=10, in_flight=10) as slow, Consumer(log, "quick") as quick:
            wait_until(lambda: len(quick.handled) == 30, "the quick one")
            wait_until(lambda: not any(one.pending for one in log.groups() if one.group == "quick"), "its acks")
            held = [next(slow) for _ in range(10)]
            for delivery in held[:4]:
                delivery.ack(confirm=True)
            trimmed(log, "only", keep=0)
            assert client_of(log).xlen(log._events.keyspace.feed(partition)) == 26
            for delivery in held[4:]:
                delivery.ack()
            assert [handled(slow).id.revision for _ in range(20)] == list(range(11, 31))


def test_past_the_cap_a_slow_group_is_told_what_it_lost(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        told = Told(log)
        told(range(4), "only")
        with Subscriber(log, "g", batch=4, in_flight=4, bodies=True) as deliveries:
            held = [next(deliveries) for _ in range(4)]
            told(range(4, 30), "only")
            assert trimmed(log, "only", keep=0, max_length=10).lost == [("g", 16)]
            for delivery in held:
                delivery.ack()
            with pytest.raises(FeedGapError) as raised:
                next(deliveries)
            assert ends_of(raised.value) == (4, 21)
            assert [number_of(handled(deliveries))[1] for _ in range(10)] == list(range(20, 30))


def test_a_group_that_nobody_reads_holds_nothing_back(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url) as log:
        told = Told(log)
        told(range(5), "only")
        partition = log._events.keyspace.partition("only")
        with Subscriber(log, "left") as deliveries:
            next(deliveries)
        wait_until(
            lambda: trimmed(log, "only", keep=0, abandoned_after=0.05).abandoned == ["left"], "it to be given up"
        )
        assert client_of(log).xlen(log._events.keyspace.feed(partition)) == 0
        assert [one.abandoned for one in log.groups() if one.partition == partition] == [True]


def test_a_server_that_was_emptied_is_an_error_though_nothing_is_appended_to_it(log: SessionLog, told: Told) -> None:
    told(range(20), "only")
    with Consumer(log) as consumer:
        wait_until(lambda: len(consumer.handled) == 20, "the first events")
        client_of(log).flushall()
        wait_until(lambda: consumer.errors, "the error")
    assert isinstance(consumer.errors[0], LogForkedError)


def test_what_others_took_over_while_its_answer_was_on_the_way_is_not_handed_out(
    log: SessionLog, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery is certainly a consumer's from when it asked, not from when it read the answer."""
    fetch, is_given, goes_on = Group.fetch, threading.Event(), threading.Event()

    def late(self: Group, requests: Any) -> Any:
        answers = fetch(self, requests)
        if self.settings.consumer == "slow" and any(one.given for one in answers):
            is_given.set()
            goes_on.wait(PATIENCE)
        return answers

    monkeypatch.setattr(Group, "fetch", late)
    told(range(1), "only")
    with Consumer(log, consumer="slow", claim_after=0.5) as slow:
        assert is_given.wait(PATIENCE)
        with Consumer(log, consumer="other", claim_after=0.5) as other:
            wait_until(lambda: other.handled == [("only", 0)], "the other to take it over")
        goes_on.set()
        told(range(1, 2), "only")
        wait_until(lambda: ("only", 1) in slow.handled, "the next one")
    assert slow.handled == [("only", 1)]
    assert not slow.errors
