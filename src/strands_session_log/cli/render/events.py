"""Events one line each, in words, printed as they come, and as JSON; and whether they are what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import Envelope, Integrity, Recorded
from ...events import Event, MessageAdded, PayloadErased, WindowChanged
from ..terminal import count, fits, note, one_line, put_table
from .messages import Aside, absence, compact, fields, on_one_line, progress_of, speaker

_HEADINGS = ("ID", "TIME", "TYPE", "AGENT", "SUMMARY")
_STYLES = ("dim", "dim", "cyan", "", "")
_NARROW_HEADINGS, _NARROW_STYLES = ("REV", "TIME", "AGENT", "SUMMARY"), ("dim", "dim", "", "")
_LEAST_SUMMARY = 40
"""So many characters of what happened are to be seen on any terminal from 80 columns on."""
_WIDEST_AGENT, _WIDEST_NARROW_AGENT = 24, 16
_FIRST_ROWS = 50
_WIDE = 110
_LONG = 500
_LONG_ERROR = 200
_SHORT = 10
_DIGEST = 12
"""Characters of a digest, which tell one prompt from another."""


def print_events(terminal: Console, events: Iterable[Recorded]) -> bool:
    """Print a table of events as they come; false when there are none.

    Where too little would be left for the summaries, they tell the types, and revisions stand for the ids.
    """
    told = _told_in_turn(events)
    first = list(islice(told, _FIRST_ROWS))
    time_format = "%Y-%m-%d %H:%M:%S" if terminal.width >= _WIDE else "%H:%M:%S"
    wide = [_HEADINGS, *(_cells(*one, time_format) for one in first)]
    if not first:
        return False
    if fits(terminal, wide, _LEAST_SUMMARY):
        put_table(terminal, chain(wide, (_cells(*one, time_format) for one in told)), _STYLES)
    else:
        narrow = (_narrow_cells(*one) for one in chain(first, told))
        put_table(terminal, chain([_NARROW_HEADINGS], narrow), _NARROW_STYLES, right=[0])
    return True


def note_no_match(session_id: str, revision: int, why: str = "") -> None:
    """Tell that nothing was printed of a session, which has so many events, and why, where that is known."""
    note(why or f"session {session_id!r} has {count(revision, 'event')}; none matches")


def note_integrity(found: Integrity) -> None:
    """Tell on stderr whether what was printed is what was written, and why that is not known."""
    unknown = not (found.is_checked or found.is_broken)
    note(f"{_verdict(found)}{'; it came from a snapshot, `session-log verify` checks it' if unknown else ''}")


def integrity_text(found: Integrity) -> Text:
    """Whether what is printed is what was written, for the end of a heading."""
    if not found.is_broken:
        return Text(", chain intact" if found.is_checked else ", chain not checked", "dim")
    where = "" if found.broken_at is None else f" at {found.broken_at.revision}"
    return Text(f", not what was written{where}: {one_line(found.problem)}", "red")


def _verdict(found: Integrity) -> str:
    return one_line(f"{found}: {found.problem}" if found.is_broken else found)


def summary(event: Event, known: Mapping[int, int] | None = None) -> str:
    """What happened, in one line.

    Args:
        event: The event.
        known: Where messages of its agent were said, as revisions by index.
    """
    if not event.has_content and event.type != PayloadErased.TYPE:
        role = event.data.get("role")
        return f"{one_line(role) if role else _words(event.type)}: {absence(event)}"
    return _told(event.type, event.data, known or {})


def envelope_summary(one: Envelope) -> str:
    """The same of an event that was not read, as far as the feed tells of it: who and what, never what was said."""
    return _told(one.type, one.facts, {})


def _told(type_: str, data: Mapping[str, Any], known: Mapping[int, int]) -> str:
    family, _, change = type_.partition(".")
    if family == "message":
        return _message(data, "" if change == "added" else f" ({change})")
    if type_ == WindowChanged.TYPE:
        return window_text(data, known.get)
    if sentence := _SENTENCES.get(type_):
        return one_line(sentence(data), _LONG)
    detail = _DETAILS.get(type_) or _DETAILS.get(f"{family}.*") or fields
    return one_line(": ".join(filter(None, (_words(type_), detail(data)))), _LONG)


def _words(type_: str) -> str:
    return one_line(type_.replace(".", " ").replace("_", " "))


def window_text(data: Mapping[str, Any], revision_of: Callable[[int], int | None]) -> str:
    """What an agent holds from now on: between which revisions it was said, or how much it is where that is unknown."""
    items = data.get("items")
    if not isinstance(items, list):
        return "the agent now holds other messages"
    spans = [item for item in items if isinstance(item, list)]
    beside = sum(isinstance(item, Mapping) for item in items)
    parts = [_spans(spans, revision_of)] if spans else []
    parts += [f"{count(beside, 'message')} beside the transcript"] if beside else []
    return f"the agent now holds {' and '.join(parts) or 'nothing'}"


def _spans(spans: Sequence[Any], revision_of: Callable[[int], int | None]) -> str:
    try:
        named = [(revision_of(first), revision_of(last)) for first, last in spans]
        number = sum(last - first + 1 for first, last in spans)
    except (TypeError, ValueError):
        return "what cannot be read"
    if any(place is None for pair in named for place in pair):
        return count(number, "message")
    shown = ", ".join("\u2013".join(dict.fromkeys(map(str, pair))) for pair in named)
    return f"message{'s' * (number != 1)} {shown}"


def _fact(data: Mapping[str, Any]) -> str:
    """What happened around the messages: who, how it went, how long it took, what it cost."""
    milliseconds, tokens = data.get("duration_ms"), _tokens(data.get("usage"))
    parts = (
        data.get("name") or data.get("node"),
        data.get("model_id"),
        data.get("status") or data.get("stop_reason"),
        ": ".join(one_line(data[name], _LONG_ERROR) for name in ("error", "error_text") if data.get(name)),
        _duration(milliseconds) if isinstance(milliseconds, (int, float)) else None,
        f"{tokens} tokens" if tokens else None,
    )
    return ", ".join(str(part) for part in parts if part)


def _tokens(usage: Any) -> Any:
    """How many in all, which is told where it is more than what was given and what came back."""
    counts = usage if isinstance(usage, Mapping) else {}
    both = [counts[name] for name in ("inputTokens", "outputTokens") if type(counts.get(name)) is int]
    return counts.get("totalTokens") or sum(both)


def in_force(record: Mapping[str, Any]) -> str:
    """Which system prompt and tools an agent has, if its record tells."""
    match record.get("in_force"):
        case {"tools": {"names": list(names)}, "system_prompt": prompt}:
            digest = str(prompt.get("sha256"))[:_DIGEST] if isinstance(prompt, Mapping) else "none"
            return f"system prompt: {digest}, tools: {', '.join(map(str, names)) or 'none'}"
    return ""


def _agent(data: Mapping[str, Any]) -> str:
    """Its state, and what else it was given."""
    return ", ".join(filter(None, (f"state {fields(data['state'])}" if data.get("state") else "", in_force(data))))


def _interrupt(data: Mapping[str, Any], limit: int | None = _LONG) -> str:
    """Which it is, and what a person was asked or has answered."""
    data = data if isinstance(data, Mapping) else {}
    said = [data[name] for name in ("reason", "response") if name in data]
    return ": ".join(
        [str(data.get("name", "")), *(one if isinstance(one, str) else compact(one, limit) for one in said)]
    )


def aside(recorded: Recorded) -> Aside:
    """What a person was asked, or has answered, to stand between messages."""
    event = recorded.event
    who = "asked" if event.type.endswith(".raised") else "answered"
    text = _interrupt(event.data, None) if event.has_content else absence(event)
    return Aside(recorded.id, event.agent, who, text)


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < _SHORT else f"{milliseconds:,.0f} ms"


def _message(data: Mapping[str, Any], change: str) -> str:
    """What was said; of an envelope who said it, and which tools were called."""
    message = data.get("redact_message") or data.get("message")
    if message is not None or "role" not in data:
        return f"{speaker(message)}{change}: {on_one_line(message, _LONG)}"
    calls = [f"→ {one_line(name)}" for name in data.get("tools") or () if name]
    said = ", ".join(calls) or f"message {data.get('index', '')}".strip()
    return f"{one_line(data['role'])}{change}: {said}"


def _erasure(data: Mapping[str, Any]) -> str:
    erased = data.get("erased")
    ranges = erased if isinstance(erased, str) else str(PayloadErased(data).facts()["erased"])
    bounds = (part.split("-") for part in ranges.split(","))
    named = ", ".join("\u2013".join(dict.fromkeys(pair)) for pair in bounds)
    return f"content of {named} erased" + (f": {data['reason']}" if data.get("reason") else "")


def _by_and_why(data: Mapping[str, Any]) -> str:
    by, reason = (str(data.get(name) or "") for name in ("by", "reason"))
    return (f" by {by}" if by else "") + (f": {reason}" if reason else "")


def _gap(data: Mapping[str, Any]) -> str:
    lost = data.get("lost")
    what = count(lost, "event") if isinstance(lost, int) else "events"
    return ": ".join(filter(None, (f"{what} could not be recorded", str(data.get("error") or ""))))


def _revision(event_id: Any) -> str:
    """The revision in the text of an event id; the text itself where there is none."""
    return str(event_id).rpartition("-")[2]


def _told_in_turn(events: Iterable[Recorded]) -> Iterator[tuple[Recorded, str]]:
    """Events with their summaries, which know where the messages among them were said."""
    known: dict[str, dict[int, int]] = {}
    for recorded in events:
        event = recorded.event
        if event.type == MessageAdded.TYPE and type(index := event.data.get("message_id")) is int:
            known.setdefault(event.agent, {})[index] = recorded.id.revision
        yield recorded, summary(event, known.get(event.agent))


def _cells(recorded: Recorded, told: str, time_format: str) -> tuple[str, ...]:
    event = recorded.event
    time = recorded.id.time.astimezone().strftime(time_format)
    agent = one_line(event.agent, _WIDEST_AGENT) or "-"
    return str(recorded.id), time, one_line(event.type), agent, told


def _narrow_cells(recorded: Recorded, told: str) -> tuple[str, ...]:
    time = recorded.id.time.astimezone().strftime("%H:%M:%S")
    return str(recorded.id.revision), time, one_line(recorded.event.agent, _WIDEST_NARROW_AGENT) or "-", told


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "session.created": lambda data: "session created",
    "session.held": lambda data: f"held{_by_and_why(data)}",
    "session.released": lambda data: f"released{_by_and_why(data)}",
    "session.rewound": lambda data: f"back to revision {_revision(data.get('to'))}",
    "payload.erased": _erasure,
    "recording.gap": _gap,
}
_DETAILS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "session.forked": lambda data: f"copied from {data.get('parent')} up to revision {_revision(data.get('at'))}",
    "agent.*": _agent,
    "multi_agent.*": progress_of,
    "interrupt.*": _interrupt,
    **{f"{family}.*": _fact for family in ("invocation", "model", "tool", "node")},
}
