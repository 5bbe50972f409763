"""Who looked at which session when. What was said there, or looked for, is never noted."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .addresses import session_of
from .settings import ViewerSettings

logger = logging.getLogger(__name__)

_LONGEST: Final = 256
_SHOWN: Final = 16


class AccessLog:
    """Notes each look, once it is answered: of a page, of a part that a page asks for, of the API.

    Args:
        app: What is asked for.
        settings: Where it is noted, and who says who asks.
        pages: What each endpoint is called: its address, without what it stands for.
    """

    def __init__(self, app: ASGIApp, settings: ViewerSettings, pages: Mapping[Callable[..., Any], str]) -> None:
        self._app, self._file, self._pages = app, settings.access_log, pages
        self._user_header = settings.user_header
        # What the cookie has is known to browsers: a hash of it stands here.
        proof = hashlib.sha256(f"viewer:{settings.token}".encode()).hexdigest()
        self._token = hashlib.sha256(proof.encode()).hexdigest()[:_SHOWN] if settings.token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._file is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
            await send(message)

        await self._app(scope, receive, sending)

    def _note(self, scope: Scope, status: int) -> None:
        page = self._pages.get(scope.get("endpoint"), "")  # type: ignore[arg-type]
        if "/static/" in page:
            return
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "who": self._who(scope),
            "from": (scope.get("client") or ("",))[0],
            "method": scope["method"],
            "page": page,
            "session": _session(scope),
            "event": _event(scope),
            "status": status,
        }
        self._write(json.dumps(line))

    def _write(self, line: str) -> None:
        assert self._file is not None
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            logger.error("error=<%s> | cannot write to the access log", error)

    def _who(self, scope: Scope) -> str:
        """As a proxy names them, or the application this is mounted in; else by the token they have."""
        named = Headers(scope=scope).get(self._user_header, "") if self._user_header else ""
        user = getattr(scope.get("user"), "display_name", "")
        return (named or str(user))[:_LONGEST] or (f"token:{self._token}" if self._token else "")


def _session(scope: Scope) -> str | None:
    """Which session was asked for: in the address, beside it, or in a form."""
    in_address = scope.get("path_params", {}).get("session_id")
    query = QueryParams(scope.get("query_string", b""))
    given = in_address or query.get("s") or ""
    sent = scope.get("state", {}).get("session_id", "") or query.get("session", "")
    return (session_of(given) if given else sent)[:_LONGEST] or None


def _event(scope: Scope) -> int | None:
    revision = str(scope.get("path_params", {}).get("revision", ""))
    return int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 16 else None
