"""`session-log sessions`."""

from __future__ import annotations

from datetime import timezone
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ...events import SessionInfo
from ...ids import EventId, Revision, milliseconds, parse_point
from ..connection import opened
from ..exit_codes import Code, fail
from ..layout import put, row, widths_of
from ..options import JsonOption, NamespaceOption, UrlOption
from ..terminal import age, console, local, plain, write_json

EPILOG = "Examples:\n\nsession-log sessions --before -1d\n\nsession-log sessions --json | jq -r .session_id"
_GAPS = 8
_WIDEST_ID = 40

LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many at most.")]
BeforeOption = Annotated[
    str | None,
    typer.Option(
        "--before",
        metavar="CURSOR|TIME",
        help="Go on after a page by its cursor, or with what was active before a time: ISO, or relative (-1d).",
        show_default=False,
    ),
]


def sessions(
    ctx: typer.Context,
    limit: LimitOption = 50,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """List the sessions, most recently active first."""
    start = None if before is None else _parse(before)
    with opened(ctx, url, namespace) as log:
        # One more than asked for tells whether there is a next page.
        found = log.sessions(limit + 1, start)
    page, more = found[:limit], len(found) > limit
    if as_json:
        for info in page:
            write_json(_json(info))
    elif page:
        _print(console(), page, more)
    else:
        _print_nothing(console(stderr=True), log.namespace, before)


def _parse(before: str) -> SessionInfo | str:
    """A cursor is `<ms>/<session id>`; everything else is a point in time, by the server's clock."""
    ms, slash, session_id = before.partition("/")
    if slash and ms.isascii() and ms.isdigit():
        last = EventId(int(ms), 0).time
        return SessionInfo(session_id, 0, last, last)
    if isinstance(parse_point(before), Revision):
        fail(Code.USAGE, f"--before {before!r} is neither a time nor a cursor, as --json prints them")
    return before


def _cursor(info: SessionInfo) -> str:
    return f"{milliseconds(info.last_event_at)}/{info.session_id}"


def _json(info: SessionInfo) -> dict[str, Any]:
    return {
        "session_id": info.session_id,
        "revision": info.revision,
        "created_at": info.created_at.astimezone(timezone.utc),
        "last_event_at": info.last_event_at.astimezone(timezone.utc),
        "cursor": _cursor(info),
    }


def _print(terminal: Console, page: list[SessionInfo], more: bool) -> None:
    """On a narrow terminal, the age of the last event says enough."""
    rows = [("SESSION", "EVENTS", "CREATED", "LAST EVENT", "ACTIVE"), *map(_cells, page)]
    if sum(widths_of(rows)) + _GAPS > terminal.width:
        rows = [(*cells[:3], cells[4]) for cells in rows]
    widths = widths_of(rows)
    widths[0] = min(widths[0], _WIDEST_ID)
    styles = ["cyan", "", *["dim"] * (len(widths) - 3), ""]
    for number, cells in enumerate(rows):
        put(terminal, row(cells, widths, styles if number else ["bold"] * len(widths), right=[1]))
    if more:
        put(terminal, Text(f"\nOlder ones: --before '{plain(_cursor(page[-1]))}'", "dim"))


def _cells(info: SessionInfo) -> tuple[str, ...]:
    times = local(info.created_at), local(info.last_event_at), age(info.last_event_at)
    return plain(info.session_id), f"{info.revision:,}", *times


def _print_nothing(terminal: Console, namespace: str, before: str | None) -> None:
    if before is not None:
        put(terminal, Text(f"No session was last active before {plain(before)}."))
        return
    put(terminal, Text(f"There is no session in namespace {plain(namespace)!r} yet."))
    put(terminal, Text("An agent with a ValkeySessionManager makes one; `session-log demo` shows how.", "dim"))
