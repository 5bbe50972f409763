"""`session-log diff`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ...session_log import SessionLog
from ...state.diff import SessionDiff
from ..connection import opened
from ..differences import finder, json_of, print_diff
from ..layout import put
from ..options import JsonOption, NamespaceOption, SessionArgument, UrlOption
from ..points import stripped
from ..reading import tell_integrity, told_integrity
from ..terminal import console, plain, write_json

EPILOG = (
    "Examples:\n\nsession-log diff s-42 4 9\n\nsession-log diff s-42 -1h\n\n"
    "session-log diff s-42 -1h --json | jq .agents.default.state"
)

FirstArgument = Annotated[
    str, typer.Argument(metavar="A", help="The one point.", callback=stripped, show_default=False)
]
SecondArgument = Annotated[
    str | None, typer.Argument(metavar="B", help="The other point; else now.", callback=stripped, show_default=False)
]


def diff(
    ctx: typer.Context,
    session: SessionArgument,
    first: FirstArgument,
    second: SecondArgument = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Tell what two points of a session differ in: messages, agents' state, what agents hold.

    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    with opened(ctx, url, namespace) as log:
        log.head(session)
        found = log.diff(session, first, second)
        if as_json:
            write_json({"session_id": session, **json_of(found), "integrity": str(found.integrity)})
        else:
            _print(console(), log, session, found)


def _print(terminal: Console, log: SessionLog, session_id: str, found: SessionDiff) -> None:
    if found.is_empty:
        put(terminal, Text("No difference."))
        tell_integrity(found.integrity)
        return
    facts = f"  revision {found.before.revision} → {found.after.revision}"
    put(terminal, Text.assemble((plain(session_id), "bold"), (facts, "dim"), told_integrity(found.integrity)))
    print_diff(terminal, found, finder(log, session_id, found.before), finder(log, session_id, found.after))
