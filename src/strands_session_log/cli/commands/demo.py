"""`session-log demo`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ..context import Target, given_first
from ..exit_codes import Code, fail
from ..options import PANEL, NamespaceOption, option
from ..terminal import console

EPILOG = "Examples:\n\nsession-log demo\n\nsession-log demo --keep ./demo\n\nsession-log demo --view"
_TEMPORARY = "embedded:"
_KEEP = "Keep the server's data in this directory, to look at the session afterwards."
_URL = "Play it on this server; else on one started for it, whatever SESSION_LOG_URL says."

KeepOption = Annotated[Path | None, option("--keep", "DIR", _KEEP, file_okay=False, resolve_path=True)]
UrlOption = Annotated[str | None, option("--url", "URL", _URL, rich_help_panel=PANEL)]
ViewOption = Annotated[
    bool, typer.Option("--view", help="Then show the conversation in a browser, until Ctrl-C; see `session-log view`.")
]


def demo(
    ctx: typer.Context,
    keep: KeepOption = None,
    view: ViewOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Watch the conversation of a real agent survive kill -9."""
    named = url or given_first(ctx, "url")
    if named and keep:
        fail(Code.USAGE, "demo takes --url or --keep, not both: a directory has a server of its own")
    place = f"embedded://{quote(str(keep))}" if keep else named
    with _viewed_here(place, view) as server:
        target = Target.of(ctx, server or _TEMPORARY, namespace)
        session_id = _play(target, lasting=place is not None)
        if view:
            _view(ctx, target, session_id)


def _play(target: Target, lasting: bool) -> str:
    """Play it; the session it was played in."""
    # Here, because it imports Strands, which no other command needs.
    from ..render.demo import DemoError, tell

    try:
        session_id, kept = tell(console(), target, lasting)
    except DemoError as error:
        fail(Code.PROBLEMS, str(error))
    if not kept:
        raise typer.Exit(Code.PROBLEMS)
    return session_id


@contextmanager
def _viewed_here(place: str | None, view: bool) -> Iterator[str | None]:
    """A server that outlives what is played on it, if somebody is to look at that."""
    if place or not view:
        yield place
        return
    with TemporaryDirectory(prefix="session-log-demo-", ignore_cleanup_errors=True) as directory:
        yield f"embedded://{quote(directory)}"


def _view(ctx: typer.Context, target: Target, session_id: str) -> None:
    parent: Any = ctx.parent
    viewer = parent.command.get_command(parent, "view")
    arguments = [session_id, "--port", "0", "--url", target.url, "--namespace", target.namespace]
    with viewer.make_context("view", arguments, parent=parent) as call:
        viewer.invoke(call)
