"""The viewer as an ASGI application: its pages put together, and what is said where one cannot be shown."""

from __future__ import annotations

import mimetypes
from itertools import chain
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from strands_session_log import SessionLog
from strands_session_log.errors import (
    CorruptEntryError,
    CorruptKeyError,
    InvalidIdError,
    InvalidPointError,
    LogForkedError,
    RevisionNotFoundError,
    SessionLogError,
    SessionNotBegunError,
    SessionNotFoundError,
)

from .access_log import AccessLog
from .addresses import is_api, session_of
from .api.pages import ApiPages
from .context import Viewer
from .inbox.waiting import Inbox
from .json_answers import problem
from .pages.changes import ActPages
from .pages.events import EventPages
from .pages.exports import ExportPages
from .pages.inbox import InboxPages
from .pages.live import LivePages
from .pages.session import SessionPages
from .pages.sessions import ListPages
from .pages.verification import CheckPages
from .rendering import asset_file
from .security import Doorkeeper
from .settings import ViewerSettings

_NOT_AS_WRITTEN: Final = 409


def app(log: SessionLog, prefix: str = "", settings: ViewerSettings | None = None) -> ASGIApp:
    """The viewer of a log, to be served by itself or mounted in an application of your own.

    Args:
        log: The log; it stays yours.
        prefix: What stands before its addresses, if whatever it is mounted in does not tell (`root_path`).
        settings: See `ViewerSettings`.
    """
    viewer = Viewer(log, prefix.rstrip("/"), settings or ViewerSettings())
    waiting = Inbox(log, viewer.conversations)
    inbox = InboxPages(viewer, waiting)
    pages = [
        inbox,
        ApiPages(viewer, waiting),
        *(kind(viewer) for kind in (ListPages, SessionPages, EventPages, CheckPages, ExportPages, LivePages)),
    ]
    shown = chain(*(one.routes().items() for one in pages))
    sent = {**ActPages(viewer).form_routes(), **inbox.form_routes()}.items()
    routes = [Route(f"{viewer.prefix}{path}", endpoint) for path, endpoint in shown]
    routes += [Route(f"{viewer.prefix}{path}", endpoint, methods=["GET", "POST"]) for path, endpoint in sent]
    routes.append(Route(f"{viewer.prefix}/static/{{version}}/{{name:path}}", asset))
    failures = Failures(viewer)
    handlers = {SessionLogError: failures.of_log, HTTPException: failures.of_request}
    served = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    noted = AccessLog(served, viewer.settings, {route.endpoint: route.path for route in routes})
    zipped = GZipMiddleware(noted, minimum_size=1024)
    return Doorkeeper(zipped, viewer.settings, viewer.hub.close, prefix=viewer.prefix)


async def asset(request: Request) -> Response:
    """A file that belongs to the pages; its address has its version, so it may be kept for ever."""
    found = asset_file(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    media_type = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.read_bytes(), media_type=media_type, headers=headers)


class Failures:
    """Tells in a sentence what could not be shown.

    Args:
        viewer: What all pages share.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    async def of_request(self, request: Request, error: HTTPException) -> Response:
        """What was asked for is not there, or not possible."""
        if is_api(request.scope, self._viewer.prefix):
            return problem(error.status_code, error.detail, headers=error.headers)
        title = "Not found" if error.status_code == 404 else "Not possible"
        return self._viewer.html(request, "problem.html", error.status_code, title=title, text=error.detail, near=())

    async def of_log(self, request: Request, error: SessionLogError) -> Response:
        """What the log says."""
        status, title = _explained(error)
        if is_api(request.scope, self._viewer.prefix):
            return problem(status, str(error), type(error).__name__)
        missing = isinstance(error, SessionNotFoundError)
        near = await self._viewer.work(lambda: self._near(request)) if missing else []
        named = session_of(request.path_params.get("session_id", "")) if status == _NOT_AS_WRITTEN else ""
        return self._viewer.html(
            request, "problem.html", status, title=title, text=str(error), near=near, damaged=named
        )

    def _near(self, request: Request) -> list[str]:
        asked = session_of(request.path_params.get("session_id", "")).casefold()
        ids = [info.session_id for info in self._viewer.log.sessions(500)]
        return [one for one in ids if asked[:4] in one.casefold()][:5]


def _explained(error: SessionLogError) -> tuple[int, str]:
    match error:
        case SessionNotFoundError() | RevisionNotFoundError() | SessionNotBegunError():
            return 404, "Not found"
        case InvalidPointError() | InvalidIdError():
            return 400, "That is no point of a session"
        case CorruptEntryError() | CorruptKeyError() | LogForkedError():
            return _NOT_AS_WRITTEN, "That is not what was written"
        case _:
            return 503, "The server is away"
