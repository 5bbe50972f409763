"""Events in applications of users as they type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from strands_session_log import Envelope, FeedPosition, Recorded, SessionLog
from strands_session_log_consumers.streaming import feed_sse, feed_websocket, sse, websocket

log = SessionLog.connect("valkey://localhost")


def told(recorded: Recorded) -> dict[str, Any] | None:
    return {"type": recorded.event.type} if recorded.event.has_content else None


def told_of_all(envelope: Envelope) -> dict[str, Any] | None:
    return {"session": envelope.session_id, "type": envelope.type}


async def events(request: Request) -> Response:
    after: str | None = request.query_params.get("after")
    if "words" in request.query_params:
        return await sse(log, "s-42", after, request=request, words=True, wait=True)
    return await sse(log, "s-42", after, request=request, types=["message.*"], agent="a", encode=told, heartbeat=5.0)


async def all_events(request: Request) -> Response:
    if "new" in request.query_params:
        return await feed_sse(log, "now", request=request, types="message.*", agent="a", heartbeat=5, send_timeout=3)
    return await feed_sse(log, FeedPosition(), request=request, encode=told_of_all)


async def socket(socket: WebSocket) -> None:
    await websocket(socket, log, "s-42", 12, origins=["https://example.com"], encode=told, send_timeout=3)


async def all_in_a_socket(socket: WebSocket) -> None:
    await feed_websocket(socket, log, socket.query_params.get("after"), origins={"https://e.com"}, encode=told_of_all)


async def mistakes(request: Request) -> None:
    await sse(log, "s-42")  # type: ignore[call-arg]
    await sse(log, "s-42", request=request, encode=told_of_all)  # type: ignore[arg-type]
    await sse(log, "s-42", request=request, after_id="1-1")  # type: ignore[call-arg]
    await feed_sse(log, request=request, words=True)  # type: ignore[call-arg]
    await feed_sse(log, request=request, encode=told)  # type: ignore[arg-type]
