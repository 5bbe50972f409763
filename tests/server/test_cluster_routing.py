"""Which nodes of a cluster a log asks, and how often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strands_session_log import SessionLog, Subscriber, events
from support import Cluster, wait_until
from support.servers import Server


@pytest.fixture(scope="module")
def replicated() -> Iterator[Cluster]:
    with Cluster(replicas=1) as cluster:
        yield cluster


def asked(node: Server) -> dict[str, int]:
    """How often each command was called on a node since its statistics were reset."""
    found = node.execute("INFO", "commandstats")
    return {name.removeprefix("cmdstat_").partition("|")[0]: stat["calls"] for name, stat in found.items()}


def replicas_of(cluster: Cluster) -> list[Server]:
    return [node for node in cluster.nodes if node.execute("INFO", "replication")["role"] == "slave"]


def read(log: SessionLog) -> None:
    for number in range(12):
        name = f"s-{number}"
        assert len(list(log.read(name))) == 3
        assert log.state(name).revision == 3
        assert log.state(name, at=2).revision == 2
        assert log.verify(name).ok
    assert len(log.sessions()) == 12
    assert log.groups()
    list(log.parked("g"))
    list(log.verify_all())


@pytest.mark.parametrize("from_replicas", [False, True])
def test_nothing_is_read_from_replicas_and_no_server_is_asked_for_keys(
    replicated: Cluster, from_replicas: bool
) -> None:
    client = replicated.client(read_from_replicas=from_replicas)
    with SessionLog(client, namespace=f"t-routing-{from_replicas}") as log:
        for number in range(12):
            log.append(f"s-{number}", [events.Custom("custom.note", {"number": index}) for index in range(3)])
        with Subscriber(log, "g", start="beginning", bodies=True) as deliveries:
            next(deliveries).ack()
        for node in replicated.nodes:
            node.execute("CONFIG", "RESETSTAT")
        read(log)
        log.append("s-0", events.Custom("custom.note", {}), once=True)
        log.delete("s-0", reason="of the test")

    for node in replicated.nodes:
        statistics = node.execute("INFO", "commandstats")
        assert "cmdstat_command|getkeys" not in statistics
    for node in replicas_of(replicated):
        # What its primary has it repeat is no question of ours.
        reads = {"evalsha_ro", "eval_ro", "hget", "hmget", "xrange", "zrange", "get", "exists", "hlen", "xlen"}
        assert not reads & set(asked(node))


def test_a_client_that_reads_from_replicas_still_does_so_for_others(replicated: Cluster) -> None:
    client = replicated.client(read_from_replicas=True)
    with SessionLog(client, namespace="t-routing"):
        client.set("beside", "1")
        wait_until(lambda: all(client.get("beside") == b"1" for _ in range(4)), "the replica to have it")
        for node in replicated.nodes:
            node.execute("CONFIG", "RESETSTAT")
        for _ in range(8):
            client.get("beside")
    assert sum(asked(node).get("get", 0) for node in replicas_of(replicated)) == 4


def test_scripts_that_read_follow_their_slot(replicated: Cluster) -> None:
    """The client has not heard of the move, and is told by the node it asks."""
    client = replicated.client()
    with SessionLog(client, namespace="t-routing") as log:
        log.append("s", [events.Custom("custom.note", {"number": index}) for index in range(3)])
        key = log._events.keyspace.session("s").events
        source = replicated.node_for(key)
        target = next(node for node in replicated.nodes if node not in (source, *replicas_of(replicated)))
        slot = source.execute("CLUSTER", "KEYSLOT", key)
        source.execute("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.execute("CLUSTER", "MYID"))
        wait_until(lambda: replicated.node_for(key) is target, "the slot to have moved")

        assert log.state("s").revision == 3
        assert log.state("s", at=2).revision == 2
        assert log.verify("s").ok
