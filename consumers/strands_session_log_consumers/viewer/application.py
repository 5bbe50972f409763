"""The viewer as an ASGI application: its pages put together, and what is said where one cannot be shown."""

from __future__ import annotations

import gzip
import logging
import mimetypes
from functools import cache
from itertools import chain
from pathlib import Path
from traceback import format_tb
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strands_session_log import SessionLog
from strands_session_log.errors import (
    ConcurrentWriteError,
    CorruptEntryError,
    CorruptKeyError,
    InvalidPointError,
    KeyMissingError,
    KeyShreddedError,
    LogForkedError,
    NamespaceNotFoundError,
    ServerNotReadyError,
    ServerRefusedError,
    ServerUnavailableError,
    SessionBrokenError,
    SessionEncryptedError,
    SessionExistsError,
    SessionLogError,
    SessionNotFoundError,
    SnapshotMismatchError,
    WrongKeyError,
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
from .pages.search import SearchPages
from .pages.session import SessionPages
from .pages.sessions import ListPages
from .pages.verification import CheckPages
from .rendering import asset_file
from .security import AccessMiddleware
from .settings import ViewerSettings

logger = logging.getLogger(__name__)

_NOT_AS_WRITTEN: Final = "That is not what was written"
_COMPRESSION: Final = 5
"""Nine, as is usual, takes half as long again for 4 % less."""


_PAGES: Final = (ListPages, SearchPages, SessionPages, EventPages, CheckPages, ExportPages, LivePages)


class _Number(Convertor[int]):
    """A number in an address, not longer than any that is one of an event: Python reads no others."""

    regex = "[0-9]{1,15}"

    def convert(self, value: str) -> int:
        """From the address."""
        return int(value)

    def to_string(self, value: int) -> str:
        """For an address."""
        return str(value)


register_url_convertor("number", _Number())


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
        *(kind(viewer) for kind in _PAGES),
    ]
    shown = chain(*(one.routes().items() for one in pages))
    sent = {**ActPages(viewer).form_routes(), **inbox.form_routes()}.items()
    routes = [Route(f"{viewer.prefix}{path}", endpoint) for path, endpoint in shown]
    routes += [Route(f"{viewer.prefix}{path}", endpoint, methods=["GET", "POST"]) for path, endpoint in sent]
    routes.append(Route(f"{viewer.prefix}/static/{{version}}/{{name:path}}", asset))
    failures = Failures(viewer)
    handlers = {SessionLogError: failures.of_log, HTTPException: failures.of_request}
    guarded = [Middleware(Unforeseen, failures)]
    served = Starlette(routes=routes, middleware=guarded, exception_handlers=handlers)  # type: ignore[arg-type]
    noted = AccessLog(served, viewer.settings, {route.endpoint: route.path for route in routes})
    zipped = GZipMiddleware(noted, minimum_size=1024, compresslevel=_COMPRESSION)
    return AccessMiddleware(zipped, viewer.settings, viewer.hub.close, prefix=viewer.prefix)


async def asset(request: Request) -> Response:
    """A file that belongs to the pages; its address has its version, so it may be kept for ever."""
    found = asset_file(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "There is no such file.")
    media_type = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    content, compressed = _read(found)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(content, media_type=media_type, headers=headers)
    return Response(compressed, media_type=media_type, headers={**headers, "Content-Encoding": "gzip"})


@cache
def _read(file: Path) -> tuple[bytes, bytes]:
    """A file as it is, and compressed, once: a page has twenty of them."""
    content = file.read_bytes()
    return content, gzip.compress(content, mtime=0)


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
        status, title = explained(error)
        if is_api(request.scope, self._viewer.prefix):
            return problem(status, str(error), type(error).__name__)
        missing = isinstance(error, SessionNotFoundError)
        near = await self._viewer.work(lambda: self._near(request)) if missing else []
        named = session_of(request.path_params.get("session_id", "")) if title == _NOT_AS_WRITTEN else ""
        return self._viewer.html(
            request, "problem.html", status, title=title, text=str(error), near=near, damaged=named
        )

    def of_viewer(self, scope: Scope) -> Response:
        """Nobody foresaw it: a fault of ours. What it says may be content, so nobody is told more."""
        text = "That is a fault of the viewer: its log says where. Nothing of the session was changed."
        if is_api(scope, self._viewer.prefix):
            return problem(500, text)
        return self._viewer.html(Request(scope), "problem.html", 500, title="Something went wrong", text=text, near=())

    def _near(self, request: Request) -> list[str]:
        asked = session_of(request.path_params.get("session_id", "")).casefold()
        ids = [info.session_id for info in self._viewer.log.sessions(500)]
        return [one for one in ids if asked[:4] in one.casefold()][:5]


class Unforeseen:
    """Answers where nobody foresaw an error, and logs where it was, but not what it says: that may be content.

    Args:
        app: What is asked for.
        failures: What is told.
    """

    def __init__(self, app: ASGIApp, failures: Failures) -> None:
        self._app, self._failures = app, failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            where = "".join(format_tb(error.__traceback__))
            logger.error("error=<%s> | a page could not be made\n%s", type(error).__name__, where)
            if started:
                # What was begun cannot be taken back; whoever reads it sees that it does not end well.
                raise ConnectionAbortedError("a page could not be made to its end") from None
            await self._failures.of_viewer(scope)(scope, receive, send)


def explained(error: SessionLogError) -> tuple[int, str]:
    """The status of HTTP that an error of the log is told with, and its heading."""
    found = (told for kinds, told in _TOLD if isinstance(error, kinds))
    return next(found, (503, "The log cannot be read"))


_DAMAGED: Final = (CorruptEntryError, CorruptKeyError, LogForkedError, SessionBrokenError, SnapshotMismatchError)
_SEALED: Final = (KeyMissingError, KeyShreddedError, SessionEncryptedError, WrongKeyError)
_TOLD: Final[tuple[tuple[tuple[type[Exception], ...], tuple[int, str]], ...]] = (
    ((LookupError, NamespaceNotFoundError), (404, "Not found")),
    ((InvalidPointError,), (400, "That is no point of a session")),
    (_DAMAGED, (409, _NOT_AS_WRITTEN)),
    (_SEALED, (409, "The content is encrypted")),
    ((ServerNotReadyError,), (503, "The server is not ready")),
    ((ServerUnavailableError,), (503, "The server is away")),
    ((ServerRefusedError,), (503, "The server refuses")),
    ((ConcurrentWriteError, SessionExistsError), (409, "Meanwhile something else was written")),
    ((ValueError,), (400, "That means nothing here")),
)
"""By the first that fits: what is damaged may be refused, too, and what is refused for now is away."""
