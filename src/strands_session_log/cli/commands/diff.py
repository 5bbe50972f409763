"""`session-log diff`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from rich.console import Console
from rich.text import Text

from ... import SessionDiff, SessionLog
from ..context import CommandCall
from ..options import SessionArgument, argument, command
from ..points import stripped
from ..render.diffs import print_diff
from ..render.events import integrity_text, note_integrity
from ..terminal import console, heading, put, write_json

EPILOG = (
    "Examples:\n\nsession-log diff s-42 4 9\n\nsession-log diff s-42 -1h\n\n"
    "session-log diff s-42 -1h --json | jq .agents.default.state"
)

FirstArgument = Annotated[str, argument("A", "The one point.", callback=stripped)]
SecondArgument = Annotated[str | None, argument("B", "The other point; else now.", callback=stripped)]


@command
def diff(call: CommandCall, session: SessionArgument, first: FirstArgument, second: SecondArgument = None) -> None:
    """Tell what two points of a session differ in: messages, agents' state, what agents hold.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with call.opened() as log:
        log.head(session)
        found = log.diff(session, first, second)
        if call.as_json:
            write_json({"session_id": session, **found.to_json()})
        else:
            _print(console(), log, session, found)


def _print(terminal: Console, log: SessionLog, session_id: str, found: SessionDiff) -> None:
    if found.is_empty:
        put(terminal, "No difference.")
        note_integrity(found.integrity)
        return
    facts = Text(f"revision {found.before.revision} → {found.after.revision}", "dim")
    heading(terminal, session_id, facts + integrity_text(found.integrity))
    state = partial(log.state, session_id)
    print_diff(terminal, found, partial(state, found.before), partial(state, found.after))
