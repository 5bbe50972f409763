"""`session-log release`."""

from __future__ import annotations

from typing import Annotated

import typer

from ... import LegalHold
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import SaidByOption, SaidReasonOption, SessionArgument, command, option
from ..terminal import count, one_line, write_json

EPILOG = (
    "Examples:\n\nsession-log release s-42 --by counsel@example.com --reason 'matter 4711 closed'\n\n"
    "session-log release s-42 --hold 17 --by counsel@example.com --reason 'matter 4711 closed'"
)

HoldOption = Annotated[
    list[str] | None, option("--hold", "ID", "Which hold, as `session-log holds` prints it; repeatable.")
]
EveryOption = Annotated[bool, typer.Option("--all", help="All holds of the session.")]


@command
def release(
    call: CommandCall,
    session: SessionArgument,
    by: SaidByOption,
    reason: SaidReasonOption,
    hold: HoldOption = None,
    every: EveryOption = False,
) -> None:
    """End a hold of a session. Of more than one, say which, or --all."""
    if hold and every:
        fail(Code.USAGE, "give --hold or --all, not both")
    with call.opened() as log:
        there = list(log.retention.holds(session))
        if len(there) > 1 and not (hold or every):
            fail(Code.USAGE, f"{session!r} is held {count(len(there), 'time')}: {_named(there)}; give --hold, or --all")
        released = log.retention.release(session, reason=reason, by=by, holds=hold)
        left = list(log.retention.holds(session))
    if call.as_json:
        write_json({"session_id": session, "id": str(released), "held": bool(left)})
    else:
        still = f"; it is still held by {_named(left)}" if left else ""
        typer.echo(one_line(f"Released {session}, by event {released.revision} of it{still}."))


def _named(holds: list[LegalHold]) -> str:
    return ", ".join(f"{one.id.revision if one.id else 'unknown'} ({one.reason or 'no reason known'})" for one in holds)
