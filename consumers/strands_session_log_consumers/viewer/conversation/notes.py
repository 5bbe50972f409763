"""Lines about what went on around the messages: turns, calls of models, nodes, and what people did to the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from strands_session_log import EventId, Recorded
from strands_session_log.events import model_call

from ..content.blocks import as_json, restored
from ..content.markup import one_line
from .nesting import Within
from .salvage import DAMAGED, is_damaged


@dataclass
class Item:
    """Something in a conversation.

    Attributes:
        id: The event it came with.
        agent: Whose; empty for the session's own.
        density: From how much detail on it is shown: 1 for little, 3 for everything.
        within: Where it ran.
        opens: Whether something began with it that others ran within.
    """

    id: EventId
    agent: str
    density: int = 1
    within: Within = field(default=Within(), kw_only=True)
    opens: bool = field(default=False, kw_only=True)

    @property
    def revision(self) -> int:
        """Where it stands."""
        return self.id.revision

    @property
    def time(self) -> datetime:
        """When the server took it."""
        return self.id.time


@dataclass
class Note(Item):
    """A line about what went on.

    Attributes:
        type: Of the event.
        text: What is said of it.
        is_error: Whether something failed.
        seconds: How long it took.
        tokens: How many a model was given and gave.
        detail: What else is known.
        place: Where that leads: a session and a revision of it; an empty one for this session.
    """

    type: str = ""
    text: str = ""
    is_error: bool = False
    seconds: float | None = None
    tokens: tuple[int, int] | None = None
    detail: str = ""
    place: tuple[str, int] | None = None


def note_of(recorded: Recorded) -> Note:
    """A line about an event that is no message."""
    id_, event, _ = recorded
    data = event.data if isinstance(event.data, Mapping) else {}
    text, density = _told(event.type, data)
    is_error = event.type.endswith(".failed") or event.type == "recording.gap" or bool(data.get("error"))
    is_error = is_error or is_damaged(recorded)
    detail = str(data.get("error_text") or "")
    call = model_call(data) if event.type.startswith("invocation.") else None
    usage = (call or {}).get("usage") or data.get("usage")
    return Note(
        id_,
        event.agent,
        1 if is_error else density,
        event.type,
        text,
        is_error and not data.get("cancelled"),
        seconds_of(data),
        _tokens(usage),
        detail,
        _place(event.type, data),
    )


def _place(type_: str, data: Mapping[str, Any]) -> tuple[str, int] | None:
    """Where an event leads that goes on from another one."""
    try:
        if type_ == "session.forked":
            return str(data["parent"]), EventId.parse(str(data["at"])).revision
        return ("", EventId.parse(str(data["to"])).revision) if type_ == "session.rewound" else None
    except (ValueError, KeyError):
        return None


def _told(type_: str, data: Mapping[str, Any]) -> tuple[str, int]:
    """What is said of an event, and how much detail it is."""
    family, _, what = type_.partition(".")
    if type_ in _OF_TYPE:
        return _OF_TYPE[type_](data)
    error = f": {data['error']}" if data.get("error") else ""
    if family in ("tool", "node"):
        return f"{family} {data.get('name') or data.get('node') or ''} {what}{error}", 2
    if family == "custom":
        return f"{what}: {_line(data)}", 2
    return type_.replace(".", " "), 3


def _call_failed(data: Mapping[str, Any]) -> tuple[str, int]:
    return ("turn cancelled" if data.get("cancelled") else f"turn failed: {data.get('error') or ''}"), 1


def _model_failed(data: Mapping[str, Any]) -> tuple[str, int]:
    return f"model failed: {data.get('error') or ''}" + (", tried again" if data.get("retried") else ""), 1


def _erased(data: Mapping[str, Any]) -> tuple[str, int]:
    erased = data.get("erased")
    count, reason = len(erased) if isinstance(erased, list) else 0, data.get("reason")
    return f"{count:,} {'event' if count == 1 else 'events'} erased{_by(data)}{f': {reason}' if reason else ''}", 1


def _forked(data: Mapping[str, Any]) -> tuple[str, int]:
    return f"forked from {data.get('parent', '')} at {_revision(data.get('at'))}{_by(data)}", 1


_OF_TYPE: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[str, int]]]] = {
    "invocation.started": lambda data: ("turn begins", 2),
    "invocation.completed": lambda data: (f"turn ends: {data.get('stop_reason') or 'end_turn'}", 2),
    "invocation.failed": _call_failed,
    "model.completed": lambda data: (f"model {data.get('model_id') or ''}".rstrip(), 2),
    "model.failed": _model_failed,
    "session.rewound": lambda data: (f"rewound to {_revision(data.get('to'))}{_by(data)}", 1),
    "session.forked": lambda data: (
        f"forked from {data.get('parent', '')} at {_revision(data.get('at'))}{_by(data)}",
        1,
    ),
    "payload.erased": _erased,
    "recording.gap": lambda data: (f"recording gap: lost {data.get('lost', '?')} events", 1),
    "interrupt.answered": lambda data: (f"answered: {_line(data.get('response'))}", 1),
    DAMAGED: lambda data: (str(data.get("problem", "")), 1),
    "session.annotated": lambda data: (f"labels: {_line(data)}", 2),
}


def _line(value: Any) -> str:
    return one_line(as_json(restored(dict(value) if isinstance(value, Mapping) else value), indent=False))


def _by(data: Mapping[str, Any]) -> str:
    return f" by {data['by']}" if data.get("by") else ""


def _revision(text: Any) -> str:
    try:
        return f"r{EventId.parse(str(text)).revision:,}"
    except ValueError:
        return str(text)


def seconds_of(data: Mapping[str, Any]) -> float | None:
    """How long something took."""
    ms = data.get("duration_ms")
    return ms / 1000 if isinstance(ms, (int, float)) else None


def _tokens(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, Mapping):
        return None
    given, got = usage.get("inputTokens"), usage.get("outputTokens")
    return (given, got) if type(given) is int and type(got) is int else None
