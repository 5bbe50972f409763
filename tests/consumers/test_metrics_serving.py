"""The HTTP side of the exporter, and what it shows of the server."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from strands_session_log import ServerReport, SessionLog, events
from strands_session_log.server import inspect_all
from strands_session_log_consumers.metrics.looking import Look
from strands_session_log_consumers.metrics.serving import Endpoint, application
from strands_session_log_consumers.metrics.state import State
from support import Cluster


class Trouble:
    """What the service says keeps it from its work."""

    now = ""

    def __call__(self) -> str:
        return self.now


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def endpoint(trouble: Trouble) -> Iterator[Endpoint]:
    registry = CollectorRegistry()
    registry.register(State(lambda: None))
    with Endpoint(application(registry, trouble), "127.0.0.1", 0) as endpoint:
        yield endpoint


def ask(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_metrics_are_in_the_text_format(endpoint: Endpoint) -> None:
    status, text = ask(endpoint, "/metrics")
    assert status == 200
    assert "# TYPE strands_session_log_up gauge\nstrands_session_log_up 0.0\n" in text


def test_the_process_is_alive_whatever_keeps_it_from_its_work(endpoint: Endpoint, trouble: Trouble) -> None:
    trouble.now = "the server does not answer"
    assert ask(endpoint, "/healthz") == (200, "alive\n")


def test_it_is_ready_when_nothing_keeps_it_from_its_work_and_else_says_what_does(
    endpoint: Endpoint, trouble: Trouble
) -> None:
    assert ask(endpoint, "/readyz") == (200, "ready\n")
    trouble.now = "the server does not answer"
    assert ask(endpoint, "/readyz") == (503, "the server does not answer\n")


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
def test_there_is_nothing_else(endpoint: Endpoint, path: str, method: str, status: int) -> None:
    assert ask(endpoint, path, method)[0] == status


def test_a_client_that_says_nothing_keeps_nobody_waiting(endpoint: Endpoint) -> None:
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))):
        assert ask(endpoint, "/healthz")[0] == 200


class Group(NamedTuple):
    group: str = "audit"
    partition: int = 3
    lag: int = 12
    lag_seconds: float | None = 4.5
    pending: int = 2
    parked: int = 1
    consumers: int = 1
    redeliveries: int = 7
    abandoned: bool = False
    checkpoint: str = ""
    problem: str = ""


def shown(look: Look | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(State(lambda: look))
    return registry


def test_where_the_groups_stand_is_shown_by_group_and_partition() -> None:
    registry = shown(Look(0.0, [Group(), Group(partition=4, lag_seconds=None)], [], 9))

    def value(name: str, partition: str = "3") -> float | None:
        labels = {"group": "audit", "partition": partition}
        return registry.get_sample_value(f"strands_session_log_group_{name}", labels)

    assert (value("lag_events"), value("lag_seconds"), value("lag_seconds", "4")) == (12, 4.5, None)
    assert (value("pending_events"), value("parked_events"), value("redeliveries_total")) == (2, 1, 7)
    assert registry.get_sample_value("strands_session_log_active_sessions") == 9


def test_the_server_is_shown_as_it_describes_itself(session_log: SessionLog) -> None:
    registry = shown(Look(0.0, [], session_log.servers()[:1], 0))
    report: ServerReport = session_log.servers()[0]

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"strands_session_log_server_{name}", {"node": report.node})

    assert (value("used_memory_bytes") or 0) > 0
    assert value("max_memory_bytes") == report.maxmemory
    assert value("persistent") == float(bool(report.is_persistent))
    assert value("evicts_sessions") == 0


def test_a_server_that_cannot_be_asked_is_down_and_nothing_old_is_shown() -> None:
    (only,) = (sample for metric in shown(None).collect() for sample in metric.samples)
    assert (only.name, only.value) == ("strands_session_log_up", 0)


def test_sessions_are_active_from_their_last_event_on(session_log: SessionLog) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    for session in ("a", "b", "a"):
        session_log.append(session, events.Custom("custom.note", {}))
    assert session_log.count_sessions(before) == session_log.count_sessions("-1m") == 2
    assert session_log.count_sessions(datetime.now(timezone.utc) + timedelta(minutes=1)) == 0


def test_of_a_cluster_every_primary_is_shown(cluster: Cluster) -> None:
    reports = inspect_all(cluster.client())
    assert len({report.node for report in reports}) == 3
    assert {report.mode for report in reports} == {"cluster"}
