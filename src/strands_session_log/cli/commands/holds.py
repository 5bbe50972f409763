"""`session-log holds`."""

from __future__ import annotations

from typing import Annotated

from ... import LegalHold
from ..completion import session_ids
from ..context import CommandCall
from ..options import argument, command
from ..terminal import Cell, console, local, note, one_line, plain, put_table, write_json

EPILOG = "Examples:\n\nsession-log holds\n\nsession-log holds s-42 --json | jq -r .reason"
_HEADINGS = ("SESSION", "HOLD", "SINCE", "BY", "REASON")
_STYLES = ("cyan", "dim", "dim", "", "")
_WIDEST_ID = 40

OneSession = Annotated[str | None, argument("SESSION", "Of this session only.", session_ids)]


@command
def holds(call: CommandCall, session: OneSession = None) -> None:
    """List the holds there are: on which sessions, since when, by whom and why."""
    with call.opened() as log:
        if session is not None:
            log.head(session)
        found = list(log.retention.holds(session))
    if call.as_json:
        for one in found:
            write_json(one.to_json())
    elif found:
        put_table(console(), [_HEADINGS, *map(_cells, found)], _STYLES, [1], _WIDEST_ID)
    else:
        note(f"{'no session' if session is None else repr(session)} is {'' if session is None else 'not '}held")


def _cells(one: LegalHold) -> tuple[Cell, ...]:
    revision = str(one.id.revision) if one.id else "-"
    return plain(one.session_id), revision, local(one.since), one_line(one.by) or "-", one_line(one.reason) or "-"
