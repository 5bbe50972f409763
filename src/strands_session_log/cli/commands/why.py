"""`session-log why`."""

from __future__ import annotations

from collections import deque

from ... import AgentActivity, Recorded, SessionLog
from ..context import CommandCall
from ..options import SessionArgument, command
from ..render.troubles import CALL_BEGINS, FAILURES, Trouble, print_troubles, troubles_json
from ..terminal import console, write_json

EPILOG = "Examples:\n\nsession-log why s-42\n\nsession-log why s-42 --json | jq -r '.troubles[].error_text'"
_TYPES = (CALL_BEGINS, *FAILURES, "interrupt.raised", "interrupt.answered")


@command
def why(call: CommandCall, session: SessionArgument) -> None:
    """Tell why a session does not go on: what failed last and what it said, what is waited for, and how to go on.

    If nothing is the matter, it says so; that is no error.
    """
    with call.opened() as log:
        info = log.session(session)
        found = [_trouble(log, session, one) for one in info.agents if one.status != "idle"]
        last = None if found or not info.errors else _last(log, session)
    if call.as_json:
        write_json(troubles_json(info, found, last))
    else:
        print_troubles(console(), info, found, last, call.same_target_options)


def _trouble(log: SessionLog, session_id: str, activity: AgentActivity) -> Trouble:
    """What one agent told of its last call."""
    began, failed, raised = None, list[Recorded](), dict[str, Recorded]()
    for one in log.read(session_id, types=_TYPES, agent=activity.agent):
        match one.event.type:
            case "invocation.started":
                began, failed = one, []
                raised.clear()
            case "interrupt.raised":
                raised[str(one.event.data.get("id"))] = one
            case "interrupt.answered":
                raised.pop(str(one.event.data.get("id")), None)
            case _:
                failed.append(one)
    return Trouble(activity, began, tuple(failed), tuple(raised.values()))


def _last(log: SessionLog, session_id: str) -> Recorded | None:
    """What failed last, however long ago."""
    newest = deque(log.read(session_id, types=FAILURES), maxlen=1)
    return newest[0] if newest else None
