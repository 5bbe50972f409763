"""The HTTP side of the exporter, and what it shows of the server."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from waitress.task import ErrorTask  # type: ignore[import-untyped]

from strands_session_log import GroupStatus, ServerReport, SessionLog, events
from strands_session_log.server import inspect_all
from strands_session_log_consumers.metrics import serving
from strands_session_log_consumers.metrics.looking import Look
from strands_session_log_consumers.metrics.serving import Endpoint, application
from strands_session_log_consumers.metrics.state import State
from support import Cluster, wait_until


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


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are ended soon; to be taken before `endpoint`."""
    monkeypatch.setattr(serving, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 2)


def connect(endpoint: Endpoint) -> socket.socket:
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def is_ended(client: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        return client.recv(1) == b""
    return True


def ask(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_metrics_are_in_the_text_format(endpoint: Endpoint) -> None:
    status, text = ask(endpoint, "/metrics")
    assert status == 200
    assert "# TYPE strands_session_log_up gauge\nstrands_session_log_up 0.0\n" in text


@pytest.mark.parametrize(
    "accepted",
    [
        "application/openmetrics-text; version=abc",
        "text/plain;version=1.x, */*",
        "application/openmetrics-text;version=.",
        f"text/plain;version={'9' * 5000}",
        ";;=,;version",
        "\xff\xfe",
    ],
)
def test_whatever_a_client_says_it_accepts_it_is_answered(
    endpoint: Endpoint, accepted: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = raw(endpoint, f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accepted}\r\n\r\n".encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"strands_session_log_up 0.0" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("url", ["http://[/metrics", "http://[::bad]x/", "//[/", "/\xff", "/%ff%00", "http://a:b:c/"])
def test_whatever_a_client_takes_for_a_url_it_is_answered(
    endpoint: Endpoint, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = raw(endpoint, f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_who_accepts_openmetrics_gets_it(endpoint: Endpoint) -> None:
    accepted = b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.2"
    answer = raw(endpoint, b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: %b\r\n\r\n" % accepted)
    assert b"Content-Type: application/openmetrics-text; version=1.0.0" in answer


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
    with connect(endpoint):
        assert ask(endpoint, "/healthz")[0] == 200


def raw(endpoint: Endpoint, request: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with connect(endpoint) as client, client.makefile("rb") as answer:
        client.sendall(request)
        return answer.read()


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/nothing"])
def test_head_is_answered_as_get_but_for_the_body(endpoint: Endpoint, path: str) -> None:
    got = raw(endpoint, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, body = got.partition(b"\r\n")[0], got.partition(b"\r\n\r\n")[2]
    head = raw(endpoint, f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert head.startswith(status)
    assert head.endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_connection_is_for_one_request(endpoint: Endpoint, version: bytes) -> None:
    asked = b"GET /healthz HTTP/%b\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" % version
    answer = raw(endpoint, asked * 50)
    assert answer.count(b"alive\n") == 1
    assert b"Connection: close" in answer


def test_who_takes_gzip_gets_gzip(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"strands_session_log_up" in gzip.decompress(response.read())
    connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTT", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_does_not_go_on_is_ended(hurry: None, endpoint: Endpoint, sent: bytes) -> None:
    with connect(endpoint) as client:
        client.sendall(sent)
        assert is_ended(client)


def test_a_request_that_comes_byte_by_byte_is_ended_too(hurry: None, endpoint: Endpoint) -> None:
    with connect(endpoint) as client:
        client.settimeout(0.2)
        client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        began = time.monotonic()
        ended = False
        while not ended:
            assert time.monotonic() - began < 20
            with contextlib.suppress(TimeoutError):
                ended = is_ended(client)
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")


def is_served(endpoint: Endpoint) -> bool:
    """Who waits for the thread has no more time than others have."""
    with contextlib.suppress(http.client.HTTPException, OSError):
        return ask(endpoint, "/") == (200, "served")
    return False


@pytest.mark.parametrize("takes", [0, 1000], ids=["nothing", "little by little"])
def test_an_answer_that_is_not_taken_is_ended(hurry: None, monkeypatch: pytest.MonkeyPatch, takes: int) -> None:
    """More than may lie ready for a client: the thread that answers waits, and another client needs it."""
    monkeypatch.setattr(serving, "THREADS", 1)
    large = itertools.repeat(bytes(1 << 20), 40)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return large if environ["PATH_INFO"] == "/large" else [b"served"]

    with Endpoint(app, "127.0.0.1", 0) as endpoint, connect(endpoint) as client, ThreadPoolExecutor(1) as pool:
        client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        client.recv(1)
        served = pool.submit(wait_until, lambda: is_served(endpoint), "another client to be served")
        while not served.done():
            with contextlib.suppress(ConnectionError):
                client.recv(takes)
            futures.wait([served], timeout=0.05)
        served.result()


def test_connections_are_bounded_and_who_comes_later_is_served_when_they_end(
    hurry: None, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS", 10)
    threads = threading.active_count()
    with (
        Endpoint(application(CollectorRegistry(), trouble), "127.0.0.1", 0) as endpoint,
        contextlib.ExitStack() as all_,
    ):
        silent = [all_.enter_context(connect(endpoint)) for _ in range(30)]
        assert threading.active_count() - threads <= 3
        began = time.monotonic()
        assert ask(endpoint, "/healthz") == (200, "alive\n")
        assert time.monotonic() - began > 0.5  # it had to wait
        assert all(is_ended(client) for client in silent)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /metrics HTT", b"GET /metrics HTTP/1.1\r\n\r\n", b"\x16\x03\x01garbage\r\n\r\n"]
)
def test_a_client_that_breaks_off_leaves_no_traceback(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    for _ in range(20):
        with connect(endpoint) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            client.sendall(sent)
    assert ask(endpoint, "/healthz")[0] == 200
    assert capfd.readouterr().err == ""
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_a_client_that_is_gone_before_it_is_told_of_its_mistake_leaves_no_traceback(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ErrorTask.execute
    answered = threading.Event()

    def answer_late(task: Any) -> None:
        task.channel.server.trigger.pull_trigger(task.channel.handle_close)  # the reset came with the request
        wait_until(lambda: not task.channel.connected, "the client to be gone")
        try:
            answer(task)
        finally:
            answered.set()

    monkeypatch.setattr(ErrorTask, "execute", answer_late)
    with connect(endpoint) as client:
        client.sendall(b"\x16\x03\x01garbage\r\n\r\n")
        assert answered.wait(10)
    monkeypatch.undo()
    assert ask(endpoint, "/healthz")[0] == 200
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_what_was_asked_before_the_end_is_still_answered() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.set()
        assert go_on.wait(10)
        start_response("200 OK", [])
        return [bytes(4 << 20)]

    with ThreadPoolExecutor(2) as pool:
        with Endpoint(app, "127.0.0.1", 0) as endpoint:
            answer = pool.submit(ask, endpoint, "/metrics")
            assert asked.wait(10)
            threading.Timer(0.2, go_on.set).start()
        assert answer.result() == (200, "\0" * (4 << 20))
    with pytest.raises(ConnectionRefusedError):
        connect(endpoint)


def test_a_client_that_does_not_take_its_answer_does_not_hold_the_end() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [bytes(12 << 20)]

    with Endpoint(app, "127.0.0.1", 0) as endpoint:
        client = connect(endpoint)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(1)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    client.close()


def test_a_port_that_is_taken_is_an_error_at_once(endpoint: Endpoint) -> None:
    with pytest.raises(OSError, match="in use"):
        Endpoint(lambda environ, start_response: [], "127.0.0.1", int(endpoint.url.rpartition(":")[2]))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_serves_on_ipv6_too(trouble: Trouble) -> None:
    with Endpoint(application(CollectorRegistry(), trouble), "::1", 0) as endpoint:
        assert endpoint.url.startswith("http://[::1]:")
        assert ask(endpoint, "/healthz")[0] == 200


def group(partition: int = 3, lag_seconds: Any = 4.5, problem: str = "") -> GroupStatus:
    counts = {"lag": 12, "pending": 2, "parked": 1, "consumers": 1, "redeliveries": 7}
    rest = {"abandoned": False, "idle_seconds": None, "checkpoint": "", "gap": None, "backfill": "", "active": ()}
    told: dict[str, Any] = {**counts, **rest, "lag_seconds": lag_seconds, "problem": problem}
    return GroupStatus("audit", partition, **told)


def shown(look: Look | None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(State(lambda: look))
    return registry


def test_where_the_groups_stand_is_shown_by_group_and_partition() -> None:
    registry = shown(Look(0.0, [group(), group(partition=4, lag_seconds=None)], [], 9))

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
