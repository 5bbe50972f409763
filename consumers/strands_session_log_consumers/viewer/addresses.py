"""Addresses of the pages, and session ids in them.

An id may hold a slash, a dot-dot or any script, and browsers resolve even `%2e%2e`: it stands as it is where it is
plain, and else as base64url behind a tilde. Each has one form; others lead there.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._:@-]*")
LINK_CHARACTERS: Final = 8
"""How much of an event's link an address has: enough to notice that it means another event now."""


def path_of(session_id: str) -> str:
    """A session id as it stands in an address."""
    if _PLAIN.fullmatch(session_id):
        return session_id
    return "~" + urlsafe_b64encode(session_id.encode()).rstrip(b"=").decode()


def session_of(path: str) -> str:
    """The session id that an address has; as it stands there if it is in no form of ours."""
    if not path.startswith("~"):
        return path
    try:
        return urlsafe_b64decode(path[1:].encode() + b"==").decode()
    except ValueError:
        return path


def session_path(session_id: str, part: str = "", **query: Any) -> str:
    """The address of a session, or of a part of it, below the viewer's own."""
    asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return f"/s/{path_of(session_id)}{'/' + part if part else ''}{'?' + asked if asked else ''}"


def is_api(scope: Mapping[str, Any], prefix: str) -> bool:
    """Whether a program asks, which is told in JSON what cannot be answered.

    Args:
        scope: What is asked for, as ASGI has it.
        prefix: What stands before the addresses of the viewer.
    """
    path = str(scope.get("path", "")).removeprefix(str(scope.get("root_path", ""))).removeprefix(prefix)
    return path == "/api" or path.startswith("/api/")


def with_query(path: str, given: Mapping[str, str], **changed: Any) -> str:
    """An address with a query of which something is changed; None and nothing take a name away."""
    asked = {name: value for name, value in {**given, **changed}.items() if value not in (None, "")}
    return f"{path}?{urlencode(asked)}" if asked else path
