"""What happens in a session, as server-sent events for programs: of the same reader that pages are told by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import EventId
from strands_session_log.errors import InvalidPointError, LogForkedError, SessionNotFoundError

from ..context import Viewer
from ..json_answers import dumped, event_line
from ..live.channel import SessionChannel
from ..live.hub import MOST_WATCHERS, Watching
from ..rendering import word_of

_PING_SECONDS: Final = 10
_TAKEN_SECONDS: Final = 20.0
_AT_ONCE: Final = 200
_COMES_BACK_MS: Final = 1_000


class ApiLive:
    """The stream of one session.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    async def answer(self, request: Request, session_id: str, after: int | None) -> Response:
        """What happens behind an event, or from now on.

        Raises:
            HTTPException: When there are too many who watch, or the id in `Last-Event-ID` is none.
            SessionNotFoundError: When there is no such session.
        """
        if self._viewer.hub.watchers >= MOST_WATCHERS:
            raise HTTPException(503, f"{MOST_WATCHERS:,} are watching already.")
        head = await self._viewer.work(lambda: self._viewer.log.head(session_id))
        last = _event(request.headers.get("last-event-id", ""))
        begin: EventId | int = last or (head if after is None else after)
        return EventSourceResponse(
            self._messages(session_id, begin),
            ping=_PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(event="ping", data="", sep="\n"),
            send_timeout=_TAKEN_SECONDS,
            sep="\n",
        )

    async def _messages(self, session_id: str, after: EventId | int) -> AsyncIterator[ServerSentEvent]:
        with self._viewer.hub.watching(session_id) as watching:
            listener = ApiListener(self._viewer, watching, after)
            while True:
                watching.wakeup.clear()
                async for message in listener.news():
                    yield message
                if listener.is_over or watching.is_over:
                    return
                await watching.wakeup.wait()


class ApiListener:
    """What one program was told, and what is new to it.

    Args:
        viewer: What all pages share.
        watching: What it watches.
        after: The last event it knows; its revision, where that is all that is known.

    Attributes:
        is_over: Whether nothing more will come.
    """

    def __init__(self, viewer: Viewer, watching: Watching, after: EventId | int) -> None:
        self._viewer, self._watching, self._after = viewer, watching, after
        self._heard, self._told = dict[str, tuple[str, int]](), dict[str, bytes]()
        self.is_over = False

    async def news(self) -> AsyncIterator[ServerSentEvent]:
        """What is new since it was asked last."""
        for message in self._once("server", {"away": self._watching.pulse.away_since}):
            yield message
        channel = self._watching.channel
        if channel is None or not (channel.is_ready or channel.trouble):
            return
        if channel.trouble:
            yield self._gone(channel.trouble)
            return
        async for message in self._events(channel):
            yield message
        if not self.is_over:
            for message in self._rest(channel):
                yield message

    async def _events(self, channel: SessionChannel) -> AsyncIterator[ServerSentEvent]:
        while self._revision < channel.head.revision:
            until = min(channel.head.revision, self._revision + _AT_ONCE)
            try:
                found = await self._viewer.work(lambda until=until: self._read(channel.session_id, until))  # type: ignore[misc]
            except (LogForkedError, SessionNotFoundError) as error:
                yield self._gone(str(error))
                return
            for id_, text in found:
                self._after = id_
                yield _message("event", text, str(id_))
            if not found:
                return

    def _read(self, session_id: str, until: int) -> list[tuple[EventId, bytes]]:
        checked = self._viewer.log.read_checked(session_id, self._after or None, until)
        return [(one.id, event_line(one, checked.integrity)) for one in checked]

    @property
    def _revision(self) -> int:
        return self._after if isinstance(self._after, int) else self._after.revision

    def _rest(self, channel: SessionChannel) -> Iterator[ServerSentEvent]:
        # The words of a message are over once it was sent, not before.
        said = list(channel.words.since(self._heard))
        if said:
            yield _message("words", dumped(said))
        yield from self._once("behind", {"events": channel.behind})
        if channel.info:
            yield from self._once("session", {"status": word_of(channel.info)})

    def _once(self, event: str, data: Any) -> Iterator[ServerSentEvent]:
        text = dumped(data)
        if self._told.get(event) != text:
            self._told[event] = text
            yield _message(event, text)

    def _gone(self, why: str) -> ServerSentEvent:
        self.is_over = True
        return _message("gone", dumped({"text": why}))


def _message(event: str, data: bytes, id_: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data=data.decode(), event=event, id=id_, retry=_COMES_BACK_MS, sep="\n")


def _event(text: str) -> EventId | None:
    if not text:
        return None
    try:
        return EventId.parse(text)
    except InvalidPointError:
        raise HTTPException(400, f"Last-Event-ID is {text[:80]!r}, which is no event's id.") from None
