"""How safe an append is before it counts as done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strands_session_log import Durability, SessionLog, errors, events
from support import Cluster
from support.servers import Server


def note() -> events.Event:
    return events.Custom("custom.note", {})


def test_an_append_waits_for_the_disk_in_the_same_round_trip(tcp_server: Server) -> None:
    client = tcp_server.client()
    if client.info("server").get("redis_version", "").startswith("7.0") and "valkey_version" not in client.info():
        with pytest.raises(errors.UnsupportedServerError, match=r"Redis 7\.0"):
            SessionLog(client, durability="fsync")
        return
    log = SessionLog(client, durability="fsync")
    log.append("s", note())
    before = client.info("commandstats")["cmdstat_waitaof"]["calls"]
    log.append("s", note())
    assert client.info("commandstats")["cmdstat_waitaof"]["calls"] == before + 1
    assert log.verify("s").revision == 2


def test_too_few_replicas_are_an_unknown_outcome_and_repeating_the_append_settles_it(
    make_client: Callable[..., Any], namespace: str
) -> None:
    client = make_client()
    impatient = SessionLog(client, namespace, durability=Durability.replicated(5, timeout_ms=20), retry_for=0)
    event = note()
    for _ in range(3):
        with pytest.raises(errors.UnknownOutcomeError, match=r"WAIT reported \(\d,\), needed \(5,\)"):
            impatient.append("s", event)
    assert [one.event for one in SessionLog(client, namespace).read("s")] == [event]


def test_another_batch_cannot_take_the_place_of_one_whose_outcome_is_unknown(
    make_client: Callable[..., Any], namespace: str
) -> None:
    impatient = SessionLog(make_client(), namespace, durability=Durability.replicated(5, timeout_ms=20), retry_for=0)
    first, second = note(), note()
    with pytest.raises(errors.UnknownOutcomeError):
        impatient.append("s", first)
    with pytest.raises(ValueError, match="exactly that batch"):
        impatient.append("s", [first, second])


def test_fsync_is_refused_at_once_by_a_server_that_writes_no_file(tcp_server: Server) -> None:
    client = tcp_server.client()
    client.execute_command("CONFIG SET", "appendonly", "no")
    with pytest.raises(errors.UnsupportedServerError, match="fsync"):
        SessionLog(client, durability="fsync")


@pytest.mark.faults
def test_durable_appends_find_the_new_primary_after_a_failover() -> None:
    with Cluster(replicas=1, cluster_node_timeout="500") as cluster:
        log = SessionLog(cluster.client(), durability="fsync", retry_for=60)
        log.append("s", note())
        cluster.node_for(log._events.keyspace.session("s").head).kill()
        log.append("s", note())
        assert log.verify("s").ok


@pytest.mark.parametrize("text", ["", "disk", "replicated", "replicated:x", "fsync:1"])
def test_an_unknown_durability_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(errors.SessionLogError, match="memory, replicated:N"):
        Durability.parse(text)
