"""The same over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from strands_session_log import SessionLog
from strands_session_log_consumers.streaming import feed_websocket, websocket
from support.following import SOON, note, notes
from support.served_app import ServedApp
from support.waiting import wait_until


@pytest.fixture
def served(log: SessionLog) -> Iterator[ServedApp]:
    async def events_of(socket: WebSocket) -> None:
        asked = socket.query_params
        origins = ("https://app.example.com",)
        after, session = asked.get("after"), socket.path_params["session"]
        await websocket(socket, log, session, after, origins=origins, heartbeat=0.2, send_timeout=0.3)

    with ServedApp(Starlette(routes=[WebSocketRoute("/{session}", events_of)])) as served:
        yield served


def following(served: ServedApp, path: str = "s-1", **options: Any) -> ClientConnection:
    found: ClientConnection = connect(f"{served.url.replace('http', 'ws')}/{path}", open_timeout=SOON, **options)
    return found


def told(socket: ClientConnection, kind: str = "event") -> dict[str, Any]:
    """The next message of a kind; others are passed over."""
    while (found := json.loads(socket.recv(SOON)))["kind"] != kind:
        pass
    found_: dict[str, Any] = found
    return found_


def test_who_comes_back_with_the_last_id_gets_what_it_missed(log: SessionLog, served: ServedApp) -> None:
    log.append("s-1", notes(0, 2))
    with following(served) as socket:
        first = told(socket)
        assert first["data"] == next(iter(log.read("s-1"))).to_json()
    log.append("s-1", note(2))
    with following(served, f"s-1?after={first['id']}") as socket:
        assert [told(socket)["data"]["data"]["number"] for _ in range(2)] == [1, 2]
        assert told(socket, "ping")["data"] is None
    wait_until(lambda: served.open == 0, "nobody to be followed for")


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("s-2", None, 404),
        ("s-1?after=banana", None, 400),
        ("s-1?after=99", None, 410),
        ("s-1", "https://evil.example.com", 403),
    ],
)
def test_what_cannot_be_followed_is_told_by_the_status_before_it_is_accepted(
    log: SessionLog, served: ServedApp, path: str, origin: Any, status: int
) -> None:
    log.append("s-1", note(1))
    with pytest.raises(InvalidStatus) as refused:
        following(served, path, origin=origin)
    assert refused.value.response.status_code == status


def test_pages_of_the_same_site_and_of_those_that_are_named_may_connect(log: SessionLog, served: ServedApp) -> None:
    log.append("s-1", note(1))
    for origin in (served.url, "https://app.example.com"):
        with following(served, origin=origin) as socket:
            assert told(socket)["id"] == str(log.head("s-1"))


def test_of_a_session_that_was_deleted_it_is_told_that_nothing_more_comes(log: SessionLog, served: ServedApp) -> None:
    log.append("s-1", note(1))
    with following(served) as socket:
        told(socket)
        log.delete("s-1")
        assert told(socket, "gone")["data"] == {"reason": "deleted"}
        with pytest.raises(ConnectionClosed) as closed:
            told(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_who_takes_nothing_is_let_go(log: SessionLog, served: ServedApp) -> None:
    for _ in range(40):
        log.append("s-1", note(1, "x" * 500_000))
    # Compressed, it would fit into the buffers on the way.
    options: dict[str, Any] = {"compression": None, "max_queue": 1, "max_size": None, "close_timeout": 0.1}
    with following(served, **options) as socket:
        wait_until(lambda: served.open == 0, "who takes nothing to be let go")
        assert socket.protocol.close_code is None, "no farewell, which it would not take either"


def test_all_sessions_come_over_one_too(log: SessionLog) -> None:
    async def events_of(socket: WebSocket) -> None:
        await feed_websocket(socket, log, socket.query_params.get("after"), types="custom.*")

    log.append("s-1", note(0))
    with ServedApp(Starlette(routes=[WebSocketRoute("/{any}", events_of)])) as served:
        with following(served) as socket:
            first = told(socket)
        log.append("s-2", note(0))
        with following(served, f"s-1?after={first['id']}") as socket:
            assert told(socket)["data"]["session_id"] == "s-2"
        for path, origin, status in (("s?after=7", None, 400), ("s", "https://evil.example.com", 403)):
            with pytest.raises(InvalidStatus) as refused:
                following(served, path, origin=origin)
            assert refused.value.response.status_code == status
