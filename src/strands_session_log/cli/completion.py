"""Completing names from the server, if it answers before the user wonders what is going on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import typer

from .context import Target

if TYPE_CHECKING:
    from .. import SessionLog

_SECONDS = 1.0
_AT_MOST = 500


def session_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The newest sessions whose ids begin like this; none when there is any trouble."""
    return _names(ctx, incomplete, lambda log: (info.session_id for info in log.sessions(_AT_MOST)))


def sessions_and_bundles(ctx: typer.Context, incomplete: str) -> list[str]:
    """The same, and the ZIP files whose names begin like this."""
    return [*bundles(ctx, incomplete), *session_ids(ctx, incomplete)]


def bundles(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ZIP files whose names begin like this."""
    with suppress(OSError, ValueError):
        folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
        found = (str(path) for path in islice(folder.iterdir(), _AT_MOST) if path.suffix == ".zip")
        return sorted(name for name in found if name.startswith(incomplete))
    return []


def group_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The consumer groups whose names begin like this."""
    return _names(ctx, incomplete, lambda log: dict.fromkeys(status.group for status in log.groups()))


def parked_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """What the group that was named has parked."""
    return _names(ctx, incomplete, lambda log: (one.parked_id for one in log.parked(ctx.params["group"])))


def _names(ctx: typer.Context, incomplete: str, names: Callable[[SessionLog], Iterable[str]]) -> list[str]:
    # What this loads is not for the second that the server has.
    from .. import SessionLog

    found: list[str] = []
    target = Target.of(ctx, ctx.params.get("url"), ctx.params.get("namespace"))
    # In a thread of its own, since a server that does not answer is noticed by its driver only after seconds.
    asking = threading.Thread(target=_ask, args=(SessionLog.connect, target, names, found), daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return [name for name in found if name.startswith(incomplete)]


def _ask(
    connect: Callable[..., SessionLog], target: Target, names: Callable[[SessionLog], Iterable[str]], found: list[str]
) -> None:
    with suppress(Exception):
        if _is_there(target.url):
            log = connect(
                target.url, target.namespace, retry_for=0, allow_eviction=True, encryption=target.keys or None
            )
            found.extend(islice(names(log), _AT_MOST))


def _is_there(url: str) -> bool:
    """Whether connecting creates nothing: pressing Tab must not make an embedded server's directory."""
    parts = urlsplit(url)
    path = parts.path[1:] if parts.path.startswith(("/./", "/../")) else parts.path
    return parts.scheme != "embedded" or (bool(path) and Path(unquote(path)).is_dir())
