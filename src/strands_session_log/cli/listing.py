"""Events on the terminal, one line each, printed as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import Any

from rich.console import Console

from ..events import Event, PayloadErased, Recorded
from ..ids import to_ranges
from .conversation import mark
from .layout import put, row, widths_of
from .messages import fields, pieces, speaker
from .terminal import one_line

_FIRST_ROWS = 50
_HEADINGS = ("ID", "TIME", "TYPE", "AGENT", "SUMMARY")
_STYLES = ("dim", "dim", "cyan", "", "")
_WIDEST_AGENT = 24
_WIDE = 110
_LONG = 500
_SHORT = 10


def print_events(console: Console, events: Iterable[Recorded]) -> bool:
    """Print a table of events; false when there are none.

    The first rows decide how wide the columns are, so that a long session is never read to its end first.
    """
    time_format = "%Y-%m-%d %H:%M:%S" if console.width >= _WIDE else "%H:%M:%S"
    rows = (_cells(recorded, time_format) for recorded in events)
    first = list(islice(rows, _FIRST_ROWS))
    if not first:
        return False
    widths = [*widths_of([_HEADINGS, *first])[:-1], 0]
    put(console, row(_HEADINGS, widths, ["bold"] * len(_HEADINGS)), crop=True)
    for cells in chain(first, rows):
        put(console, row(cells, widths, _STYLES), crop=True)
    return True


def summary(event: Event) -> str:
    """An event in one line."""
    data: Mapping[str, Any] = event.data
    if event.is_erased and event.type != PayloadErased.TYPE:
        return f"{one_line(data['role'])}: (erased)" if "role" in data else "(erased)"
    family, _, _ = event.type.partition(".")
    told = _SUMMARIES.get(event.type) or _SUMMARIES.get(f"{family}.*")
    return told(data) if told else fields(data, _LONG)


def revision_of(event_id: Any) -> str:
    """The revision in the text of an event id; the text itself where there is none."""
    return one_line(str(event_id).rpartition("-")[2])


def _fact(data: Mapping[str, Any]) -> str:
    """What happened around the messages: who, how it went, how long it took, what it cost."""
    milliseconds, usage = data.get("duration_ms"), data.get("usage")
    parts = (
        data.get("name") or data.get("node"),
        data.get("status") or data.get("stop_reason"),
        data.get("error"),
        _duration(milliseconds) if isinstance(milliseconds, (int, float)) else None,
        f"{usage.get('totalTokens')} tokens" if isinstance(usage, Mapping) and usage.get("totalTokens") else None,
    )
    return one_line(", ".join(str(part) for part in parts if part), _LONG)


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < _SHORT else f"{milliseconds:,.0f} ms"


def _spoken(data: Mapping[str, Any]) -> str:
    message = data.get("redact_message") or data.get("message")
    return one_line(f"{speaker(message)}: {' '.join(map(mark, pieces(message)))}", _LONG)


def _forked(data: Mapping[str, Any]) -> str:
    return one_line(f"copied from {data.get('parent')} up to revision {revision_of(data.get('at'))}", _LONG)


def _rewound(data: Mapping[str, Any]) -> str:
    return f"back to revision {revision_of(data.get('to'))}"


def _erasure(data: Mapping[str, Any]) -> str:
    ranges = [part.split("-") for part in to_ranges(id_.revision for id_ in PayloadErased(data).erased).split(",")]
    named = ", ".join("-".join(dict.fromkeys(bounds)) for bounds in ranges)
    return one_line(f"what was written at {named}: {data.get('reason', '(erased)')}", _LONG)


def _state(data: Mapping[str, Any]) -> str:
    return f"state: {fields(data['state'])}" if data.get("state") else ""


def _cells(recorded: Recorded, time_format: str) -> tuple[str, ...]:
    event = recorded.event
    time = recorded.id.time.astimezone().strftime(time_format)
    agent = one_line(event.agent, _WIDEST_AGENT) or "-"
    return str(recorded.id), time, one_line(event.type), agent, summary(event)


_SUMMARIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "session.created": lambda data: one_line(data.get("session_type", "")),
    "session.forked": _forked,
    "session.rewound": _rewound,
    "payload.erased": _erasure,
    "message.*": _spoken,
    "agent.*": _state,
    **{f"{family}.*": _fact for family in ("invocation", "model", "tool", "node", "interrupt")},
}
