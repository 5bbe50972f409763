"""The API: what the pages show, as JSON, for programs. Nothing of it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log import SessionInfo, SessionLog
from strands_session_log.errors import RevisionNotFoundError
from strands_session_log.events import selector

from ..addresses import session_of
from ..context import Viewer
from ..conversation.index import BLOCK, TurnStart
from ..inbox.waiting import Inbox
from ..json_answers import dumped, event_line, json_answer
from ..pages.search import searched
from ..pages.sessions import FILTERS, listed
from ..rendering import word_of
from .document import API, MOST_BLOCKS, MOST_REVISIONS, OPERATIONS, Operation, document, read_query, whole
from .live import ApiLive

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
_LOOKED_AT: Final = 5_000
_READ_AT_ONCE: Final = 100
_MOST_BYTES: Final = 8 << 20


class ApiPages:
    """What can be asked for as JSON, and what tells of it.

    Args:
        viewer: What all pages share.
        inbox: Who waits for a person.
    """

    def __init__(self, viewer: Viewer, inbox: Inbox) -> None:
        self._viewer, self._waiting, self._live_pages = viewer, inbox, ApiLive(viewer)

    def routes(self) -> dict[str, Endpoint]:
        """What can be asked for."""
        asked = {f"{API}{one.path}": self._endpoint(one) for one in OPERATIONS}
        return {"/api": self.described, "/api/openapi.json": self.openapi, **asked}

    def _endpoint(self, operation: Operation) -> Endpoint:
        method = getattr(self, f"_{operation.name}")

        async def endpoint(request: Request) -> Response:
            asked = read_query(request.query_params, operation.query)
            if "session_id" in operation.addressed:
                asked["session_id"] = session_of(request.path_params["session_id"])
            if operation.name in ("live", "verify"):
                answered: Response = await method(request, **asked)
                return answered
            asked |= _numbers(request)
            return await self._viewer.work(lambda: method(**asked))

        return endpoint

    async def described(self, request: Request) -> Response:
        """The document; for a browser, a page of it."""
        if "text/html" not in request.headers.get("accept", ""):
            return await self.openapi(request)
        found = self._document(request)
        page = self._viewer.html(
            request, "api.html", page="api", document=found, operations=OPERATIONS, schemas=_texts(found)
        )
        page.headers["Vary"] = "Accept"
        return page

    async def openapi(self, request: Request) -> Response:
        """The document."""
        found = json_answer(self._document(request))
        found.headers["Vary"] = "Accept"
        return found

    def _document(self, request: Request) -> dict[str, Any]:
        return document(self._viewer.path(request, API), self._viewer.settings.token is not None)

    def _sessions(self, limit: int, before: str | None, **asked: str | None) -> Response:
        if asked["label"] and "=" not in asked["label"]:
            raise HTTPException(400, f"label is {asked['label'][:80]!r}; it looks like name=value.")
        wanted = {name: asked[name] or "" for name in FILTERS}
        found, cursor = listed(self._viewer.log, wanted, before, limit)
        return json_answer({"sessions": [_session_value(info) for info in found], "next": cursor})

    def _session(self, session_id: str) -> Response:
        conversation, _ = self._viewer.conversations.point(session_id, None)
        info, check = self._viewer.log.session(session_id), conversation.checked
        holds = [one.to_json() for one in self._viewer.log.retention.holds(session_id)] if info.held else []
        kept = {"holds": holds, "subjects": self._viewer.log.subjects.marks(session_id)}
        where = {"link": conversation.head().link, "check": check and check.to_json()}
        return json_answer({**_session_value(info), **kept, **where})

    def _events(self, session_id: str, **asked: Any) -> Response:
        return Response(events_page(self._viewer.log, session_id, asked), media_type="application/json")

    def _event(self, session_id: str, revision: int) -> Response:
        if revision > self._viewer.log.head(session_id).revision:
            raise RevisionNotFoundError(session_id, revision)
        checked = self._viewer.log.read_checked(session_id, revision - 1 or None, revision)
        for recorded in checked:
            return Response(event_line(recorded, checked.integrity), media_type="application/json")
        raise HTTPException(409, f"Event {revision:,} is missing, though there are later ones.")

    def _state(self, session_id: str, at: str | None, messages: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, at)
        return json_answer({"session_id": session_id, **conversation.state(point.revision).to_json(messages)})

    def _diff(self, session_id: str, a: str, b: str | None) -> Response:
        _, one = self._viewer.conversations.point(session_id, a)
        _, other = self._viewer.conversations.point(session_id, b)
        found = self._viewer.log.diff(session_id, one.revision, other.revision)
        return json_answer({"session_id": session_id, **found.to_json()})

    def _turns(self, session_id: str, before: int | None, limit: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, None)
        found = list[TurnStart]()
        for block in conversation.indexed(min(point.head, (before or MOST_REVISIONS) - 1) or 1):
            found += [one for one in reversed(block.turns) if before is None or one.revision < before]
            if len(found) > limit:
                break
        shown, more = found[:limit], len(found) > limit
        told = [one._asdict() for one in shown]
        return json_answer({"turns": told, "next": shown[-1].revision if more else None, "head": point.head})

    def _timeline(self, session_id: str, block: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, None)
        if block * BLOCK >= point.head:
            raise HTTPException(404, f"There is no block {block:,}: the session has {point.head:,} events.")
        return Response(conversation.block(block, point.head).encoded(), media_type="application/octet-stream")

    async def _verify(self, request: Request, session_id: str) -> Response:
        def go_on() -> Response:
            conversation, point = self._viewer.conversations.point(session_id, None)
            return json_answer(conversation.check(point.head).to_json())

        return await self._viewer.check(go_on)

    async def _live(self, request: Request, session_id: str, after: int | None) -> Response:
        return await self._live_pages.answer(request, session_id, after)

    def _search(self, limit: int, before: str | None, **asked: str | None) -> Response:
        wanted = {name: value or "" for name, value in asked.items()}
        hits = searched(self._viewer, wanted, before, limit)
        cursor = hits[-1][0].cursor if len(hits) == limit else None
        return json_answer({"hits": [hit.to_json() for hit, _ in hits], "next": cursor})

    def _inbox(self, agent: str | None, order: str, before: str | None) -> Response:
        items, more = self._waiting.page(agent, before, order == "newest")
        return json_answer({"waiting": [item.to_json() for item in items], "next": more})


class EventPage:
    """Events of one session, as many as were asked for, or as there is room for.

    Args:
        log: Where they are.
        session_id: The session.
        limit: How many at most.
        wanted: Which of them, by type and agent.
    """

    def __init__(self, log: SessionLog, session_id: str, limit: int, wanted: Callable[[str, str], bool]) -> None:
        self._log, self._session_id, self._limit, self._wanted = log, session_id, limit, wanted
        self._taken, self._size, self._looked, self._last = list[bytes](), 0, 0, 0

    def read(self, first: int, last: int, newest: bool) -> None:
        """Fill it with revisions from `first` to `last`, the newest first if so."""
        while first <= last and not self._is_full:
            if newest:
                begin, end = max(first, last - _READ_AT_ONCE + 1), last
                last = begin - 1
            else:
                begin, end = first, min(last, first + _READ_AT_ONCE - 1)
                first = end + 1
            self._take(begin, end, newest)

    @property
    def _is_full(self) -> bool:
        return len(self._taken) >= self._limit or self._size >= _MOST_BYTES or self._looked >= _LOOKED_AT

    def _take(self, first: int, last: int, newest: bool) -> None:
        checked = self._log.read_checked(self._session_id, first - 1 or None, last)
        found = [(recorded, checked.integrity) for recorded in checked]
        for recorded, integrity in reversed(found) if newest else found:
            if self._is_full:
                return
            self._looked, self._last = self._looked + 1, recorded.id.revision
            if self._wanted(recorded.event.type, recorded.event.agent):
                self._taken.append(event_line(recorded, integrity))
                self._size += len(self._taken[-1])

    def to_json(self, head: int, first: int, last: int, newest: bool) -> bytes:
        """As it is sent: the events in the bytes they have each, where to go on, and how many there are."""
        is_over = not self._last or self._last == (first if newest else last)
        told = {"next": None if is_over else self._last, "head": head}
        return b'{"events":[' + b",".join(self._taken) + b"]," + dumped(told)[1:]


def events_page(log: SessionLog, session_id: str, asked: dict[str, Any]) -> bytes:
    """The page that a query asks for, as JSON.

    Args:
        log: Where the events are.
        session_id: The session.
        asked: What the query says: `order`, `after`, `before`, `type`, `agent`, `limit`.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    head = log.head(session_id).revision
    first, last = asked["after"] + 1, min(head, (asked["before"] or head + 1) - 1)
    newest = asked["order"] == "newest"
    page = EventPage(log, session_id, asked["limit"], selector(asked["type"] or None, asked["agent"]))
    page.read(first, last, newest)
    return page.to_json(head, first, last, newest)


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    """The schemas, as people read them."""
    schemas = document["components"]["schemas"]
    return {name: orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() for name, schema in schemas.items()}


def _numbers(request: Request) -> dict[str, int]:
    """Numbers that an address has."""
    given, bounds = request.path_params, {"revision": (1, MOST_REVISIONS), "block": (0, MOST_BLOCKS)}
    return {name: whole(name, given[name], *bounds[name]) for name in bounds if name in given}


def _session_value(info: SessionInfo) -> dict[str, Any]:
    return {**info.to_json(), "shown_status": word_of(info)}
