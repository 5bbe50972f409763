"""`session-log fork`."""

from __future__ import annotations

import shlex
from typing import Annotated

from ..context import CommandCall
from ..options import AtOption, ByOption, SessionArgument, UnansweredOption, argument, command
from ..progress import progress
from ..terminal import console, count, heading, plain, put, write_json

EPILOG = "Examples:\n\nsession-log fork s-42 s-42-again --at 12\n\nsession-log fork s-42 try --at -5m --json"

IntoArgument = Annotated[str, argument("INTO", "The id of the new session.")]


@command
def fork(
    call: CommandCall,
    session: SessionArgument,
    into: IntoArgument,
    at: AtOption = None,
    allowed: UnansweredOption = False,
    by: ByOption = "",
) -> None:
    """Begin a new session as a copy of another, which stays as it is.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with call.opened() as log, progress(into) as advance:
        log.head(session)
        made = log.fork(session, at=at, into=into, allow_unanswered=allowed, progress=advance, by=by)
        event = log.event(into, made).event
    copied = made.revision - 1
    if call.as_json:
        write_json({"session_id": session, "into": into, "copied": copied, "id": str(made), "event_id": event.event_id})
        return
    heading(console(), into, f"the first {count(copied, 'event')} of {plain(session)}", "✓")
    same_target = call.same_target_options
    put(console(), f"  session-log show {shlex.quote(plain(into))}{same_target}", "dim")
