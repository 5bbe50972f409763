"""`session-log sessions`."""

from __future__ import annotations

from datetime import timezone
from typing import Annotated, Any

import typer
from rich.console import Console

from ... import SessionInfo
from ...errors import InvalidPointError
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import command, option, whole
from ..terminal import age, console, local, narrowed, note, plain, put, put_table, write_json

EPILOG = "Examples:\n\nsession-log sessions --before -1d\n\nsession-log sessions --json | jq -r .session_id"
_HEADINGS = ("SESSION", "EVENTS", "CREATED", "LAST EVENT", "ACTIVE")
_STYLES = {"SESSION": "cyan", "CREATED": "dim", "LAST EVENT": "dim"}
_WIDEST_ID = 40
_BEFORE = "Go on after a page by its cursor, or with what was active before a time: ISO, or relative (-1d)."

LimitOption = Annotated[int, typer.Option("--limit", parser=whole(1, 1_000_000), metavar="N", help="How many at most.")]
BeforeOption = Annotated[str | None, option("--before", "CURSOR|TIME", _BEFORE)]


@command
def sessions(call: CommandCall, limit: LimitOption = 50, before: BeforeOption = None) -> None:
    """List the sessions, most recently active first."""
    with call.opened() as log:
        try:
            # One more than asked for tells whether there is a next page.
            found = log.sessions(limit + 1, before)
        except InvalidPointError as error:
            if error.reason:
                raise
            fail(Code.USAGE, f"--before {before!r} is neither a time nor a cursor, as --json prints them")
    page, more = found[:limit], len(found) > limit
    if call.as_json:
        for info in page:
            write_json(_json(info))
    elif page:
        _print(console(), page, more)
    elif before is not None:
        note(f"no session was last active before {before}")
    else:
        note(f"there is no session in namespace {log.namespace!r} yet; `session-log demo` shows how one is made")


def _json(info: SessionInfo) -> dict[str, Any]:
    return {
        "session_id": info.session_id,
        "revision": info.revision,
        "created_at": info.created_at.astimezone(timezone.utc),
        "last_event_at": info.last_event_at.astimezone(timezone.utc),
        "cursor": info.cursor,
    }


def _print(terminal: Console, page: list[SessionInfo], more: bool) -> None:
    """On a narrow terminal, the age of the last event says enough."""
    rows = narrowed(terminal, [_HEADINGS, *map(_cells, page)], ["LAST EVENT"])
    styles = [_STYLES.get(str(name), "") for name in rows[0]]
    put_table(terminal, rows, styles, [1], _WIDEST_ID, crop=False)
    if more:
        put(terminal, f"\nOlder ones: --before '{plain(page[-1].cursor)}'", "dim")


def _cells(info: SessionInfo) -> tuple[str, ...]:
    times = local(info.created_at), local(info.last_event_at), age(info.last_event_at)
    return plain(info.session_id), f"{info.revision:,}", *times
