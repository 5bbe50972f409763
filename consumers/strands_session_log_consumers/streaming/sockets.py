"""The same over a WebSocket, for those who have one anyhow."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from strands_session_log import FeedPosition, Point, SessionLog
from strands_session_log.errors import MissingExtraError

try:
    from anyio import CancelScope, Lock, create_task_group, fail_after, sleep
    from starlette.exceptions import HTTPException
    from starlette.websockets import WebSocketDisconnect

    from .following import (
        GONE,
        PING,
        Encode,
        EncodeEnvelope,
        EventStream,
        StreamMessage,
        feed_stream,
        session_stream,
    )
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("starlette", "anyio"):
        raise
    raise MissingExtraError("sse", "streaming events") from error

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

logger = logging.getLogger(__name__)

_OVER, _COME_AGAIN = 1000, 1012
_PING: Final = StreamMessage(PING, "", b"null")


async def websocket(
    socket: WebSocket,
    log: SessionLog,
    session_id: str,
    after: Point | None = None,
    *,
    origins: Collection[str] = (),
    types: str | Sequence[str] | None = None,
    agent: str | None = None,
    words: bool = False,
    wait: bool = False,
    encode: Encode | None = None,
    heartbeat: float = 10.0,
    send_timeout: float = 20.0,
) -> None:
    """Follow a session over a WebSocket that was not accepted yet, until one of both ends it.

    Each message is JSON: `{"kind", "id", "data"}`. What a client sends is passed over; to go on where it was, it
    connects anew, and your route gives the last `id` as `after`. Who may read the session is for your route to ask
    before.

    Args:
        socket: The WebSocket.
        log: The log.
        session_id: The session.
        after: As for `sse`; with `words` also an `id` that came.
        origins: From which other sites browsers may connect, such as `https://app.example.com`; they send their cookies
            along from any.
        types: As for `sse`.
        agent: As for `sse`.
        words: As for `sse`.
        wait: As for `sse`.
        encode: As for `sse`.
        heartbeat: Seconds between two pings.
        send_timeout: After how many seconds a follower who takes nothing is let go.

    Raises:
        HTTPException: Before it was accepted, as `sse` does; and 403 when a page of another site wants to connect.
    """
    _check_origin(socket, origins)
    options = {"types": types, "agent": agent, "words": words, "wait": wait, "encode": encode}
    stream = await session_stream(log, session_id, after, **options)  # type: ignore[arg-type]
    await socket.accept()
    await _Connection(socket, stream, heartbeat, send_timeout).run()


async def feed_websocket(
    socket: WebSocket,
    log: SessionLog,
    after: FeedPosition | Point | None = None,
    *,
    origins: Collection[str] = (),
    types: str | Sequence[str] | None = None,
    agent: str | None = None,
    encode: EncodeEnvelope | None = None,
    heartbeat: float = 10.0,
    send_timeout: float = 20.0,
) -> None:
    """Follow all sessions over a WebSocket that was not accepted yet, until one of both ends it.

    Messages are those of `websocket`, and tell what those of `feed_sse` do. Who may know of all sessions is for your
    route to ask before.

    Args:
        socket: The WebSocket.
        log: The log.
        after: As for `feed_sse`.
        origins: As for `websocket`.
        types: As for `feed_sse`.
        agent: As for `feed_sse`.
        encode: As for `feed_sse`.
        heartbeat: Seconds between two pings.
        send_timeout: After how many seconds a follower who takes nothing is let go.

    Raises:
        HTTPException: Before it was accepted, as `feed_sse` does; and 403 when a page of another site wants to connect.
    """
    _check_origin(socket, origins)
    stream = await feed_stream(log, after, types=types, agent=agent, encode=encode)
    await socket.accept()
    await _Connection(socket, stream, heartbeat, send_timeout).run()


class _Connection:
    """One follower: what is sent, the pings in between, and a look at whether anybody is there."""

    def __init__(self, socket: WebSocket, stream: EventStream, heartbeat: float, send_timeout: float) -> None:
        self._socket, self._stream = socket, stream
        self._heartbeat, self._send_timeout, self._sending = heartbeat, send_timeout, Lock()

    async def run(self) -> None:
        async with create_task_group() as tasks:
            for part in (self._send_all, self._beat, self._listen):
                tasks.start_soon(self._until_over, part, tasks.cancel_scope)

    async def _until_over(self, part: Any, scope: CancelScope) -> None:
        try:
            await part()
        except (WebSocketDisconnect, TimeoutError) as error:
            # Who takes nothing takes no farewell, either: the server cuts the connection.
            logger.debug("error=<%s> | a follower has left, or was let go", type(error).__name__)
        scope.cancel()

    async def _send_all(self) -> None:
        code = _COME_AGAIN
        async for message in self._stream.messages():
            await self._send(message)
            if message.kind == GONE:
                code = _OVER
        await self._socket.close(code)

    async def _beat(self) -> None:
        while True:
            await sleep(self._heartbeat)
            await self._send(_PING)

    async def _listen(self) -> None:
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _send(self, message: StreamMessage) -> None:
        kind, id_, data = message
        with fail_after(self._send_timeout):
            async with self._sending:
                await self._socket.send_text(f'{{"kind":"{kind}","id":"{id_}","data":{data.decode()}}}')


def _check_origin(socket: WebSocket, origins: Collection[str]) -> None:
    if not _is_known(socket, origins):
        raise HTTPException(403, "Pages of this site may not connect.")


def _is_known(socket: WebSocket, origins: Collection[str]) -> bool:
    """Whether a browser's page is of the same site, or of one that is named; other programs name none."""
    origin = socket.headers.get("origin")
    return origin is None or origin in origins or urlsplit(origin).netloc == socket.headers.get("host")
