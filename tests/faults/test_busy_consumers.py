"""A busy consumer settles, reads on and fetches content in one round trip, and what may go wrong with that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strands_session_log import SessionLog, Subscriber, events
from strands_session_log.subscription import SyncDeliveries
from support import FaultProxy
from support.servers import Server
from support.waiting import wait_until

pytestmark = pytest.mark.faults

BATCH, EVENTS = 50, 1_000
SETTINGS: dict[str, Any] = {"batch": BATCH, "in_flight": 4 * BATCH}


@pytest.fixture
def direct(tcp_server: Server) -> Iterator[SessionLog]:
    """A log on a server of this test alone, with a thousand events in four sessions."""
    with SessionLog.connect(tcp_server.url) as log:
        for number in range(0, EVENTS, BATCH):
            added = [events.Custom("custom.number", {"number": one}) for one in range(number, number + BATCH)]
            log.append(f"s-{number // BATCH % 4}", added)
        yield log


@pytest.fixture
def proxy(tcp_server: Server) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", tcp_server.port) as proxy:
        yield proxy


@pytest.fixture
def log(proxy: FaultProxy, direct: SessionLog) -> Iterator[SessionLog]:
    """The same log, behind the proxy."""
    with SessionLog.connect(proxy.url, direct.namespace) as log:
        yield log


@pytest.fixture(params=[False, True], ids=["envelopes", "bodies"])
def bodies(request: pytest.FixtureRequest) -> bool:
    with_bodies: bool = request.param
    return with_bodies


def handle(deliveries: SyncDeliveries, count: int) -> list[tuple[str, int]]:
    """The next so many, each settled at once."""
    handled = []
    for _ in range(count):
        delivery = next(deliveries)
        delivery.ack()
        handled.append((delivery.session_id, delivery.id.revision))
    return handled


def every_event() -> set[tuple[str, int]]:
    return {(f"s-{session}", revision) for session in range(4) for revision in range(1, EVENTS // 4 + 1)}


def test_a_batch_takes_one_round_trip(proxy: FaultProxy, log: SessionLog, bodies: bool) -> None:
    with Subscriber(log, "g", bodies=bodies, **SETTINGS) as deliveries:
        # At the start, scripts look for what there is besides news.
        first = handle(deliveries, 4 * BATCH)
        # The network is what takes time, as where the server is another machine.
        proxy.delay(replies=0.01)
        before = proxy.round_trips
        rest = handle(deliveries, EVENTS - 4 * BATCH)
        # A read, its content and its acks would be three.
        assert proxy.round_trips - before <= 1.5 * EVENTS / BATCH
        proxy.delay()
    assert {*first, *rest} == every_event()


@pytest.mark.parametrize("at", [3, 7])
def test_when_the_reply_is_lost_all_is_handled_and_counted_once(
    at: int, proxy: FaultProxy, log: SessionLog, direct: SessionLog, bodies: bool
) -> None:
    with Subscriber(log, "g", bodies=bodies, **SETTINGS) as deliveries:
        handled = handle(deliveries, at * BATCH)
        proxy.swallow_replies(of=b"XREADGROUP")
        handled += handle(deliveries, EVENTS - len(handled))
        wait_until(lambda: deliveries.counters.acked == EVENTS, "every ack to count")
        assert deliveries.counters.lost == 0
    assert len(handled) == EVENTS
    assert {*handled} == every_event()
    assert not any(one.pending for one in direct.groups())


def test_when_the_server_forgets_its_scripts_all_is_counted(log: SessionLog, direct: SessionLog, bodies: bool) -> None:
    with Subscriber(log, "g", bodies=bodies, **SETTINGS) as deliveries:
        handled = handle(deliveries, 5 * BATCH)
        direct.client.execute_command("SCRIPT", "FLUSH")
        handled += handle(deliveries, EVENTS - len(handled))
        wait_until(lambda: deliveries.counters.acked == EVENTS, "every ack to count")
    assert {*handled} == every_event()


def test_acks_that_were_long_on_the_way_settle_nothing_that_another_consumer_has(
    proxy: FaultProxy, log: SessionLog, direct: SessionLog, bodies: bool
) -> None:
    settings = {**SETTINGS, "claim_after": 0.5, "bodies": bodies}
    with Subscriber(log, "g", **settings) as slow:
        handle(slow, 2 * BATCH)
        wait_until(lambda: slow.counters.acked == 2 * BATCH, "these to be settled")
        # As where the process stands still once it has taken the acks: they come when others have the deliveries.
        proxy.hold_requests()
        handle(slow, BATCH)
        with Subscriber(direct, "g", **{**settings, "in_flight": 4 * EVENTS}) as other:
            taken = [next(other)]
            while not other.counters.redelivered:
                taken.append(next(other))
            proxy.release_requests()
            wait_until(lambda: slow.counters.lost > 0, "the acks to come")
            kept = other.ack(taken)
    assert len(kept) == len(taken)
