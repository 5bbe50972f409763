"""`session-log events`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from ... import CheckedEvents, Recorded
from ...events import selector
from ..context import CommandCall
from ..nearest import agent_named, no_type
from ..options import AfterOption, AgentOption, SessionArgument, TypesOption, UntilOption, command, option, whole
from ..playback import LastSeen
from ..points import checked
from ..render.events import note_integrity, note_no_match, print_events
from ..terminal import console, write_json

EPILOG = (
    "Examples:\n\nsession-log events s-42 --type 'message.*' --after -1h\n\n"
    "session-log events s-42 --json | jq -c 'select(.type == \"message.added\") | .data.message'"
)

LimitOption = Annotated[int | None, option("--limit", "N", "The first N of them.", parser=whole(1, 10**12))]


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
        found, wanted = log.read_checked(session, checked(log, session, after), until), selector(types or None, agent)
        chosen = islice((one for one in found if wanted(one.event.type, one.event.agent)), limit)
        with LastSeen(chosen, lambda last: call.again(after=last.id.revision) if last else call.again()) as seen:
            printed = _print_json(seen, found) if call.as_json else print_events(console(), seen)
        if not printed:
            why = no_type(types or ()) or (agent_named(log, session, agent) if agent else "")
            note_no_match(session, log.head(session).revision, why)
        elif found.integrity.is_broken or not call.as_json:
            note_integrity(found.integrity)


def _print_json(found: Iterable[Recorded], checked: CheckedEvents) -> bool:
    printed = False
    for recorded in found:
        write_json({**recorded.to_json(), "integrity": str(checked.integrity)})
        printed = True
    return printed
