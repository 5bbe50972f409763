"""An address that leads to another server after a failover, as a Service does: open connections stay where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

import pytest
import valkey
from valkey.backoff import ConstantBackoff
from valkey.retry import Retry

from strands_session_log import SessionLog, Subscriber, errors, events
from support import FaultProxy, ValkeyliteServer, wait_until
from support.processes import HOST
from support.servers import Server

pytestmark = pytest.mark.faults


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def numbers(log: SessionLog) -> list[int]:
    return [one.event.data["number"] for one in log.read("s")]


class Pair:
    """A primary and its replica behind one address."""

    def __init__(self, primary: Server, replica: Server, address: FaultProxy) -> None:
        self.primary, self.replica, self.address = primary, replica, address
        replica.execute("REPLICAOF", HOST, primary.port)
        wait_until(lambda: b"up" in self._link(), "the replica to follow")

    def demote(self) -> None:
        """They change places, and the address leads to the new primary; not one connection is closed."""
        self.wait_for_the_same_data()
        self.replica.execute("REPLICAOF", "NO", "ONE")
        self.primary.execute("REPLICAOF", HOST, self.replica.port)

    def wait_for_the_same_data(self) -> None:
        offset = self.primary.execute("INFO", "replication")["master_repl_offset"]
        wait_until(lambda: self.replica.execute("INFO", "replication")["slave_repl_offset"] >= offset, "the same data")

    def switch(self) -> None:
        self.address.lead_to(HOST, self.replica.port)

    def _link(self) -> bytes:
        return str(self.replica.execute("INFO", "replication").get("master_link_status")).encode()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with (
        ValkeyliteServer(repl_diskless_sync_delay="0") as primary,
        ValkeyliteServer() as replica,
        FaultProxy(HOST, primary.port) as address,
    ):
        yield Pair(primary, replica, address)


CLIENTS: dict[str, Callable[[str], Any]] = {
    "connect": lambda url: valkey.Valkey.from_url(url, socket_timeout=5),
    "a blocking pool": lambda url: valkey.Valkey(
        connection_pool=valkey.BlockingConnectionPool.from_url(url, max_connections=4, socket_timeout=5)
    ),
    "resp3": lambda url: valkey.Valkey.from_url(url, socket_timeout=5, protocol=3),
}


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("durability", ["memory", "replicated:1"])
def test_a_log_goes_on_with_the_server_its_address_leads_to(
    pair: Pair, make: Callable[[str], Any], durability: str
) -> None:
    client = make(pair.address.url)
    log = SessionLog(client, durability=durability, retry_for=5)
    log.append("s", note(0))
    with ThreadPoolExecutor(3) as pool:  # several connections wait in the pool
        list(pool.map(lambda _: log.state("s"), range(6)))
    pair.demote()
    pair.switch()
    log.append("s", note(1))
    log.erase("s", 1, "why")
    log.fork("s", 2, "f")
    assert [one.event.data.get("number") for one in log.read("s", after=1, until=2)] == [1]
    direct = SessionLog(pair.replica.client())
    assert direct.state("s").revision == 3
    assert direct.verify("s").ok
    client.close()


def test_an_append_waits_for_the_address_to_lead_to_the_new_primary(pair: Pair) -> None:
    with SessionLog.connect(pair.address.url, retry_for=5) as log:
        log.append("s", note(0))
        pair.demote()
        Timer(0.5, pair.switch).start()
        log.append("s", note(1))
        assert numbers(log) == [0, 1]


def test_an_append_that_only_a_replica_answered_is_refused_and_not_in_doubt(pair: Pair) -> None:
    with SessionLog.connect(pair.address.url, retry_for=0.3) as log:
        log.append("s", note(0))
        pair.demote()
        with pytest.raises(errors.ReadOnlyServerError) as refusal:
            log.append("s", note(1))
        assert not refusal.value.may_have_written
        assert "primary" in refusal.value.cure
        pair.switch()
        log.append("s", note(2))
        assert numbers(log) == [0, 2]


def test_a_reply_that_was_lost_is_settled_by_a_replica_that_has_the_event(pair: Pair) -> None:
    with SessionLog.connect(pair.address.url, retry_for=5) as log:
        log.append("s", note(0))
        pair.address.hold_replies()
        with ThreadPoolExecutor(1) as pool:
            appended = pool.submit(log.append, "s", note(1))
            pair.address.wait_until_held()
            pair.demote()
            pair.address.cut()
            pair.address.release_replies()
            assert appended.result(timeout=30).revision == 2
        pair.switch()
        log.append("s", note(2))
        assert numbers(log) == [0, 1, 2]


@pytest.mark.parametrize("repeats", [False, True])
def test_a_reply_that_was_lost_before_the_refusal_leaves_the_outcome_open(pair: Pair, repeats: bool) -> None:
    """A client that repeats by itself shows the refusal only."""
    own: dict[str, Any] = {"retry": Retry(ConstantBackoff(0.1), 5), "retry_on_error": [valkey.ConnectionError]}
    log = SessionLog(valkey.Valkey(port=pair.address.port, socket_timeout=5, **(own if repeats else {})), retry_for=0.5)
    log.append("s", note(0))
    pair.wait_for_the_same_data()
    pair.replica.execute("REPLICAOF", HOST, 1)
    event = note(1)
    pair.address.hold_replies()
    with ThreadPoolExecutor(1) as pool:
        appended = pool.submit(log.append, "s", event)
        pair.address.wait_until_held()
        pair.switch()
        pair.address.cut()
        pair.address.release_replies()
        assert type(appended.exception(timeout=30)) is errors.UnknownOutcomeError
    pair.address.lead_to(HOST, pair.primary.port)
    pair.address.cut()
    log.append("s", event)
    assert numbers(log) == [0, 1]


def test_a_tail_goes_on(pair: Pair) -> None:
    with SessionLog.connect(pair.address.url) as log, log.tail("s") as tail:
        log.append("s", note(0))
        assert next(iter(tail)).event.data == {"number": 0}
        pair.demote()
        pair.switch()
        log.append("s", note(1))
        assert next(iter(tail)).event.data == {"number": 1}


def test_a_subscriber_goes_on(pair: Pair) -> None:
    """At least once: what was acknowledged just before may come again."""

    async def follow(log: SessionLog) -> list[int]:
        seen: list[int] = []
        async with Subscriber(log, group="g", consumer="c") as deliveries:
            async for delivery in deliveries:
                seen.append(delivery.id.revision)
                await delivery.ack()
                if len(seen) == 1:
                    await asyncio.to_thread(pair.demote)
                    pair.switch()
                    await asyncio.to_thread(log.append, "s", note(1))
                if delivery.id.revision == 2:
                    return seen
        return seen

    with SessionLog.connect(pair.address.url) as log:
        log.append("s", note(0))
        assert sorted(set(asyncio.run(asyncio.wait_for(follow(log), 30)))) == [1, 2]
    assert [status.pending for status in SessionLog(pair.replica.client()).groups() if status.pending] == []
