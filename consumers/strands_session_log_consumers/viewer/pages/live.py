"""What changes on a page while it is open, as server-sent events.

One stream a page: `items` (what happened in the session), `words` (what is being said), `session` (what it does),
`behind` (how many events are still to come), `rows` (of the list), `waiting` (how many wait for a person), `server`
(whether it answers), `anew` (load the conversation again), `gone` (there is no such history any more) and `ping`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import EventId, SessionInfo
from strands_session_log.errors import InvalidPointError

from ..addresses import session_of, session_path, with_query
from ..context import Viewer
from ..conversation.talk import stretch_of
from ..live.channel import Batch, SessionChannel
from ..live.hub import MOST_WATCHERS, Pulse, Watching
from ..rendering import short_hash, status_text, word_of
from .session import blob_path
from .sessions import FILTERS, is_shown

_PING_SECONDS: Final = 10
_TAKEN_SECONDS: Final = 20.0
"""After so long a browser that takes nothing is let go; it comes back by itself."""
_COMES_BACK_MS: Final = 1_000


class LivePages:
    """The stream of what changes.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {"/f/live": self.live}

    async def live(self, request: Request) -> Response:
        """What changes in a session (`s`, behind the event `after`), or in the list (`list`, as it is filtered)."""
        if self._viewer.hub.watchers >= MOST_WATCHERS:
            raise HTTPException(503, f"{MOST_WATCHERS:,} pages are open already.")
        return EventSourceResponse(
            self._messages(request),
            ping=_PING_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(event="ping", data="", sep="\n"),
            send_timeout=_TAKEN_SECONDS,
            sep="\n",
        )

    async def _messages(self, request: Request) -> AsyncIterator[ServerSentEvent]:
        asked = request.query_params.get("s")
        with self._viewer.hub.watching(session_of(asked) if asked else None) as watching:
            page = LivePage(self._viewer, request, watching)
            while True:
                watching.wakeup.clear()
                async for message in page.news():
                    yield message
                if page.is_over or watching.is_over:
                    return
                await watching.wakeup.wait()


class LivePage:
    """What one page knows already, and what is new to it.

    Args:
        viewer: What all pages share.
        request: What it asked for.
        watching: What it watches.

    Attributes:
        is_over: Whether nothing more will come.
    """

    def __init__(self, viewer: Viewer, request: Request, watching: Watching) -> None:
        self._viewer, self._request, self._watching = viewer, request, watching
        query = request.query_params
        self._after = _event(request.headers.get("last-event-id") or query.get("after", ""))
        self._epoch = watching.channel.epoch if watching.channel else 0
        self._asked = {name: query[name] for name in FILTERS if query.get(name)} if "list" in query else None
        self._heard, self._rows = dict[str, tuple[str, int]](), dict[str, int]()
        self._told = dict[str, bytes]()
        self.is_over = False

    async def news(self) -> AsyncIterator[ServerSentEvent]:
        """What is new since it was asked last."""
        for message in self._of_server():
            yield message
        if self._watching.channel:
            async for message in self._of_session(self._watching.channel):
                yield message
        if self._asked is not None:
            for message in await self._of_list(self._asked):
                yield message

    def _of_server(self) -> Iterator[ServerSentEvent]:
        yield from self._once("server", _server(self._watching.pulse))
        newest = self._watching.newest
        if newest.waiting is not None:
            yield from self._once("waiting", {"count": newest.waiting, "anew": newest.asked_anew})

    def _once(self, event: str, data: Any) -> Iterator[ServerSentEvent]:
        """What is the case, if that is another than was told."""
        text = orjson.dumps(data)
        if self._told.get(event) != text:
            self._told[event] = text
            yield _sent(event, text)

    async def _of_session(self, channel: SessionChannel) -> AsyncIterator[ServerSentEvent]:
        if channel.trouble:
            self.is_over = True
            yield _sent("gone", orjson.dumps({"text": channel.trouble}))
            return
        if not channel.is_ready:
            return
        async for message in self._of_events(channel):
            yield message
        # The words of a message are over once it is there, not before.
        said = list(channel.words.since(self._heard))
        if said:
            yield _sent("words", orjson.dumps(said))
        for message in self._once("behind", {"events": channel.behind}):
            yield message
        if channel.info:
            for message in self._once("session", _status(channel.info)):
                yield message

    async def _of_events(self, channel: SessionChannel) -> AsyncIterator[ServerSentEvent]:
        batch = None if self._epoch != channel.epoch or self._is_other(channel) else channel.since(self._after.revision)
        self._epoch = channel.epoch
        if batch is None:
            self._after = channel.head
            yield _sent("anew", orjson.dumps({"head": channel.head.revision}), str(channel.head))
        elif batch.rows:
            text = await self._rendered(channel.session_id, batch)
            self._after = batch.head
            yield _sent("items", text.encode(), str(batch.head))

    def _is_other(self, channel: SessionChannel) -> bool:
        """Whether what the page has last is not what stands there."""
        known = channel.id_of(self._after.revision)
        return bool(self._after.ms) and known is not None and known != self._after

    async def _rendered(self, session_id: str, batch: Batch) -> str:
        """As text; once for all that take the same at the same address."""
        base = self._viewer.path(self._request, "")
        if base not in batch.rendered:
            work = self._viewer.work(lambda: batch_text(self._viewer, self._request, session_id, batch))
            batch.rendered[base] = asyncio.ensure_future(work)
        # Whoever leaves does not take it away from the others.
        return await asyncio.shield(batch.rendered[base])

    async def _of_list(self, asked: Mapping[str, str]) -> list[ServerSentEvent]:
        since = self._after.ms
        rows = [
            info
            for info in self._watching.newest.rows
            if _ms(info) >= since and self._rows.get(info.session_id) != info.revision
        ]
        self._rows.update({info.session_id: info.revision for info in rows})
        if not rows:
            return []
        return [await self._viewer.work(lambda: self._row_message(rows, asked))]

    def _row_message(self, rows: list[SessionInfo], asked: Mapping[str, str]) -> ServerSentEvent:
        costs = self._viewer.costs(rows)
        made = [
            {
                "id": f"s-{short_hash(info.session_id)}",
                "shown": is_shown(info, asked),
                "html": self._viewer.rendered(self._request, "rows.html", rows=[info], costs=costs, more=""),
            }
            for info in reversed(rows)
        ]
        return _sent("rows", orjson.dumps(made), f"{max(map(_ms, rows))}-0")


def batch_text(viewer: Viewer, request: Request, session_id: str, batch: Batch) -> str:
    """What came after a revision, as a page takes it."""
    page = viewer.path(request, session_path(session_id))
    shown = {
        "session_id": session_id,
        "here": lambda **changed: with_query(page, {}, **changed),
        "blob": blob_path(viewer, request, session_id),
    }

    def rendered(template: str, **values: Any) -> str:
        return viewer.rendered(request, template, **shown, **values).strip()

    item_macros = viewer.macros(request, "item.html", **shown)
    made = {
        "first": batch.after + 1,
        "head": batch.head.revision,
        "ms": batch.head.ms,
        "link": batch.link,
        "rows": batch.rows,
        "jumps": batch.jumps,
        "turns": [
            {"revision": one.revision, "html": rendered("turn.html", turn=one, number="")} for one in batch.turns
        ],
        "items": [
            {
                "revision": item.revision,
                "stretch": stretch_of(item.revision),
                "html": str(item_macros.shown(item)).strip(),
            }
            for item in batch.items
        ],
    }
    return orjson.dumps(made, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=list).decode()


def _sent(event: str, data: bytes, id_: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data=data.decode(), event=event, id=id_, retry=_COMES_BACK_MS, sep="\n")


def _event(text: str) -> EventId:
    """What a page has last: an event's id, or a revision alone; nothing if it is neither."""
    with suppress(InvalidPointError):
        return EventId.parse(text if "-" in text else f"0-{text}")
    return EventId(0, 0)


def _server(pulse: Pulse) -> dict[str, Any]:
    if pulse.away_since is None:
        return {"away": None}
    return {"away": pulse.away_since, "answered": pulse.answered_at, "refusal": pulse.refusal}


def _status(info: SessionInfo) -> dict[str, str]:
    return {"word": word_of(info), "text": status_text(info)}


def _ms(info: SessionInfo) -> int:
    return int(info.last_event_at.timestamp() * 1000)
