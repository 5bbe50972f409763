"""`session-log delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ...errors import SessionNotFoundError
from ...session_log import SessionLog
from ..connection import opened
from ..exits import Code, fail
from ..options import JsonOption, NamespaceOption, SessionArgument, UrlOption
from ..terminal import count, one_line, write_json

EPILOG = "Examples:\n\nsession-log delete s-42\n\nsession-log delete s-42 --yes --json"

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    ctx: typer.Context,
    session: SessionArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Delete a session with every key of it; there is no way back."""
    if not yes and not sys.stdin.isatty():
        fail(Code.USAGE, f"there is no terminal to ask whether to delete {session!r}: pass --yes")
    with opened(ctx, url, namespace) as log:
        if not yes:
            _confirm(log, session)
        events = log.delete(session)
    if as_json:
        write_json({"session_id": session, "deleted": True, "events": events})
    else:
        typer.echo(one_line(f"Deleted {session} with its {count(events, 'event')}."))


def _confirm(log: SessionLog, session_id: str) -> None:
    head = log.events.head(session_id)
    if head is None:
        raise SessionNotFoundError(session_id)
    question = one_line(f"Delete session {session_id} with its {count(head.id.revision, 'event')} for good?")
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if not agreed:
        fail(Code.PROBLEMS, "nothing was deleted")
