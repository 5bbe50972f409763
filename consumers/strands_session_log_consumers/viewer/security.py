"""What stands before every page: who may ask, under which name, and what a browser may do with the answer."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .addresses import is_api
from .json_answers import problem
from .settings import ViewerSettings

COOKIE: Final = "session_log_viewer"
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_COOKIE_SECONDS: Final = 7 * 86_400
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'nonce-{nonce}'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types htmx",
    )
)
SANDBOXED: Final = "default-src 'none'; sandbox"
"""For what somebody sent: shown by itself, it is nothing but bytes."""
_PERMISSIONS: Final = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "Permissions-Policy": _PERMISSIONS,
}


class AccessMiddleware:
    """Refuses what comes under a foreign name or without the token, and tells browsers what a page may do.

    A page of another site whose name leads to this machine (DNS rebinding) comes under that name; a form of another
    site comes from there. Both are refused, whatever cookies they bring. Another site may lead a person here by a link,
    but load nothing from here: not even how long that takes is its business.

    Args:
        app: What is asked for.
        settings: Which names and token there are.
        close: Ends what is sent to pages that are open.
        prefix: What stands before the viewer's addresses.
    """

    def __init__(
        self, app: ASGIApp, settings: ViewerSettings, close: Callable[[], None] = lambda: None, prefix: str = ""
    ) -> None:
        self.close, self._prefix = close, prefix
        self._app, self._settings = app, settings
        self._hosts = _LOOPBACK | {host.lower() for host in settings.hosts}
        # Not the token itself: who sees a cookie cannot make another.
        self._proof = hashlib.sha256(f"viewer:{settings.token}".encode()).hexdigest() if settings.token else ""
        # Browsers keep cookies by host, whatever the port: two viewers of one machine have one each.
        self._cookie_name = f"{COOKIE}_{self._proof[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, nonce = Headers(scope=scope), secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        refused = self._refused(scope, headers)
        await (refused or self._app)(scope, receive, _with_headers(send, nonce))

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        if "*" not in self._hosts and _host(headers.get("host", "")) not in self._hosts:
            return self._refusal(scope, "This viewer does not go by that name; see --host-name.", 421)
        is_read = scope["method"] in ("GET", "HEAD")
        if not _is_own(headers) and not (is_read and _may_read(headers)):
            return self._refusal(scope, "Asked for by a page of another site.", 403)
        return self._without_token(scope, headers) if self._proof else None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token, query = self._settings.token or "", parse_qsl(scope["query_string"].decode("latin-1"), True)
        rest = [(name, value) for name, value in query if name != "token"]
        is_right = any(_same(value, token) for name, value in query if name == "token")
        is_known = _same(_bearer(headers), token) or _same(_cookie(headers, self._cookie_name), self._proof)
        if is_known and len(rest) == len(query):
            return None
        if is_known or is_right:
            return self._without(scope, rest, is_right)
        return self._refusal(scope, "Open the address that the viewer printed: it has a token.", 401)

    def _without(self, scope: Scope, query: list[tuple[str, str]], is_right: bool) -> Response:
        """The token goes out of the address, so that it is in no link that is copied; a cookie takes its place."""
        path = "/" + scope.get("path", "").lstrip("/")
        answer = RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
        if is_right:
            secure = scope.get("scheme") == "https"
            answer.set_cookie(
                self._cookie_name, self._proof, _COOKIE_SECONDS, httponly=True, samesite="lax", secure=secure
            )
        return answer

    def _refusal(self, scope: Scope, text: str, status: int) -> Response:
        return problem(status, text) if is_api(scope, self._prefix) else PlainTextResponse(text, status)


def _with_headers(send: Send, nonce: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce))
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _host(host: str) -> str:
    """A name without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_own(headers: Headers) -> bool:
    """Whether a page of this viewer asks, as browsers tell it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or _authority(origin) == headers.get("host", "")


def _may_read(headers: Headers) -> bool:
    """Whether a page of another site only leads a person here, or an old browser does not tell."""
    if "sec-fetch-site" not in headers:
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), known.encode())
