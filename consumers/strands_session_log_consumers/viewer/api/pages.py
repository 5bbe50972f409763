"""The API: what the pages show, as JSON, for programs. Nothing of it writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from strands_session_log.errors import RevisionNotFoundError

from ..addresses import session_of
from ..context import Viewer
from ..conversation.index import BLOCK, TurnStart
from ..inbox.waiting import Inbox
from ..pages.sessions import FILTERS, listed
from .document import API, MOST_BLOCKS, OPERATIONS, Operation, document
from .events import events_page
from .live import ApiLive
from .query import MOST_REVISIONS, read_query, whole
from .values import check_value, diff_value, dumped, event_value, session_value, state_value, waiting_value

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


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
        answer = getattr(self, f"_{operation.name}")

        async def endpoint(request: Request) -> Response:
            asked = read_query(request.query_params, operation.query)
            if "session_id" in operation.addressed:
                asked["session_id"] = session_of(request.path_params["session_id"])
            if operation.name in ("live", "verify"):
                answered: Response = await answer(request, **asked)
                return answered
            asked |= _numbers(request)
            return await self._viewer.work(lambda: answer(**asked))

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
        answer = _json(self._document(request))
        answer.headers["Vary"] = "Accept"
        return answer

    def _document(self, request: Request) -> dict[str, Any]:
        return document(self._viewer.path(request, API), self._viewer.settings.token is not None)

    def _sessions(self, limit: int, before: str | None, **asked: str | None) -> Response:
        if asked["label"] and "=" not in asked["label"]:
            raise HTTPException(400, f"label is {asked['label'][:80]!r}; it looks like name=value.")
        wanted = {name: asked[name] or "" for name in FILTERS}
        found, cursor = listed(self._viewer.log, wanted, before, limit)
        return _json({"sessions": [session_value(info) for info in found], "next": cursor})

    def _session(self, session_id: str) -> Response:
        conversation, _ = self._viewer.conversations.point(session_id, None)
        told = session_value(self._viewer.log.session(session_id))
        return _json({**told, "link": conversation.head().link, "check": check_value(conversation.checked)})

    def _events(self, session_id: str, **asked: Any) -> Response:
        return Response(events_page(self._viewer.log, session_id, asked), media_type="application/json")

    def _event(self, session_id: str, revision: int) -> Response:
        if revision > self._viewer.log.head(session_id).revision:
            raise RevisionNotFoundError(session_id, revision)
        checked = self._viewer.log.read_checked(session_id, revision - 1 or None, revision)
        for recorded in checked:
            return _json(event_value(recorded, checked.integrity))
        raise HTTPException(409, f"Event {revision:,} is missing, though there are later ones.")

    def _state(self, session_id: str, at: str | None, messages: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, at)
        return _json(state_value(session_id, conversation.state(point.revision), messages))

    def _diff(self, session_id: str, a: str, b: str | None) -> Response:
        _, one = self._viewer.conversations.point(session_id, a)
        _, other = self._viewer.conversations.point(session_id, b)
        return _json(diff_value(session_id, self._viewer.log.diff(session_id, one.revision, other.revision)))

    def _turns(self, session_id: str, before: int | None, limit: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, None)
        found = list[TurnStart]()
        for block in conversation.indexed(min(point.head, (before or MOST_REVISIONS) - 1) or 1):
            found += [one for one in reversed(block.turns) if before is None or one.revision < before]
            if len(found) > limit:
                break
        shown, more = found[:limit], len(found) > limit
        told = [one._asdict() for one in shown]
        return _json({"turns": told, "next": shown[-1].revision if more else None, "head": point.head})

    def _timeline(self, session_id: str, block: int) -> Response:
        conversation, point = self._viewer.conversations.point(session_id, None)
        if block * BLOCK >= point.head:
            raise HTTPException(404, f"There is no block {block:,}: the session has {point.head:,} events.")
        return Response(conversation.block(block, point.head).encoded(), media_type="application/octet-stream")

    async def _verify(self, request: Request, session_id: str) -> Response:
        def go_on() -> Response:
            conversation, point = self._viewer.conversations.point(session_id, None)
            return _json(check_value(conversation.check(point.head)))

        return await self._viewer.check(go_on)

    async def _live(self, request: Request, session_id: str, after: int | None) -> Response:
        return await self._live_pages.answer(request, session_id, after)

    def _inbox(self, agent: str | None, order: str, before: str | None) -> Response:
        items, more = self._waiting.page(agent, before, order == "newest")
        return _json({"waiting": [waiting_value(item) for item in items], "next": more})


def _texts(document: Mapping[str, Any]) -> dict[str, str]:
    """The schemas, as people read them."""
    schemas = document["components"]["schemas"]
    return {name: orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() for name, schema in schemas.items()}


def _numbers(request: Request) -> dict[str, int]:
    """Numbers that an address has."""
    given, bounds = request.path_params, {"revision": (1, MOST_REVISIONS), "block": (0, MOST_BLOCKS)}
    return {name: whole(name, given[name], *bounds[name]) for name in bounds if name in given}


def _json(value: Any) -> Response:
    return Response(dumped(value), media_type="application/json")
