"""`session-log events`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from ... import CheckedEvents, Recorded
from ...events import selector
from ..context import CommandCall
from ..options import AfterOption, AgentOption, SessionArgument, TypesOption, UntilOption, command, option
from ..playback import LastSeen
from ..render.events import event_json, note_integrity, note_no_match, print_events
from ..terminal import console, write_json

EPILOG = (
    "Examples:\n\nsession-log events s-42 --type 'message.*' --after -1h\n\n"
    "session-log events s-42 --json | jq -c 'select(.type == \"message.added\") | .data.message'"
)

LimitOption = Annotated[int | None, option("--limit", "N", "The first N of them.", min=1)]


@command
def events(
    call: CommandCall,
    session: SessionArgument,
    after: AfterOption = None,
    until: UntilOption = None,
    types: TypesOption = None,
    agent: AgentOption = None,
    limit: LimitOption = None,
) -> None:
    """List the events of a session, oldest first.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with call.opened() as log:
        checked, wanted = log.read_checked(session, after, until), selector(types or None, agent)
        found = islice((one for one in checked if wanted(one.event.type, one.event.agent)), limit)
        with LastSeen(found, lambda last: call.again(after=last.id.revision) if last else call.again()) as seen:
            printed = _print_json(seen, checked) if call.as_json else print_events(console(), seen)
        if not printed:
            note_no_match(session, log.head(session).revision)
        elif checked.integrity.is_broken or not call.as_json:
            note_integrity(checked.integrity)


def _print_json(found: Iterable[Recorded], checked: CheckedEvents) -> bool:
    printed = False
    for recorded in found:
        write_json({**event_json(recorded), "integrity": str(checked.integrity)})
        printed = True
    return printed
