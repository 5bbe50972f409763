"""A server that has no memory left says so, and nothing is half written."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import FeedRetention, SessionLog, Subscriber, ValkeySessionManager, errors, events
from strands_session_log.subscription import SyncDelivery
from strands_session_log.testing.model import ScriptedModel
from subscription.helpers import Consumer, Told, number_of
from support import ValkeyliteServer
from support.servers import Server
from support.waiting import wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def server() -> Iterator[Server]:
    with ValkeyliteServer(maxmemory_policy="noeviction") as server:
        yield server


def fill(server: Server) -> None:
    server.execute("SET", "ballast", "x" * 4_000_000)
    server.execute("CONFIG", "SET", "maxmemory", "1mb")


def empty(server: Server) -> None:
    server.execute("DEL", "ballast")
    server.execute("CONFIG", "SET", "maxmemory", "0")


def test_a_batch_that_does_not_fit_is_absent_as_a_whole(server: Server) -> None:
    log = SessionLog(server.client(), retry_for=0.2)
    log.append("s", events.Custom("custom.note", {}))
    keys = set(server.client().keys())
    fill(server)
    with pytest.raises(errors.OutOfMemoryError, match="maxmemory") as refusal:
        log.append("s", [events.Custom("custom.note", {"number": number}) for number in range(3)])
    assert "raise `maxmemory`" in refusal.value.cure
    assert [one.id.revision for one in log.read("s")] == [1]
    assert set(server.client().keys()) == {*keys, b"ballast"}
    assert log.verify("s").ok


def test_the_session_goes_on_once_memory_is_back_and_nothing_is_missing(server: Server) -> None:
    manager = ValkeySessionManager("s", log=SessionLog(server.client(), retry_for=0.2))
    agent = Agent(model=ScriptedModel(["One.", "Two."]), session_manager=manager, callback_handler=None)
    fill(server)
    with pytest.raises(Exception, match="maxmemory") as refusal:
        agent("First")
    assert isinstance(refusal.value, SessionException) or isinstance(refusal.value.__cause__, SessionException)
    empty(server)
    agent("Second")
    stored = ValkeySessionManager("s", client=server.client()).list_messages("s", "default")
    assert [record.message for record in stored] == agent.messages


def test_reading_needs_no_memory(server: Server) -> None:
    log = SessionLog(server.client())
    log.append("s", events.Custom("custom.note", {}))
    fill(server)
    assert log.state("s").revision == 1
    assert log.sessions()[0].session_id == "s"
    assert log.delete("s") == 1


def test_a_server_that_evicts_sessions_is_refused_unless_that_is_allowed(server: Server) -> None:
    server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(errors.EvictionPolicyError, match="noeviction"):
        SessionLog(server.client())
    SessionLog(server.client(), allow_eviction=True).append("s", events.Custom("custom.note", {}))


@pytest.mark.parametrize("ordered", [False, True], ids=["competing", "ordered"])
def test_consumers_go_on_without_memory(server: Server, ordered: bool) -> None:
    """They join, are given what there is, settle it, fail and park it; memory comes back by what they have handled."""
    log = SessionLog(server.client(), retry_for=0.2)
    told = Told(log)
    told(range(60))
    bad = ("s-3", 3)

    def handle(delivery: SyncDelivery) -> None:
        if number_of(delivery) == bad:
            raise ValueError("bad")

    fill(server)
    with Consumer(log, ordered=ordered, handle=handle, max_attempts=2) as consumer:
        wait_until(lambda: set(consumer.handled) == told.all - {bad}, "all but one to be handled")
        wait_until(lambda: len(list(log.parked("g"))) == 1, "that to be parked")
        wait_until(lambda: not any(one.pending or one.lag for one in log.groups()), "all to be settled")
    assert not consumer.errors
    log._events.retention = FeedRetention(keep=0)
    assert sum(log._events.trim_feed(number, exactly=True).removed for number in range(log.partitions)) == 60
    assert not consumer.errors


def test_history_is_read_and_what_was_parked_is_replayed_or_dropped_without_memory(server: Server) -> None:
    log = SessionLog(server.client(), retry_for=0.2)
    told = Told(log)
    told(range(30))
    fill(server)
    log = SessionLog(server.client(), retry_for=0.2)
    with Consumer(log, start="beginning") as consumer:
        wait_until(lambda: set(consumer.handled) == told.all, "all the sessions hold")
        wait_until(lambda: not any(one.backfill for one in log.groups()), "the backfill to be noted as done")
    with Subscriber(log, "other") as deliveries:
        for _ in range(2):
            next(deliveries).park("no")
    replayed, dropped = (one.parked_id for one in log.parked("other"))
    assert log.parked("other").drop([dropped]) == 1
    assert log.parked("other").replay([replayed]) == 1
    with Consumer(log, "other") as consumer:
        wait_until(lambda: not list(log.parked("other")), "it to be handled")
    assert not consumer.errors
    log.delete_group("other")
    assert {one.group for one in log.groups()} == {"g"}


def test_what_was_said_is_erased_and_deleted_without_memory(server: Server) -> None:
    log = SessionLog(server.client(), retry_for=0.2)
    for name in ("s", "t"):
        log.append(name, [events.Custom("custom.note", {"text": "secret " * 100, "number": one}) for one in range(300)])
    fill(server)
    log = SessionLog(server.client(), retry_for=0.2)
    log.erase("s", [one.id for one in log.read("s")][5], reason="asked for")
    assert log.verify("s").ok
    assert [one.event.is_erased for one in log.read("s")].count(True) == 1
    assert log.delete("s", reason="of Ada", by="Grace") == 301
    assert log.delete("t") == 300
    assert log._events.reduce_tombstone("s") == 1
    assert log.sessions() == []


def test_what_has_landed_is_waited_for_without_memory(server: Server) -> None:
    """A call that is repeated must write something itself, or nobody waits for anything."""
    log = SessionLog(server.client(), retry_for=0.2)
    log.append("s", events.Custom("custom.note", {}))
    fill(server)
    head = log._events.keyspace.session("s").head
    lua = files("strands_session_log.scripts").joinpath("lua/lib/batch.lua").read_text()
    server.execute("CONFIG", "RESETSTAT")
    server.execute("EVAL", f"{lua} write_for_waiting(KEYS[1], '1')", 1, head)
    written = server.execute("INFO", "commandstats")["cmdstat_hset"]
    assert (written["calls"], written["rejected_calls"]) == (1, 0)
