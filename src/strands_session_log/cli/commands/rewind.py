"""`session-log rewind`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text

from ... import EventId, Recorded, SessionDiff, SessionLog
from ...errors import UnansweredToolCallsError
from ..context import CommandCall
from ..options import ByOption, DryRunOption, SessionArgument, UnansweredOption, argument, command
from ..points import stripped
from ..prompts import YesOption, confirm, require_tty
from ..render.diffs import going_back_json, print_going_back
from ..terminal import console, heading, put, write_json
from ..typed import typed

EPILOG = "Examples:\n\nsession-log rewind s-42 12 --dry-run\n\nsession-log rewind s-42 -5m --yes"

PointArgument = Annotated[str, argument("POINT", "Where to go back to.", callback=stripped)]


@command
def rewind(
    call: CommandCall,
    session: SessionArgument,
    point: PointArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    allowed: UnansweredOption = False,
    by: ByOption = "",
) -> None:
    """Let the agents of a session go on from an earlier point; nothing is lost, and it can be undone.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if not dry_run:
        require_tty(yes, f"rewind {session!r}")
    with call.opened() as log:
        # A point that will be refused is so before the user is asked.
        found = log.rewind(session, point, allow_unanswered=allowed, dry_run=True)
        if dry_run and call.as_json:
            write_json(_json(session, found, None))
        elif dry_run or not yes:
            _preview(console(stderr=call.as_json), log, session, found)
        if dry_run:
            return
        if not yes:
            confirm(f"Rewind {session} to revision {found.after.revision}?", "nothing was rewound")
        rewound = log.rewind(session, found.after, allow_unanswered=allowed, by=by)
        recorded = log.event(session, rewound)
        if call.as_json:
            write_json(_json(session, found, recorded))
        else:
            undo = _undo(log, session, _stood(recorded), call.same_target_options)
            facts = f"back to revision {found.after.revision}, recorded by event {rewound}"
            heading(console(), session, facts, "✓")
            put(console(), f"  undo: {undo}", "dim")


def _stood(rewound: Recorded) -> int:
    """The revision it was rewound from; others may have written while the user was asked."""
    return EventId.parse(rewound.event.data["from"]).revision


def _undo(log: SessionLog, session_id: str, before: int, same_target: str) -> str:
    """The command that leads back."""
    flag = ""
    try:
        log.rewind(session_id, before, dry_run=True)
    except UnansweredToolCallsError:
        flag = " --allow-unanswered"
    return typed("rewind", session_id, str(before), options=flag + same_target)


def _preview(terminal: Console, log: SessionLog, session_id: str, found: SessionDiff) -> None:
    facts = f"revision {found.before.revision} → back to {found.after.revision}"
    heading(terminal, session_id, Text(facts, "dim"))
    state = partial(log.state, session_id)
    print_going_back(terminal, found, partial(state, found.before), partial(state, found.after))


def _json(session_id: str, found: SessionDiff, rewound: Recorded | None) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "before": found.before.revision if rewound is None else _stood(rewound),
        "to": found.after.revision,
        "id": None if rewound is None else str(rewound.id),
        "event_id": None if rewound is None else rewound.event.event_id,
        "dry_run": rewound is None,
        "agents": going_back_json(found),
    }
