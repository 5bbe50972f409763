"""What was found in events: where it stands, with the text around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ... import EventId, Recorded, TextMatch
from ..terminal import count, hanging, is_screen, one_line, plain, put
from ..typed import typed

_SPACE = re.compile(r"\s+")
_FEW = 10


class Hit(NamedTuple):
    """Where a session holds what was looked for."""

    session_id: str
    recorded: Recorded
    match: TextMatch


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit; `id` is what erases it."""
    event = hit.recorded.event
    return {
        "session_id": hit.session_id,
        "id": str(hit.recorded.id),
        "type": event.type,
        "agent": event.agent,
        "time": event.time,
        "where": hit.match.where,
        "excerpt": str(hit.match),
    }


def hit_printer(terminal: Console) -> Callable[[Hit], None]:
    """Prints hits as they come: on a terminal under the name of their session, else a line each with all of it."""
    last: str | None = None

    def show(hit: Hit) -> None:
        nonlocal last
        if not is_screen(terminal):
            place = "  ".join((plain(hit.session_id), _place(hit), ""))
            put(terminal, Text.assemble((place, "dim"), _excerpt(hit.match)))
            return
        if hit.session_id != last:
            put(terminal, Text("" if last is None else "\n") + Text(plain(hit.session_id), "bold"))
        last = hit.session_id
        put(terminal, hanging(terminal, Text("  "), Text(_place(hit), "dim")))
        put(terminal, hanging(terminal, Text("    "), _excerpt(hit.match)))

    return show


def summary_of(found: Mapping[str, Collection[EventId]], sessions: int, is_cut: bool, same_target_options: str) -> str:
    """How much was found, whether there may be more, and how to erase it."""
    if not found:
        return f"nothing found in {count(sessions, 'session')}"
    ids = [str(id_) for of_session in found.values() for id_ in of_session]
    told = f"found in {count(len(ids), 'event')} of {count(len(found), 'session')}"
    told += ", and not looked any further than --limit says" if is_cut else ""
    session = next(iter(found)) if len(found) == 1 else "SESSION"
    named = ids if len(found) == 1 and len(ids) <= _FEW else ["ID…"]
    return f"{told}; to erase what they hold: {typed('erase', session, *named, options=same_target_options)}"


def _place(hit: Hit) -> str:
    event = hit.recorded.event
    parts = (str(hit.recorded.id), event.type, event.agent or "-", hit.match.where or "-")
    return "  ".join(map(one_line, parts))


def _excerpt(match: TextMatch) -> Text:
    """On one line; that of it which was found stands out."""
    before, found, after = (_SPACE.sub(" ", plain(part)) for part in (match.before, match.found, match.after))
    return Text.assemble(before.lstrip(), (found, "bold red"), after.rstrip())
