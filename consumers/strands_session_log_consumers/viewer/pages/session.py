"""A conversation, now or at a point of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

from strands_session_log.errors import (
    CorruptEntryError,
    EncryptionError,
    LogForkedError,
    RevisionNotFoundError,
    SessionNotBegunError,
)

from ..addresses import LINK_CHARACTERS, path_of, session_path, with_query
from ..content.blocks import Cited, Prose, blocks_of
from ..context import Viewer, session_id_of
from ..conversation.differing import unchanged_in
from ..conversation.finding import found_in
from ..conversation.index import BLOCK
from ..conversation.reading import Conversation, Point
from ..conversation.talk import STRETCH, Stretch
from ..conversation.window import held_in

_DIGITS = 15
_UNKNOWN_STATE = "What the agents held cannot be told: an event before this point is missing, or cannot be read."


class SessionPages:
    """The page of a session, and the parts that it asks for by itself.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def routes(self) -> dict[str, Any]:
        """What can be asked for."""
        return {
            "/s/{session_id}": self.session,
            "/s/{session_id}/timeline/{block:number}": self.timeline,
            "/f/s/{session_id}/stretch/{number:number}": self.stretch,
            "/f/s/{session_id}/point": self.point,
            "/f/s/{session_id}/diff": self.diff,
            "/f/s/{session_id}/turns": self.turns,
            "/f/s/{session_id}/find": self.find,
            "/f/s/{session_id}/source/{revision:number}": self.source,
        }

    async def session(self, request: Request) -> Response:
        """A conversation, now or at a point."""
        asked, query = session_id_of(request), request.query_params
        if path_of(asked) != request.path_params["session_id"]:
            return RedirectResponse(with_query(self._viewer.path(request, session_path(asked)), query))
        at = query.get("at") or None
        conversation, point = await self._viewer.work(lambda: self._viewer.conversations.point(asked, at))
        if at is not None and at != str(point.revision):
            return RedirectResponse(
                with_query(self._viewer.path(request, session_path(asked)), query, at=point.revision)
            )
        return await self._viewer.work(lambda: self._session_page(request, conversation, point))

    def _session_page(self, request: Request, conversation: Conversation, point: Point) -> Response:
        stretches = conversation.around(point.revision, point.head)
        link = conversation.link(point.revision)[:LINK_CHARACTERS]
        noted, log = request.query_params.get("l"), self._viewer.log
        info = log.session(conversation.session_id)
        return self._viewer.html(
            request,
            "session.html",
            page="session",
            info=info,
            holds=[*log.retention.holds(info.session_id)] if info.held else [],
            persons=len({one.lstrip("~") for one in log.subjects.marks(info.session_id)}),
            link=link,
            moved=bool(noted) and noted != link,
            stretches=stretches,
            stretch_size=STRETCH,
            block_size=BLOCK,
            check=conversation.checked,
            allow_write=self._viewer.settings.allow_write,
            **self._shown(request, conversation, point),
            **self._state(conversation, point),
        )

    def _shown(self, request: Request, conversation: Conversation, point: Point) -> dict[str, Any]:
        page = self._viewer.path(request, session_path(conversation.session_id))
        kept = {name: value for name, value in request.query_params.items() if name not in ("at", "l")}
        # Drawn for everybody alike: its links lead to a point, and keep nothing else that an address has.
        items = {
            "session_id": conversation.session_id,
            "here": lambda **changed: with_query(page, {}, **changed),
            "blob": blob_path(self._viewer, request, conversation.session_id),
        }

        def draw(stretch: Stretch) -> Markup:
            return Markup(self._viewer.rendered(request, "stretch.html", stretch=stretch, **items))

        return {
            **items,
            "point": point,
            "here": lambda **changed: with_query(page, kept, **changed),
            "drawn": lambda stretch: conversation.drawn(stretch, page, draw),
        }

    def _state(self, conversation: Conversation, point: Point) -> dict[str, Any]:
        try:
            state = conversation.state(point.revision)
        except SessionNotBegunError:
            return {"state": None, "trouble": "The session had not begun."}
        except (LogForkedError, CorruptEntryError, RevisionNotFoundError):
            return {"state": None, "trouble": _UNKNOWN_STATE}
        except EncryptionError as error:
            return {"state": None, "trouble": f"What the agents held then is encrypted: {error}."}
        return {"state": state, **held_in(state)}

    async def stretch(self, request: Request) -> Response:
        """Some revisions of a conversation."""
        number = request.path_params["number"]

        def read() -> Response:
            conversation, point = self._viewer.conversations.point(session_id_of(request), None)
            if number * STRETCH >= point.head:
                raise HTTPException(404, f"There is no event r{number * STRETCH + 1:,}: there are {point.head:,}.")
            found = conversation.stretch(number, point.head)
            return HTMLResponse(self._shown(request, conversation, point)["drawn"](found))

        return await self._viewer.work(read)

    async def point(self, request: Request) -> Response:
        """What the session was at a point."""

        def read() -> Response:
            at = request.query_params.get("at") or None
            conversation, point = self._viewer.conversations.point(session_id_of(request), at)
            shown = self._shown(request, conversation, point)
            link = conversation.link(point.revision)[:LINK_CHARACTERS]
            return self._viewer.html(request, "point.html", link=link, **shown, **self._state(conversation, point))

        return await self._viewer.work(read)

    async def turns(self, request: Request) -> Response:
        """Where agents were called, and with what: those around a point."""

        def read() -> Response:
            at = request.query_params.get("at") or None
            conversation, point = self._viewer.conversations.point(session_id_of(request), at)
            for _ in conversation.indexed(point.head):
                pass
            shown = self._shown(request, conversation, point)
            return self._viewer.html(request, "turns.html", found=conversation.turns_near(point.revision), **shown)

        return await self._viewer.work(read)

    async def diff(self, request: Request) -> Response:
        """What differs between two points."""

        def read() -> Response:
            conversation, point = self._viewer.conversations.point(
                session_id_of(request), request.query_params.get("b")
            )
            _, other = self._viewer.conversations.point(conversation.session_id, request.query_params.get("a") or "1")
            found = self._viewer.log.diff(conversation.session_id, other.revision, point.revision)
            unchanged = unchanged_in(found, conversation.state(point.revision))
            shown = self._shown(request, conversation, point)
            return self._viewer.html(request, "diff.html", diff=found, unchanged=unchanged, **shown)

        return await self._viewer.work(read)

    async def find(self, request: Request) -> Response:
        """Which events behind the revision `after` hold the text `q`, as far as one looked in a moment."""
        query = request.query_params
        text, after = query.get("q", ""), query.get("after", "0")
        if not text or not (after.isascii() and after.isdigit() and len(after) < _DIGITS):
            raise HTTPException(400, "Say what to look for (q), and behind which revision (after).")

        def read() -> Response:
            conversation, point = self._viewer.conversations.point(session_id_of(request), None)
            found = found_in(self._viewer.log, conversation.session_id, text, min(int(after), point.head), point.head)
            return JSONResponse({"hits": found.revisions, "seen": found.seen, "head": point.head})

        return await self._viewer.work(read)

    async def source(self, request: Request) -> Response:
        """What a message says, as it was written."""

        def read() -> Response:
            recorded = self._viewer.log.event(session_id_of(request), request.path_params["revision"])
            data = recorded.event.data
            blocks = blocks_of(data.get("redact_message") or data.get("message"))
            said = [one.prose if isinstance(one, Cited) else one for one in blocks]
            texts = [one.source for one in said if isinstance(one, Prose)]
            return PlainTextResponse("\n\n".join(texts))

        return await self._viewer.work(read)

    async def timeline(self, request: Request) -> Response:
        """A block of the index, in columns."""
        number = request.path_params["block"]

        def read() -> Response:
            conversation, point = self._viewer.conversations.point(session_id_of(request), None)
            if number * BLOCK >= point.head:
                raise HTTPException(404, "There are no such events.")
            block = conversation.block(number, point.head)
            return Response(block.encoded(), media_type="application/octet-stream")

        return await self._viewer.work(read)


def blob_path(viewer: Viewer, request: Request, session_id: str) -> Callable[[Any, Any], str]:
    """Makes the addresses of files in a session."""
    blobs = viewer.path(request, f"/blob/{path_of(session_id)}")
    return lambda item, media: f"{blobs}/{_revision(item)}/{media.number}"


def _revision(item: Any) -> int:
    return int(item["revision"] if isinstance(item, Mapping) else item.revision)
