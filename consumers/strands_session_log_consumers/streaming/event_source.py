"""Server-sent events: what `EventSource` of a browser takes, and comes back to by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from strands_session_log import FeedPosition, Point, SessionLog
from strands_session_log.errors import MissingExtraError

try:
    from sse_starlette import EventSourceResponse, ServerSentEvent

    from .following import EVENT, PING, Encode, EncodeEnvelope, EventStream, feed_stream, session_stream
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("sse_starlette", "starlette", "anyio"):
        raise
    raise MissingExtraError("sse", "streaming events") from error

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_COMES_BACK_MS: Final = 1_000


async def sse(
    log: SessionLog,
    session_id: str,
    after: Point | None = None,
    *,
    request: HTTPConnection,
    types: str | Sequence[str] | None = None,
    agent: str | None = None,
    words: bool = False,
    wait: bool = False,
    encode: Encode | None = None,
    heartbeat: float = 10.0,
    send_timeout: float = 20.0,
) -> EventSourceResponse:
    """Follow a session as server-sent events: the response of a route of Starlette or FastAPI.

    Events come as messages without a name (`onmessage`), each with its id; a browser that lost its connection sends
    the last one in `Last-Event-ID`, and goes on behind it. `words` come as such, `gone` once nothing will
    come any more, and `ping` now and then. Who may read the session is for your route to ask before.

    Args:
        log: The log.
        session_id: The session.
        after: Only what follows this point: a revision, event id, time or `"now"`; left out, from the beginning. It may
            be what somebody has sent.
        request: The request that is answered; its `Last-Event-ID` takes precedence over `after`.
        types: Only events of these types, as for `SessionLog.tail`; not with `words`.
        agent: Only events of this agent; not with `words`.
        words: Messages only, and what is being said, word by word, as `SessionLog.live` has it.
        wait: Whether a session that is not there is waited for; else that is a 404.
        encode: What is told of an event, as plain JSON values, None for nothing; left out, all of it, as `session-log
            events --json` has it.
        heartbeat: Seconds between two pings.
        send_timeout: After how many seconds a follower who takes nothing is let go.

    Raises:
        HTTPException: 400 when an id cannot be one, 404 when there is no such session, 410 when the session does not
            have the event, 503 when the log cannot be read.
    """
    begin = request.headers.get("last-event-id") or after
    options = {"types": types, "agent": agent, "words": words, "wait": wait, "encode": encode}
    stream = await session_stream(log, session_id, begin, **options)  # type: ignore[arg-type]
    return _response(stream, heartbeat, send_timeout)


async def feed_sse(
    log: SessionLog,
    after: FeedPosition | Point | None = None,
    *,
    request: HTTPConnection,
    types: str | Sequence[str] | None = None,
    agent: str | None = None,
    encode: EncodeEnvelope | None = None,
    heartbeat: float = 10.0,
    send_timeout: float = 20.0,
) -> EventSourceResponse:
    """Follow all sessions as server-sent events: what the feed tells of each event, which is never content.

    Events come as from `sse`, in order within each session; their ids are places in the feed. `gap` says that envelopes
    were gone before they could be sent. Who may know of all sessions is for your route to ask before.

    Args:
        log: The log.
        after: Only what follows this place: the id of a message, a time or `"now"`; left out, all that the feed holds.
        request: The request that is answered; its `Last-Event-ID` takes precedence over `after`.
        types: Only events of these types, as for `SessionLog.tail`.
        agent: Only events of this agent.
        encode: What is told of an event, as plain JSON values, None for nothing; left out, what `session-log tail
            --json` has.
        heartbeat: Seconds between two pings.
        send_timeout: After how many seconds a follower who takes nothing is let go.

    Raises:
        HTTPException: 400 when that is no place in the feed, 503 when the log cannot be read.
    """
    begin = request.headers.get("last-event-id") or after
    stream = await feed_stream(log, begin, types=types, agent=agent, encode=encode)
    return _response(stream, heartbeat, send_timeout)


def _response(stream: EventStream, heartbeat: float, send_timeout: float) -> EventSourceResponse:
    return EventSourceResponse(
        _sent(stream),
        ping=heartbeat,
        ping_message_factory=lambda: ServerSentEvent(event=PING, data="", sep="\n"),
        send_timeout=send_timeout,
        sep="\n",
    )


async def _sent(stream: EventStream) -> AsyncIterator[ServerSentEvent]:
    # At once, so that whoever asked knows that they are followed.
    yield ServerSentEvent(comment="following", retry=_COMES_BACK_MS, sep="\n")
    async for kind, id_, data in stream.messages():
        yield ServerSentEvent(data=data.decode(), event=None if kind == EVENT else kind, id=id_ or None, sep="\n")
