"""Forms that write: what they must bring so that nobody but who sees them can send them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "session_log_forms"
FIELD: Final = "token"
LONGEST_NAME: Final = 256
_LONGEST: Final = 256 * 1024
_MOST_FIELDS: Final = 64
_STALE: Final = "This form is not of this viewer, or it was started anew since: load the page again. Nothing was done."


class Forms:
    """Gives forms a token that belongs to a cookie, and takes none without.

    The cookie goes with no request that another site makes, and the token cannot be made without the viewer's secret.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def token(self, request: Request) -> str:
        """What a form of the page that is asked for has to bring."""
        kept = request.cookies.get(COOKIE, "")
        request.state.form_cookie = kept if 16 <= len(kept) <= 64 else secrets.token_urlsafe(16)
        return self._of(request.state.form_cookie)

    def give(self, request: Request, response: Response) -> Response:
        """Let a page take the cookie along to which its token belongs."""
        cookie, secure = request.state.form_cookie, request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure)
        return response

    async def read(self, request: Request) -> Mapping[str, str]:
        """What was filled in.

        Raises:
            HTTPException: When it is no form, too long, or was not sent from a page of this viewer.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise HTTPException(415, "That is no form.")
        fields = _parsed(await _body(request))
        cookie = request.cookies.get(COOKIE, "")
        given = fields.pop(FIELD, "")
        if not cookie or not hmac.compare_digest(given.encode(errors="replace"), self._of(cookie).encode()):
            raise HTTPException(403, _STALE)
        return fields

    def _of(self, cookie: str) -> str:
        return hmac.new(self._secret, cookie.encode(errors="replace"), hashlib.sha256).hexdigest()


async def _body(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST:
            raise HTTPException(413, "That is too long.")
    return body.decode(errors="replace")


def _parsed(body: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, "That form has too many fields.") from None
