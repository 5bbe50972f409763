"""Servers that hand over to others while tails wait: slots that move, primaries that sentinels replace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import valkey

from strands_session_log import SessionLog
from support import Cluster, ValkeyliteServer, wait_until
from support.following import SOON, notes, numbers, taken
from support.processes import HOST, free_port, kill, spawn
from support.servers import Server

pytestmark = pytest.mark.faults


def move_slot(cluster: Cluster, key: str) -> None:
    """Move the slot of a key, with all in it, from one primary to another."""
    source = cluster.node_for(key)
    target = next(node for node in cluster.nodes if node is not source)
    slot = source.execute("CLUSTER", "KEYSLOT", key)
    source_id, target_id = source.execute("CLUSTER", "MYID"), target.execute("CLUSTER", "MYID")
    target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    keys = source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    source.execute("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source, *cluster.nodes):
        node.execute("CLUSTER", "SETSLOT", slot, "NODE", target_id)


def test_a_slot_that_moves_takes_its_tails_along(cluster: Cluster) -> None:
    log, writer = SessionLog(cluster.client()), SessionLog(cluster.client())
    with ExitStack() as stack:
        tails = {name: stack.enter_context(log.tail(name)) for name in ("s", "other", "a-third")}
        feed = stack.enter_context(log.tail())
        for number in range(3):
            for name, tail in tails.items():
                writer.append(name, notes(number, number + 1))
                assert numbers(tail, 1) == [number]
            move_slot(cluster, log._events.keyspace.session("s").events)
        writer.append("s", notes(3, 4))
        assert numbers(tails["s"], 1) == [3]
        assert len({one.feed_id for one in taken(feed, 10)}) == 10


@pytest.fixture
def primary() -> Iterator[Server]:
    with ValkeyliteServer() as server:
        yield server


@pytest.fixture
def replica(primary: Server) -> Iterator[Server]:
    with ValkeyliteServer(repl_diskless_sync_delay="0") as server:
        primary.execute("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        server.execute("REPLICAOF", HOST, primary.port)
        wait_until(lambda: server.execute("INFO", "replication")["master_link_status"] == "up", "the replica", SOON)
        yield server


@pytest.fixture
def sentinel(primary: Server, replica: Server, tmp_path: Path) -> Iterator[int]:
    """The port of a sentinel that replaces the primary within a second or two."""
    port, configuration = free_port(), tmp_path / "sentinel.conf"
    configuration.write_text(
        f"bind {HOST}\nport {port}\nsentinel monitor mymaster {HOST} {primary.port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 5000\n"
    )
    process = spawn([ValkeyliteServer.binary(), configuration, "--sentinel"], tmp_path / "log")
    try:
        probe = valkey.Valkey(port=port, decode_responses=True)
        wait_until(lambda: _knows_replica(probe), "the sentinel to know the replica", SOON)
        yield port
    finally:
        kill(process)


def _knows_replica(probe: valkey.Valkey) -> bool:
    try:
        return len(probe.sentinel_slaves("mymaster")) == 1
    except valkey.ValkeyError:
        return False


def is_primary(server: Server) -> bool:
    """A sentinel that promotes a server also cuts its clients off."""
    with suppress(valkey.ValkeyError):
        return bool(server.execute("INFO", "replication")["role"] == "master")
    return False


def test_a_primary_that_sentinels_replace_is_followed(primary: Server, replica: Server, sentinel: int) -> None:
    log = SessionLog.connect(f"valkey+sentinel://{HOST}:{sentinel}/mymaster", durability="replicated:1")
    with log.tail("s") as tail, log.tail() as feed:
        log.append("s", notes(0, 3))
        assert numbers(tail, 3) == [0, 1, 2]
        primary.kill()
        wait_until(lambda: is_primary(replica), "the failover", SOON)
        SessionLog(replica.client()).append("s", notes(3, 6))
        assert numbers(tail, 3) == [3, 4, 5]
        assert [one.id.revision for one in taken(feed, 6)] == [1, 2, 3, 4, 5, 6]
    log.close()
