"""What somebody asks who means no good: each request gets an answer, and none that tells more than it should."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from strands_session_log import DEFAULT_NAMESPACE, SessionLog, errors
from strands_session_log.events import MessageAdded, MessageUpdated
from strands_session_log.scripts.roles import VIEWER
from strands_session_log_consumers.viewer import ViewerSettings, app
from strands_session_log_consumers.viewer.application import explained
from strands_session_log_consumers.viewer.pages.session import SessionPages
from support.asking import asking
from support.command_line import write_session
from support.following import SOON
from support.processes import HOST
from support.served_viewer import ServedViewer
from support.servers import Server

LONG = "9" * 5_000
"""More digits than Python reads as a number."""
NUMBERS = ("0", "-1", "1.5", "99999999999999999999", LONG, "%D9%A1", "%C2%B2", "1e9", "")
PARTS = ("", "/verify", "/export?to=html", "/export?to=jsonl", "/export?to=file-session", "/fork", "/rewind", "/erase")
FRAGMENTS = ("point", "diff", "turns", "verify", "stretch/0")
NUMBERED = (
    "/s/s-42/e/{}",
    "/blob/s-42/{}/0",
    "/blob/s-42/4/{}",
    "/s/s-42/timeline/{}",
    "/f/s/s-42/stretch/{}",
    "/s/s-42?at={}",
    "/f/s/s-42/point?at={}",
    "/f/s/s-42/diff?a={}&b={}",
    "/s/s-42/erase?at=1&events={}",
    "/s/s-42/verify?expect={}:x",
    "/?before={}",
    "/?since={}",
    "/inbox?before={}",
)
TRICKS = (
    "/static/x/../../security.py",
    "/static/x/%2e%2e/%2e%2e/security.py",
    "/static/x/..%2f..%2fsecurity.py",
    "/static/x/%00",
    "/static/x/" + "a" * 5_000,
    "/static/x//etc/passwd",
    "/static/x/%ff",
    "/static/x/vendor",
    "/s/%2e%2e/%2e%2e/etc/passwd",
    "/s/",
    "/favicon.ico",
)


def tilde(text: str | bytes) -> str:
    """A session id in an address, whatever it holds."""
    encoded = text if isinstance(text, bytes) else text.encode()
    return "~" + base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


_NAMES: tuple[str | bytes, ...] = ("", "\0", "../../etc/passwd", "x" * 257, "\u202e", "s-42", b"\xff\xfe")
_ODD = ("nope", "~", "~~", "~a", "~a!b", "~%00", "%ff", "%00", "%0d%0aX:y", "~" + "x" * 5_000)
SESSIONS = (*_ODD, *(tilde(one) for one in _NAMES))


@pytest.fixture
def talk(log: SessionLog) -> SessionLog:
    """A log with a session."""
    write_session(log)
    return log


@pytest.fixture
def attacker(talk: SessionLog) -> Iterator[TestClient]:
    """Somebody whose viewer may write."""
    with asking(talk, allow_write=True) as client:
        yield client


def test_no_number_in_an_address_is_too_much_for_it(attacker: TestClient) -> None:
    for address in NUMBERED:
        for number in NUMBERS:
            status = attacker.get(address.replace("{}", number)).status_code
            assert status in (200, 400, 404, 422), (address, number[:20])


def test_no_session_in_an_address_is_either(attacker: TestClient) -> None:
    for session in SESSIONS:
        paths = [f"/s/{session}{part}" for part in PARTS] + [f"/f/s/{session}/{part}" for part in FRAGMENTS]
        paths += [f"/api/v1/sessions/{session}", f"/f/inbox/item?session={session}&interrupt=x"]
        for path in paths:
            assert attacker.get(path).status_code in (200, 400, 404, 422), path


@pytest.mark.parametrize("path", TRICKS)
def test_no_path_leads_out_of_what_is_served(attacker: TestClient, path: str) -> None:
    answer = attacker.get(path)
    assert answer.status_code in (400, 404)
    assert "AccessMiddleware" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "origin", ["http://[", "http://localhost:99999999", "null", "", "http://localhost@evil.example"]
)
def test_an_origin_that_is_none_is_that_of_another_site(attacker: TestClient, origin: str) -> None:
    assert attacker.post("/s/s-42/fork", headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize(
    ("mode", "destination", "status"),
    [("no-cors", "image", 403), ("cors", "empty", 403), ("navigate", "iframe", 403), ("navigate", "document", 200)],
)
def test_another_site_may_link_here_but_load_nothing(
    attacker: TestClient, mode: str, destination: str, status: int
) -> None:
    for site in ("cross-site", "same-site"):
        asked = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        assert attacker.get("/s/s-42", headers=asked).status_code == status


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"a=1&" * 100, b"at=" + LONG.encode(), b"token=%ff", b"x" * 300_000], ids=range(6)
)
def test_no_form_of_somebody_else_does_anything(attacker: TestClient, talk: SessionLog, body: bytes) -> None:
    head = talk.head("s-42")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for act in ("fork", "rewind", "erase"):
        assert attacker.post(f"/s/s-42/{act}", content=body, headers=kind).status_code in (400, 403, 413)
    assert talk.head("s-42") == head


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +4\r\n\r\nabcd",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(11),
)
def test_no_request_that_is_ambiguous_is_answered_as_one_of_its_own(talk: SessionLog, request_: bytes) -> None:
    with ServedViewer(talk) as viewer, socket.create_connection((HOST, viewer.port), timeout=SOON) as client:
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while got := client.recv(65536):
                answer += got
    assert not answer.startswith(b"HTTP/1.1 200")
    assert b"s-42" not in answer


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (errors.SessionNotFoundError("s"), 404, "Not found"),
        (errors.ServerUnavailableError("no answer"), 503, "The server is away"),
        (errors.OutOfMemoryError("OOM"), 503, "The server is not ready"),
        (errors.ForbiddenError("NOPERM"), 503, "The server refuses"),
        (errors.SessionExistsError("s"), 409, "Meanwhile something else was written"),
        (errors.SessionLogError("something new"), 503, "The log cannot be read"),
    ],
)
def test_each_error_of_the_log_is_told_as_what_it_is(error: errors.SessionLogError, status: int, title: str) -> None:
    assert explained(error) == (status, title)


def test_a_fault_of_the_viewer_is_said_to_be_one_and_its_log_has_no_content(
    talk: SessionLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = "what somebody said"

    def broken(*_: object) -> None:
        raise TypeError(said)

    monkeypatch.setattr(SessionPages, "_session_page", broken)
    with asking(talk) as client, caplog.at_level(logging.ERROR):
        answer = client.get("/s/s-42")
    assert answer.status_code == 500
    assert "a fault of the viewer" in answer.text
    assert said not in answer.text + caplog.text
    assert "in broken" in caplog.text


def test_messages_without_a_place_can_be_erased_like_all_others(talk: SessionLog) -> None:
    """Nothing keeps a writer from numbering messages by what is no number."""
    said: dict[str, Any] = {"role": "user", "content": [{"text": "a secret"}]}
    talk.append("odd", MessageAdded({"message_id": 0, "message": said}, "default"))
    for index in ([1], {"a": 1}, None, "0"):
        talk.append("odd", MessageUpdated({"message_id": index, "message": said}, "default"))
    with asking(talk, allow_write=True) as client:
        assert client.get("/s/odd/erase?at=1&events=1").status_code == 200
    talk.erase("odd", 1, "asked for", by="Ada")
    assert talk.event("odd", 1).event.is_erased


def test_whoever_may_only_read_sees_every_page(tcp_server: Server) -> None:
    tcp_server.execute("ACL", "SETUSER", "looker", "reset", "on", ">hunter2", *VIEWER.rules(DEFAULT_NAMESPACE).split())
    with SessionLog.connect(tcp_server.url) as log:
        write_session(log)
    with (
        SessionLog.connect(tcp_server.url.replace("://", "://looker:hunter2@")) as reader,
        TestClient(app(reader, settings=ViewerSettings()), "http://localhost") as client,
    ):
        paths = ["/", "/?q=a&status=failed", "/inbox", "/api", "/s/s-42/e/4", "/s/s-42/timeline/0"]
        paths += [f"/s/s-42{part}" for part in PARTS[:5]] + [f"/f/s/s-42/{part}" for part in FRAGMENTS]
        paths += [f"/api/v1/sessions/s-42{part}" for part in ("", "/events", "/state", "/diff?a=1", "/verify")]
        for path in paths:
            assert client.get(path).status_code == 200, path
