"""A server that stands still, or refuses for now, holds a call no longer than it may, whoever made the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Timer
from typing import Any

import pytest
import valkey

import strands_session_log
from strands_session_log import SessionLog, Subscriber, errors, events
from strands_session_log.event_log import eraser
from strands_session_log.server import connect
from strands_session_log.subscription import consumer
from support import Cluster, ValkeyliteServer, wait_until
from support.clients import Client
from support.servers import Server

pytestmark = pytest.mark.faults

RETRY_FOR = 1.0
LONGEST = RETRY_FOR + 1.0

CLIENTS: dict[str, Callable[[Server], Any]] = {
    "connect": lambda server: connect(server.url),
    "a long time-out": lambda server: server.client(socket_timeout=60),
    "no time-out": lambda server: server.client(),
    "a blocking pool": lambda server: valkey.Valkey(
        connection_pool=valkey.BlockingConnectionPool.from_url(server.url, max_connections=20, socket_timeout=60)
    ),
    "retries of its own": lambda server: server.client(socket_timeout=60, retry_on_timeout=True),
}


def note(number: int = 0) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def numbers(log: SessionLog) -> list[int]:
    return [one.event.data["number"] for one in log.read("s")]


def outcome(call: Callable[[], Any]) -> tuple[float, BaseException | None]:
    """How long it took, and the error it ended with."""
    begun = time.monotonic()
    try:
        call()
    except errors.SessionLogError as error:
        return time.monotonic() - begun, error
    return time.monotonic() - begun, None


def operations(log: SessionLog) -> dict[str, Callable[[], Any]]:
    """One of each kind, a connection each, as if by so many threads."""
    return {
        "append": lambda: log.append("s", note(1)),
        "read": lambda: list(log.read("s")),
        "state": lambda: log.state("s"),
        "verify": lambda: log.verify("s"),
        "sessions": log.sessions,
        "erase": lambda: log.erase("s", 1, "why"),
        "fork": lambda: log.fork("s", 1, "f"),
        "delete": lambda: log._events.delete("t"),
        "groups": log.groups,
        "trim": lambda: log._events.trim_feed(0),
        "servers": log.servers,
    }


def outcomes(log: SessionLog) -> dict[str, tuple[float, BaseException | None]]:
    """Of all operations at once: what is measured is waiting. What a busy machine made slow is quick another time."""
    found = operations(log)
    told: dict[str, tuple[float, BaseException | None]] = {}
    for _ in range(3):
        with ThreadPoolExecutor(len(found)) as pool:
            told |= zip(found, pool.map(outcome, found.values()), strict=True)
        found = {name: call for name, call in found.items() if told[name][0] >= LONGEST}
        if not found:
            break
    return told


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
def test_no_call_waits_longer_than_it_may_for_a_server_that_stands_still(
    tcp_server: Server, make: Callable[[Server], Any]
) -> None:
    client = make(tcp_server)
    log = SessionLog(client, retry_for=RETRY_FOR)
    log.append("s", note(0))
    tcp_server.pause()
    try:
        found = outcomes(log)
    finally:
        tcp_server.resume()
    assert {name: seconds for name, (seconds, _) in found.items() if not RETRY_FOR - 0.1 < seconds < LONGEST} == {}
    assert {type(error) for _, error in found.values()} == {errors.UnknownOutcomeError, errors.ServerUnavailableError}
    client.close()


@pytest.mark.parametrize("change", ["erase", "fork"])
def test_a_server_that_stops_in_the_middle_holds_no_longer_what_takes_many_steps(
    tcp_server: Server, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eraser, "PATIENCE_MS", 300)
    with SessionLog.connect(tcp_server.url, retry_for=RETRY_FOR) as log:
        log.append("s", [note(number) for number in range(600)])
        calls: dict[str, Callable[..., object]] = {
            "erase": partial(log.erase, "s", 1, "why"),
            "fork": partial(log.fork, "s", 600, "f"),
        }
        call = calls[change]
        stopped_at: list[float] = []

        def stop(done: int, total: int) -> None:
            tcp_server.pause()
            stopped_at.append(time.monotonic())

        with pytest.raises(errors.ServerUnavailableError):
            call(progress=stop)
        assert time.monotonic() - stopped_at[0] < LONGEST
        tcp_server.resume()
        call()
        assert log.verify("s").ok


def test_a_stall_that_ends_in_time_is_waited_out_and_nothing_is_written_twice(tcp_server: Server) -> None:
    with SessionLog.connect(tcp_server.url, retry_for=5) as log:
        log.append("s", note(0))
        tcp_server.pause()
        Timer(0.5, tcp_server.resume).start()
        log.append("s", note(1))
        assert numbers(log) == [0, 1]


def test_a_node_of_a_cluster_that_stands_still_holds_no_call() -> None:
    """The cluster client repeats by itself, and asks other nodes and this one who serves the slot."""
    with Cluster(cluster_node_timeout="60000") as cluster:
        log = SessionLog(cluster.client(socket_timeout=60), retry_for=RETRY_FOR)
        log.append("s", note(0))
        node = cluster.node_for(log._events.keyspace.session("s").head)
        node.pause()
        try:
            for call in (lambda: log.append("s", note(1)), lambda: log.state("s")):
                seconds, error = outcome(call)
                assert seconds < LONGEST
                assert isinstance(error, (errors.UnknownOutcomeError, errors.ServerUnavailableError))
        finally:
            node.resume()


def test_a_slot_that_two_nodes_send_each_other_is_waited_out_and_told() -> None:
    """As during a slow migration: the client gives up after 16 redirections, half a second."""
    with Cluster() as cluster:
        log = SessionLog(cluster.client(socket_timeout=5), retry_for=0.3)
        key = log._events.keyspace.session("s").head
        source = cluster.node_for(key)
        target = next(node for node in cluster.nodes if node is not source)
        slot = source.execute("CLUSTER", "KEYSLOT", key)
        source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", target.execute("CLUSTER", "MYID"))
        with pytest.raises(errors.ClusterNotReadyError) as refusal:
            log.append("s", note(0))
        assert not refusal.value.may_have_written
        Timer(0.2, source.execute, ["CLUSTER", "SETSLOT", slot, "STABLE"]).start()
        SessionLog(log.client, retry_for=10).append("s", note(1))
        assert numbers(log) == [1]


def test_a_client_without_a_time_out_is_told_of_once(tcp_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = tcp_server.client()
    for _ in range(2):
        SessionLog(client)
    SessionLog(tcp_server.client(socket_timeout=5))
    SessionLog.connect(tcp_server.url).close()
    found = [record for record in caplog.records if "time-out" in record.message]
    assert len(found) == 1
    assert "socket_timeout=10" in found[0].message


def test_who_follows_leaves_a_server_that_stands_still_though_its_client_has_no_time_out(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "_GOODBYE", 0.5)
    with SessionLog(tcp_server.client()) as log:
        log.append("s", note())
        with Subscriber(log, "g") as deliveries, log.tail("s") as tail:
            assert next(deliveries).id == next(iter(tail)).id
            tcp_server.pause()
            begun = time.monotonic()
        assert time.monotonic() - begun < 10
        tcp_server.resume()


def test_outside_of_our_calls_a_client_is_what_it_was(tcp_server: Server) -> None:
    client = tcp_server.client(socket_timeout=7)
    before = repr(client), client.ping()
    log = SessionLog(client, retry_for=0.2)
    log.append("s", note())
    connection = client.connection_pool.get_connection("PING")
    connection.send_command("PING")
    assert connection.read_response() == b"PONG"
    assert connection._sock.gettimeout() == 7
    client.connection_pool.release(connection)
    assert (repr(client), client.ping()) == before


@pytest.fixture
def refused_for_now() -> Iterator[Callable[..., Any]]:
    """A server that refuses to write, in the way that is named; with what ends it."""
    with ValkeyliteServer(maxmemory_policy="noeviction") as server:

        def refuse(how: str) -> tuple[Server, Callable[[], Any]]:
            set_, undo = REFUSALS[how]
            for command in set_:
                server.execute(*command)
            return server, lambda: [server.execute(*command) for command in undo]

        yield lambda *how: refuse(*how) if how else server


Commands = list[tuple[Any, ...]]
REFUSALS: dict[str, tuple[Commands, Commands]] = {
    "READONLY": ([("REPLICAOF", "127.0.0.1", 1)], [("REPLICAOF", "NO", "ONE")]),
    "NOREPLICAS": ([("CONFIG", "SET", "min-replicas-to-write", 1)], [("CONFIG", "SET", "min-replicas-to-write", 0)]),
    "OOM": (
        [("SET", "ballast", "x" * 4_000_000), ("CONFIG", "SET", "maxmemory", "1mb")],
        [("CONFIG", "SET", "maxmemory", 0), ("DEL", "ballast")],
    ),
}
KINDS = {
    "READONLY": errors.ReadOnlyServerError,
    "NOREPLICAS": errors.NotEnoughReplicasError,
    "OOM": errors.OutOfMemoryError,
}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_for_now_is_waited_out(refused_for_now: Callable[..., Any], how: str) -> None:
    log = SessionLog(refused_for_now().client(socket_timeout=5), retry_for=5)
    log.append("s", note(0))
    _, end = refused_for_now(how)
    Timer(0.3, end).start()
    log.append("s", note(1))
    assert numbers(log) == [0, 1]


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_that_goes_on_is_told_with_its_class_and_nothing_is_in_doubt(
    refused_for_now: Callable[..., Any], how: str
) -> None:
    log = SessionLog(refused_for_now().client(socket_timeout=5), retry_for=0.3)
    log.append("s", note(0))
    _, end = refused_for_now(how)
    calls: list[Callable[[], object]] = [lambda: log.append("s", note(1)), lambda: log.fork("s", 1, "f")]
    if how != "OOM":
        # What an erasure needs is given back at its end.
        calls.append(lambda: log.erase("s", 1, "why"))
    for call in calls:
        with pytest.raises(errors.ServerRefusedError) as refusal:
            call()
        assert type(refusal.value) is KINDS[how]
        assert not refusal.value.may_have_written
        assert refusal.value.cure in str(refusal.value)
    end()
    log.append("s", note(2))
    assert numbers(log) == [0, 2]


def test_a_script_that_runs_for_too_long_is_waited_out_and_told(tcp_server: Server) -> None:
    tcp_server.execute("CONFIG", "SET", "busy-reply-threshold", 50)
    log = SessionLog(tcp_server.client(socket_timeout=5), retry_for=0.5)
    log.append("s", note(0))
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(tcp_server.client().execute_command, "EVAL", "while true do end", 0)
        other = tcp_server.client(socket_timeout=5)
        wait_until(lambda: is_busy(other), "the server to say that it is busy")
        for call in (lambda: log.append("s", note(1)), lambda: log.state("s")):
            with pytest.raises(errors.ServerBusyError, match="SCRIPT KILL"):
                call()
        Timer(0.1, other.execute_command, ["SCRIPT KILL"]).start()
        log.append("s", note(2))
        assert isinstance(endless.exception(timeout=5), valkey.ResponseError)
    assert numbers(log) == [0, 2]


def is_busy(client: Client) -> bool:
    try:
        return not client.ping()
    except valkey.ResponseError as error:
        return str(error).startswith("BUSY ")


def test_a_server_that_cannot_write_to_its_disk_is_told(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(socket_timeout=5), retry_for=0.3)
    log.append("s", note(0))
    tcp_server.execute("CONFIG", "SET", "save", "3600 1")
    (tcp_server.directory / "dump.rdb").mkdir()
    tcp_server.execute("BGSAVE")
    wait_until(lambda: tcp_server.execute("INFO")["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
    with pytest.raises(errors.DiskWriteError):
        log.append("s", note(1))
    (tcp_server.directory / "dump.rdb").rmdir()
    tcp_server.execute("BGSAVE")
    wait_until(lambda: tcp_server.execute("INFO")["rdb_last_bgsave_status"] == "ok", "the snapshot to be written")
    log.append("s", note(2))
    assert numbers(log) == [0, 2]


def test_storage_is_bounded_too(tcp_server: Server) -> None:
    pytest.importorskip("strands.storage", reason="this Strands has no storage")
    storage = strands_session_log.ValkeyStorage(SessionLog(tcp_server.client(), retry_for=RETRY_FOR))
    tcp_server.pause()
    begun = time.monotonic()
    try:
        with pytest.raises(Exception, match="Failed to read"):
            asyncio.run(storage.read("key"))
        assert time.monotonic() - begun < LONGEST
    finally:
        tcp_server.resume()
