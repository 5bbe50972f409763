"""Completing session ids from the server, if it answers before anybody notices."""

from __future__ import annotations

import threading
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import typer

from ..session_log import SessionLog
from .target import Target

_SECONDS = 1.0
_AT_MOST = 500


def session_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The newest sessions whose ids begin like this; none when there is any trouble."""
    found: list[str] = []
    target = Target.of(ctx, ctx.params.get("url"), ctx.params.get("namespace"))
    # In a thread of its own, since a server that does not answer is noticed by its driver only after seconds.
    asking = threading.Thread(target=_ask, args=(target, found), daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return [session_id for session_id in found if session_id.startswith(incomplete)]


def _ask(target: Target, found: list[str]) -> None:
    with suppress(Exception):
        if _is_there(target.url):
            log = SessionLog.connect(target.url, target.namespace, retry_for=0, allow_eviction=True)
            found.extend(info.session_id for info in log.sessions(_AT_MOST))


def _is_there(url: str) -> bool:
    """Whether connecting creates nothing: pressing Tab must not make an embedded server's directory."""
    from pathlib import Path

    parts = urlsplit(url)
    return parts.scheme != "embedded" or (bool(parts.path) and Path(unquote(parts.path)).is_dir())
