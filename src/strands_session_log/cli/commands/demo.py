"""`session-log demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ..context import Target, given_first
from ..exit_codes import Code, fail
from ..options import PANEL, NamespaceOption, option
from ..terminal import console

EPILOG = "Examples:\n\nsession-log demo\n\nsession-log demo --keep ./demo"
_TEMPORARY = "embedded:"
_KEEP = "Keep the server's data in this directory, to look at the session afterwards."
_URL = "Play it on this server; else on one started for it, whatever SESSION_LOG_URL says."

KeepOption = Annotated[Path | None, option("--keep", "DIR", _KEEP, file_okay=False, resolve_path=True)]
UrlOption = Annotated[str | None, option("--url", "URL", _URL, rich_help_panel=PANEL)]


def demo(ctx: typer.Context, keep: KeepOption = None, url: UrlOption = None, namespace: NamespaceOption = None) -> None:
    """Watch the conversation of a real agent survive kill -9."""
    named = url or given_first(ctx, "url")
    if named and keep:
        fail(Code.USAGE, "demo takes --url or --keep, not both: a directory has a server of its own")
    place = f"embedded://{quote(str(keep))}" if keep else named
    target = Target.of(ctx, place or _TEMPORARY, namespace)
    # Here, because it imports Strands, which no other command needs.
    from ..render.demo import DemoError, tell

    try:
        kept = tell(console(), target, lasting=place is not None)
    except DemoError as error:
        fail(Code.PROBLEMS, str(error))
    if not kept:
        raise typer.Exit(Code.PROBLEMS)
