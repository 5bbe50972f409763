"""`session-log erase`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ... import ErasurePlan, EventId, SessionLog
from ...errors import InvalidPointError
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import ByOption, DryRunOption, ReasonOption, SessionArgument, argument, command
from ..progress import progress
from ..prompts import YesOption, confirm, require_tty
from ..render.erasures import plan_json, print_erased, print_plan
from ..terminal import console, count, note, write_json

EPILOG = (
    "Examples:\n\nsession-log grep 'Jane Doe' s-42\n\n"
    "session-log erase s-42 4 1700000000000-7 --reason 'request of the user' --by privacy@example.com\n\n"
    "session-log erase s-42 4 --dry-run --json | jq .erased"
)

IdsArgument = Annotated[
    list[str], argument("ID...", "Events: revisions, or ids as `grep`, `show` and `events` print them.")
]

LeaveHeldOption = Annotated[
    bool, typer.Option("--leave-held", help="Go on where a fork is held that has the same: there it stays.")
]


@command
def erase(
    call: CommandCall,
    session: SessionArgument,
    ids: IdsArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    leave_held: LeaveHeldOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Erase what events of a session hold, wherever the session and its forks hold it; there is no way back.

    Of a message, copies go, too: in what agents hold and have in store, in what graphs and swarms keep of their nodes,
    in what people were asked and answered, in errors that quote it. Ids, times and types stay, an event records the
    erasure, and the hash chain still verifies.
    """
    require_tty(yes or dry_run, f"erase what events of {session!r} hold")
    with call.opened() as log:
        plan = _plan(log, session, ids)
        asks = not (yes or dry_run)
        if asks or (dry_run and not call.as_json):
            print_plan(console(stderr=call.as_json), log, session, plan, call.same_target_options)
        going = sum(map(len, plan.erased.values()))
        if asks and going:
            confirm(f"Erase for good what {count(going, 'event')} hold?", "nothing was erased")
        recorded = None if dry_run else _erase(log, session, plan, reason, by, leave_held)
    if call.as_json:
        write_json(plan_json(session, plan, recorded, dry_run))
    elif recorded is not None:
        print_erased(console(), session, plan, recorded, call.same_target_options)
    elif dry_run and going:
        note("nothing was erased: a dry run")
    elif yes and not going:
        note(f"session {session!r}: all of it was erased before")


def _plan(log: SessionLog, session_id: str, ids: Sequence[str]) -> ErasurePlan:
    try:
        return log.plan_erasure(session_id, ids)
    except InvalidPointError as error:
        fail(Code.USAGE, f"ID {str(error.value)!r} is no event: give revisions (4), or ids (1700000000000-4)")


def _erase(
    log: SessionLog, session_id: str, plan: ErasurePlan, reason: str, by: str, leave_held: bool
) -> EventId | None:
    """Also where nothing is left: in forks, somebody who erased it may have died before."""
    with progress(session_id) as tell:
        return log.erase(session_id, plan.named, reason, tell, by, leave_held=leave_held)
