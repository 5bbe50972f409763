"""`session-log rewind`."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ...errors import UnansweredToolCallsError
from ...ids import EventId
from ...session_log import SessionLog
from ...state.diff import SessionDiff
from ..connection import opened
from ..differences import finder, going_back_json, print_going_back
from ..layout import put
from ..options import ByOption, JsonOption, NamespaceOption, SessionArgument, UnansweredOption, UrlOption
from ..points import PointArgument
from ..prompts import YesOption, confirm, somebody_there
from ..target import again
from ..terminal import console, plain, write_json

EPILOG = "Examples:\n\nsession-log rewind s-42 12 --dry-run\n\nsession-log rewind s-42 -5m --yes"

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing, only tell what would change.")]


def rewind(
    ctx: typer.Context,
    session: SessionArgument,
    point: PointArgument,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    allowed: UnansweredOption = False,
    by: ByOption = "",
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Let the agents of a session go on from an earlier point; nothing is lost, and it can be undone.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if not dry_run:
        somebody_there(yes, f"rewind {session!r}")
    with opened(ctx, url, namespace) as log:
        # A point that will be refused is so before anybody is asked.
        found = log.rewind(session, point, allow_unanswered=allowed, dry_run=True)
        if dry_run and as_json:
            write_json(_json(session, found, None, found.before.revision))
        elif dry_run or not yes:
            _preview(console(stderr=as_json), log, session, found)
        if dry_run:
            return
        if not yes:
            confirm(f"Rewind {session} to revision {found.after.revision}?", "nothing was rewound")
        rewound = log.rewind(session, found.after, allow_unanswered=allowed, by=by)
        before = _stood(log, session, rewound)
        if as_json:
            write_json(_json(session, found, rewound, before))
        else:
            _tell(console(), session, found, rewound, _undo(log, session, before) + again(ctx, url, namespace))


def _stood(log: SessionLog, session_id: str, rewound: EventId) -> int:
    """The revision it was rewound from; others may have written while somebody was asked."""
    return EventId.parse(log.event(session_id, rewound).event.data["from"]).revision


def _undo(log: SessionLog, session_id: str, before: int) -> str:
    """The command that leads back."""
    flag = ""
    try:
        log.rewind(session_id, before, dry_run=True)
    except UnansweredToolCallsError:
        flag = " --allow-unanswered"
    return f"session-log rewind {shlex.quote(session_id)} {before}{flag}"


def _preview(terminal: Console, log: SessionLog, session_id: str, found: SessionDiff) -> None:
    facts = f"  revision {found.before.revision} → back to {found.after.revision}"
    put(terminal, Text.assemble((plain(session_id), "bold"), (facts, "dim")))
    print_going_back(terminal, found, finder(log, session_id, found.before), finder(log, session_id, found.after))


def _json(session_id: str, found: SessionDiff, rewound: EventId | None, before: int) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "before": before,
        "to": found.after.revision,
        "event_id": None if rewound is None else str(rewound),
        "dry_run": rewound is None,
        "agents": going_back_json(found),
    }


def _tell(terminal: Console, session_id: str, found: SessionDiff, rewound: EventId, undo: str) -> None:
    facts = f"  back to revision {found.after.revision}, recorded by event {rewound}"
    put(terminal, Text.assemble(("✓ ", "green"), (plain(session_id), "bold"), facts))
    put(terminal, Text(f"  undo: {plain(undo)}", "dim"))
