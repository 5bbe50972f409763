"""Events one line each, printed as they come, and as JSON; and whether they are what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import Integrity, Recorded
from ...events import Event, PayloadErased
from ..terminal import count, note, one_line, put_table
from .messages import compact, fields, on_one_line, speaker

_HEADINGS = ("ID", "TIME", "TYPE", "AGENT", "SUMMARY")
_STYLES = ("dim", "dim", "cyan", "", "")
_WIDEST_AGENT = 24
_WIDE = 110
_LONG = 500
_SHORT = 10
_DIGEST = 12
"""Characters of a digest, which tell one prompt from another."""


def print_events(terminal: Console, events: Iterable[Recorded]) -> bool:
    """Print a table of events as they come; false when there are none."""
    time_format = "%Y-%m-%d %H:%M:%S" if terminal.width >= _WIDE else "%H:%M:%S"
    rows = (_cells(recorded, time_format) for recorded in events)
    first = list(islice(rows, 1))
    if first:
        put_table(terminal, chain([_HEADINGS], first, rows), _STYLES)
    return bool(first)


def event_json(recorded: Recorded) -> dict[str, Any]:
    """Everything of an event."""
    event = recorded.event
    return {
        "id": str(recorded.id),
        "type": event.type,
        "agent": event.agent,
        "event_id": event.event_id,
        "time": event.time,
        "v": event.version,
        "trace": event.trace,
        "link": recorded.link,
        "data": event.data,
    }


def note_no_match(session_id: str, revision: int) -> None:
    """Tell that nothing was printed of a session, which has so many events."""
    note(f"session {session_id!r} has {count(revision, 'event')}; none matches")


def note_integrity(found: Integrity) -> None:
    """Tell on stderr whether what was printed is what was written, and why that is not known."""
    unknown = not (found.is_checked or found.is_broken)
    note(f"{_verdict(found)}{'; it came from a snapshot, `session-log verify` checks it' if unknown else ''}")


def integrity_text(found: Integrity) -> Text:
    """Whether what is printed is what was written, for the end of a heading."""
    return Text(f", {_verdict(found)}", "red" if found.is_broken else "dim")


def _verdict(found: Integrity) -> str:
    return one_line(f"{found}: {found.problem}" if found.is_broken else found)


def summary(event: Event) -> str:
    """An event in one line."""
    data: Mapping[str, Any] = event.data
    if event.is_erased and event.type != PayloadErased.TYPE:
        return f"{one_line(data['role'])}: (erased)" if "role" in data else "(erased)"
    family, _, _ = event.type.partition(".")
    summarised = _SUMMARIES.get(event.type) or _SUMMARIES.get(f"{family}.*")
    return one_line(summarised(data) if summarised else fields(data, _LONG), _LONG)


def _fact(data: Mapping[str, Any]) -> str:
    """What happened around the messages: who, how it went, how long it took, what it cost."""
    milliseconds, usage = data.get("duration_ms"), data.get("usage")
    parts = (
        data.get("name") or data.get("node"),
        data.get("model_id"),
        data.get("status") or data.get("stop_reason"),
        ": ".join(str(data[name]) for name in ("error", "error_text") if data.get(name)),
        _duration(milliseconds) if isinstance(milliseconds, (int, float)) else None,
        f"{usage.get('totalTokens')} tokens" if isinstance(usage, Mapping) and usage.get("totalTokens") else None,
    )
    return ", ".join(str(part) for part in parts if part)


def in_force(record: Mapping[str, Any]) -> str:
    """Which system prompt and tools an agent has, if its record tells."""
    match record.get("in_force"):
        case {"tools": {"names": list(names)}, "system_prompt": prompt}:
            digest = str(prompt.get("sha256"))[:_DIGEST] if isinstance(prompt, Mapping) else "none"
            return f"system prompt: {digest}, tools: {', '.join(map(str, names)) or 'none'}"
    return ""


def _agent(data: Mapping[str, Any]) -> str:
    """Its state, and what else it was given."""
    return ", ".join(filter(None, (f"state: {fields(data['state'])}" if data.get("state") else "", in_force(data))))


def _interrupt(data: Mapping[str, Any]) -> str:
    """Which it is, and what a person was asked or has answered."""
    said = [data[name] for name in ("reason", "response") if name in data]
    return ": ".join([str(data.get("name", "")), *(one if isinstance(one, str) else compact(one) for one in said)])


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < _SHORT else f"{milliseconds:,.0f} ms"


def _message(data: Mapping[str, Any]) -> str:
    message = data.get("redact_message") or data.get("message")
    return f"{speaker(message)}: {on_one_line(message)}"


def _erasure(data: Mapping[str, Any]) -> str:
    ranges = [part.split("-") for part in str(PayloadErased(data).facts()["erased"]).split(",")]
    named = ", ".join("-".join(dict.fromkeys(bounds)) for bounds in ranges)
    return f"what was written at {named}: {data.get('reason', '(erased)')}"


def _revision(event_id: Any) -> str:
    """The revision in the text of an event id; the text itself where there is none."""
    return str(event_id).rpartition("-")[2]


def _cells(recorded: Recorded, time_format: str) -> tuple[str, ...]:
    event = recorded.event
    time = recorded.id.time.astimezone().strftime(time_format)
    agent = one_line(event.agent, _WIDEST_AGENT) or "-"
    return str(recorded.id), time, one_line(event.type), agent, summary(event)


_SUMMARIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "session.created": lambda data: str(data.get("session_type", "")),
    "session.forked": lambda data: f"copied from {data.get('parent')} up to revision {_revision(data.get('at'))}",
    "session.rewound": lambda data: f"back to revision {_revision(data.get('to'))}",
    "payload.erased": _erasure,
    "message.*": _message,
    "agent.*": _agent,
    "interrupt.*": _interrupt,
    **{f"{family}.*": _fact for family in ("invocation", "model", "tool", "node")},
}
