"""How the viewer is served: requests become whole soon, or their connections end."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator

import pytest

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer.serving import PatientlessProtocol
from support.following import SOON, note
from support.processes import HOST
from support.served_viewer import ServedViewer, streaming

WHOLE = b"GET /static/x/theme.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def viewer(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedViewer]:
    monkeypatch.setattr(PatientlessProtocol, "request_seconds", 0.5)
    with ServedViewer(log) as viewer:
        yield viewer


def connected(viewer: ServedViewer) -> socket.socket:
    return socket.create_connection((HOST, viewer.port), timeout=SOON)


def answer_of(client: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while got := client.recv(65536):
            answer += got
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nab",
    ],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_connection_ends_whose_request_does_not_become_whole(viewer: ServedViewer, sent: bytes) -> None:
    with connected(viewer) as client:
        client.sendall(sent)
        answer = answer_of(client)
    assert not answer.startswith(b"HTTP/1.1 200")


def test_a_byte_now_and_then_does_not_hold_a_connection(viewer: ServedViewer) -> None:
    with connected(viewer) as client:
        client.settimeout(0.05)
        began, ended = time.monotonic(), False
        while not ended and time.monotonic() - began < SOON:
            try:
                client.sendall(b"G")
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended


def test_half_a_second_request_behind_a_whole_one_does_not_hold_a_connection(viewer: ServedViewer) -> None:
    with connected(viewer) as client:
        client.sendall(WHOLE + b"GET / HT")
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_connection_may_be_used_again_after_a_pause(viewer: ServedViewer) -> None:
    connection = http.client.HTTPConnection(HOST, viewer.port, timeout=SOON)
    with contextlib.closing(connection):
        for pause in (PatientlessProtocol.request_seconds * 2, 0):
            connection.request("GET", "/static/x/theme.js")
            response = connection.getresponse()
            assert response.status == 200
            response.read()
            local = connection.sock.getsockname()
            # There is no event for nothing that happens.
            time.sleep(pause)
            assert connection.sock.getsockname() == local


def test_a_stream_may_last(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", note(1))
    with streaming(viewer, "s=s-1&after=1") as stream:
        stream.next("session")
        time.sleep(PatientlessProtocol.request_seconds * 2)
        log.append("s-1", note(2))
        assert stream.next("items").data["head"] == 2


def test_open_streams_end_with_the_server(log: SessionLog, viewer: ServedViewer) -> None:
    log.append("s-1", note(1))
    with streaming(viewer, "s=s-1&after=1") as stream:
        stream.next("session")
        began = time.monotonic()
        viewer.stop()
        stream.join()
    assert time.monotonic() - began < 2


def test_a_head_beyond_measure_is_refused(viewer: ServedViewer) -> None:
    with connected(viewer) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 100_000)
        answer = answer_of(client)
    assert not answer or answer.startswith(b"HTTP/1.1 400")
