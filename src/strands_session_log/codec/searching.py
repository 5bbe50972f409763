"""Finding text in what events hold, whatever holds it there. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from unicodedata import normalize

from ..events import Event
from .values import from_json

_AROUND = 60
"""Characters shown before and after what was found; of that itself, twice as many."""
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
# Names of Strands' records and of ours. Those in mappings that people made may be anybody's.
_OURS = frozenset(
    [
        "agent_id",
        "agents",
        "activated",
        "answering",
        "cachePoint",
        "cancelled",
        "citationsContent",
        "completed_nodes",
        "content",
        "context",
        "conversation_manager_state",
        "created_at",
        "current_task",
        "data",
        "document",
        "duration_ms",
        "erased",
        "error",
        "event_id",
        "format",
        "from",
        "guardContent",
        "handoff_message",
        "id",
        "image",
        "input",
        "interrupt_state",
        "interruptId",
        "interrupts",
        "invocation",
        "items",
        "json",
        "link",
        "message",
        "message_id",
        "metadata",
        "metrics",
        "model_state",
        "multi_agents",
        "name",
        "next",
        "node",
        "node_history",
        "reason",
        "reasoningContent",
        "reasoningText",
        "redact_message",
        "removed",
        "response",
        "responses",
        "role",
        "root",
        "session_id",
        "session_type",
        "shared_context",
        "source",
        "state",
        "status",
        "stop_reason",
        "text",
        "tool_use_id",
        "toolResult",
        "toolUse",
        "toolUseId",
        "to",
        "tracking_id",
        "type",
        "updated_at",
        "usage",
        "video",
        "waiting",
        "__name__",
        "_internal_state",
    ]
)
_LISTS = (list, tuple, set, frozenset)

TextSearch: TypeAlias = "Callable[[str], re.Match[str] | None]"
"""Finds something in a text."""


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Text that was found in an event.

    Attributes:
        where: In what of its data: `message.content[0].text`.
        before: What stands before it, the end of it if that is long.
        found: The text.
        after: What follows it, the beginning of it if that is long.
    """

    where: str
    before: str
    found: str
    after: str

    def __str__(self) -> str:
        return self.before + self.found + self.after


_Path: TypeAlias = "tuple[Any, str | int] | None"
"""A place in JSON values: the path above it, and the last step; only where something is found, it becomes text."""


def search_for(pattern: str, *, is_fixed: bool, ignores_case: bool) -> TextSearch:
    """What finds a pattern in a text, however the accents of either are put together.

    Raises:
        re.error: When it is no regular expression.
    """
    pattern = normalize("NFC", pattern)
    return re.compile(re.escape(pattern) if is_fixed else pattern, re.IGNORECASE if ignores_case else 0).search


def matches_in(event: Event, search: TextSearch) -> Iterator[TextMatch]:
    """Where an event holds what is looked for: once for each text, number and name in its data."""
    for path, text in _texts(_restored(event.data)):
        for form in _forms(text):
            if found := search(form):
                yield _match(_named(path), form, *found.span())
                break


def _match(where: str, text: str, start: int, end: int) -> TextMatch:
    before, found, after = text[:start], text[start:end], text[end:]
    if len(before) > _AROUND:
        before = f"…{before[1 - _AROUND :]}"
    if len(found) > 2 * _AROUND:
        found = f"{found[: 2 * _AROUND - 1]}…"
    return TextMatch(where, before, found, after if len(after) <= _AROUND else f"{after[: _AROUND - 1]}…")


def _forms(text: str) -> Iterator[str]:
    """A text, and what it says where it is JSON with escapes, as tools give it back."""
    text = text if text.isascii() else normalize("NFC", text)
    yield text
    if "\\u" in text:
        yield normalize("NFC", _ESCAPES.sub(lambda found: json.loads(f'"{found[0]}"'), text))


def _texts(data: Any) -> Iterator[tuple[_Path, str]]:
    """All that may be read in Python values, in order; without recursion, as anybody may nest them deeply."""
    left: list[tuple[_Path, Any]] = [(None, data)]
    while left:
        path, value = left.pop()
        kind = type(value)
        if kind is str:
            yield path, value
        elif kind is dict:
            left += [((path, name), value[name]) for name in reversed(value)]
            for name in value:
                if name not in _OURS:
                    yield (path, name), name
        elif kind in _LISTS:
            inner = list(value)
            left += [((path, index), inner[index]) for index in reversed(range(len(inner)))]
        elif value is not None and kind is not bool:
            yield path, _as_text(value)


def _named(path: _Path) -> str:
    """`message.content[0].text`."""
    steps = list[str]()
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def _as_text(value: Any) -> str:
    """A number, a date and the like as they are written; of bytes those that are a text: what pictures hold is not."""
    if not isinstance(value, (bytes, bytearray)):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""


def _restored(data: Any) -> Any:
    """The values that were stored where JSON has stand-ins for them; as they are, where somebody else wrote them."""
    try:
        return from_json(data)
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError):
        return data
