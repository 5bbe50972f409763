"""`session-log fork`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from rich.text import Text

from ..connection import opened
from ..layout import put
from ..options import ByOption, JsonOption, NamespaceOption, SessionArgument, UnansweredOption, UrlOption
from ..progress import progress
from ..target import again
from ..terminal import console, count, plain, write_json

EPILOG = "Examples:\n\nsession-log fork s-42 s-42-again --at 12\n\nsession-log fork s-42 try --at -5m --json"

IntoArgument = Annotated[str, typer.Argument(metavar="INTO", help="The id of the new session.", show_default=False)]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="POINT", help="Only up to and with this point; else all of it.", show_default=False),
]


def fork(
    ctx: typer.Context,
    session: SessionArgument,
    into: IntoArgument,
    at: AtOption = None,
    allowed: UnansweredOption = False,
    by: ByOption = "",
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Begin a new session as a copy of another, which stays as it is.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with opened(ctx, url, namespace) as log, progress(into) as tell:
        log.head(session)
        made = log.fork(session, at=at, into=into, allow_unanswered=allowed, progress=tell, by=by)
    copied = made.revision - 1
    if as_json:
        write_json({"session_id": session, "into": into, "copied": copied, "event_id": str(made)})
        return
    put(
        console(),
        Text.assemble(
            ("✓ ", "green"), (plain(into), "bold"), f"  the first {count(copied, 'event')} of {plain(session)}"
        ),
    )
    put(console(), Text(f"  session-log show {shlex.quote(plain(into))}{again(ctx, url, namespace)}", "dim"))
