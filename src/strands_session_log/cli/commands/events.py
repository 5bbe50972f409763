"""`session-log events`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from ...audit import CheckedEvents
from ...events import Recorded, selector
from ..connection import opened
from ..listing import print_events
from ..options import JsonOption, NamespaceOption, SessionArgument, UrlOption
from ..reading import as_json as json_of
from ..reading import explain_nothing, tell_integrity
from ..terminal import console, write_json

EPILOG = (
    "Examples:\n\nsession-log events s-42 --type 'message.*' --after -1h\n\n"
    "session-log events s-42 --json | jq -c 'select(.type == \"message.added\") | .data.message'"
)

AfterOption = Annotated[
    str | None,
    typer.Option("--after", metavar="POINT", help="Only what follows this point.", show_default=False),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="POINT", help="Only up to and with this point.", show_default=False),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="Only this type, or message.* for a family; repeatable.", show_default=False
    ),
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only this agent's.", show_default=False)
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="The first N of them.", show_default=False)
]


def events(
    ctx: typer.Context,
    session: SessionArgument,
    after: AfterOption = None,
    until: UntilOption = None,
    types: TypeOption = None,
    agent: AgentOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """List the events of a session, oldest first.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with opened(ctx, url, namespace) as log:
        checked, wanted = log.read_checked(session, after, until), selector(types or None, agent)
        found = islice((one for one in checked if wanted(one.event.type, one.event.agent)), limit)
        printed = _print_json(found, checked) if as_json else print_events(console(), found)
        if not printed:
            explain_nothing(log, session)
        elif checked.integrity.is_broken or not as_json:
            tell_integrity(checked.integrity)


def _print_json(found: Iterator[Recorded], checked: CheckedEvents) -> bool:
    printed = False
    for recorded in found:
        write_json({**json_of(recorded), "integrity": str(checked.integrity)})
        printed = True
    return printed
