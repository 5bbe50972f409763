"""`session-log fork`."""

from __future__ import annotations

import shlex
from typing import Annotated, TypedDict

from ... import fork_edited
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import AtOption, ByOption, SessionArgument, UnansweredOption, argument, command, option
from ..progress import progress
from ..terminal import console, count, heading, plain, put, write_json

EPILOG = (
    "Examples:\n\nsession-log fork s-42 s-42-again --at 12\n\nsession-log fork s-42 try --at -5m --json\n\n"
    "session-log fork s-42 other --at 7 --edit 7 --text 'And in Porto?'"
)

IntoArgument = Annotated[str, argument("INTO", "The id of the new session.")]
EditOption = Annotated[str | None, option("--edit", "POINT", "The message to be changed on the way; takes --text.")]
TextOption = Annotated[str | None, option("--text", "TEXT", "What it says in the new session.")]


class _Options(TypedDict):
    allow_unanswered: bool
    by: str


@command
def fork(
    call: CommandCall,
    session: SessionArgument,
    into: IntoArgument,
    at: AtOption = None,
    allowed: UnansweredOption = False,
    by: ByOption = "",
    edit: EditOption = None,
    text: TextOption = None,
) -> None:
    """Begin a new session as a copy of another, which stays as it is.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if (edit is None) != (text is None):
        fail(Code.USAGE, "--edit and --text go together: which message, and what it says")
    options: _Options = {"allow_unanswered": allowed, "by": by}
    with call.opened() as log, progress(into) as advance:
        log.head(session)
        if edit is None or text is None:
            made, after = log.fork(session, at=at, into=into, progress=advance, **options), {}
        else:
            found = fork_edited(log, session, at, into, message=edit, text=text, progress=advance, **options)
            made, after = found.id, {"edited": str(found.edited)}
        event = log.event(into, made).event
    copied = made.revision - 1
    if call.as_json:
        ids = {"id": str(made), "event_id": event.event_id}
        write_json({"session_id": session, "into": into, "copied": copied, **ids, **after})
        return
    heading(console(), into, f"the first {count(copied, 'event')} of {plain(session)}", "✓")
    same_target = call.same_target_options
    put(console(), f"  session-log show {shlex.quote(plain(into))}{same_target}", "dim")
