"""`session-log hold`."""

from __future__ import annotations

import typer

from ..context import CommandCall
from ..options import SaidByOption, SaidReasonOption, SessionArgument, command
from ..terminal import one_line, write_json

EPILOG = "Example:\n\nsession-log hold s-42 --by counsel@example.com --reason 'matter 4711'"


@command
def hold(call: CommandCall, session: SessionArgument, by: SaidByOption, reason: SaidReasonOption) -> None:
    """Hold a session: nothing of it is erased, pruned or deleted until it is released, whoever asks.

    Agents go on with it as ever. Held more than once, it is free when all holds have ended; a fork is not held by it.
    """
    with call.opened() as log:
        held = log.retention.hold(session, reason=reason, by=by)
    if call.as_json:
        write_json({"session_id": session, "id": str(held)})
    else:
        typer.echo(one_line(f"{session} is held, by event {held.revision} of it."))
