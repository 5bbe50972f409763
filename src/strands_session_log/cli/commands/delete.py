"""`session-log delete`."""

from __future__ import annotations

import typer

from ..context import CommandCall
from ..options import ByOption, ReasonOption, SessionArgument, command
from ..prompts import YesOption, confirm, require_tty
from ..terminal import count, one_line, write_json

EPILOG = (
    "Examples:\n\nsession-log delete s-42\n\n"
    "session-log delete s-42 --reason 'request of the user' --by privacy@example.com --yes --json"
)


@command
def delete(
    call: CommandCall, session: SessionArgument, reason: ReasonOption = "", by: ByOption = "", yes: YesOption = False
) -> None:
    """Delete a session with every key of it; there is no way back.

    A tombstone stays: when it was deleted, by whom and why, and its last link; never what was said.
    """
    require_tty(yes, f"delete {session!r}")
    with call.opened() as log:
        if not yes:
            events = count(log.head(session).revision, "event")
            confirm(f"Delete session {session} with its {events} for good?", "nothing was deleted")
        deleted = log.delete(session, reason=reason, by=by)
    if call.as_json:
        write_json({"session_id": session, "deleted": True, "events": deleted})
    else:
        typer.echo(one_line(f"Deleted {session} with its {count(deleted, 'event')}."))
