"""What a message says: its text, calls of tools and what they answer, as one text that can be searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from strands_session_log import EventId, Recorded, from_json

from .query import storable

LONGEST = 1 << 20
"""Characters of one message that are indexed: what a tool answers may be a whole database."""
STAND_IN = "__encoded__"
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127), " ")
_BLOCKS = frozenset(("text", "toolUse", "toolResult", "reasoningContent", "citationsContent", "guardContent"))
# What holds no words of anybody: pictures, ids, signatures, and what kind a block is of.
_NO_WORDS = frozenset(("bytes", "format", "redactedContent", "signature", "status", "toolUseId", "type", "data"))


class SaidMessage(NamedTuple):
    """A message, as far as it is searched.

    Attributes:
        id: The event that says it.
        agent: The agent in whose transcript it stands.
        number: Its index there; None where the event gives none.
        role: Whose it is: `user` or `assistant`; empty where the event does not say.
        text: All it says.
    """

    id: EventId
    agent: str
    number: int | None
    role: str
    text: str


def said_in(recorded: Recorded) -> SaidMessage:
    """What an event of a message says; nothing where its content was erased, or is encrypted."""
    event = recorded.event
    data = _mapping(event.data)
    message = _mapping(data.get("redact_message") or data.get("message"))
    number, role = data.get("message_id"), message.get("role", data.get("role"))
    text = _text_of(message.get("content")) if event.has_content else ""
    return SaidMessage(
        recorded.id,
        event.agent,
        number if type(number) is int and abs(number) < 1 << 62 else None,
        role if isinstance(role, str) else "",
        text,
    )


def _text_of(content: Any) -> str:
    if not isinstance(content, list):
        return ""
    parts, size = list[str](), 0
    for part in _parts(content):
        parts.append(part[: LONGEST - size])
        size += len(parts[-1]) + 1
        if size >= LONGEST:
            break
    return as_said("\n".join(parts))


def as_said(text: str) -> str:
    """A text as it is searched: without control characters, and without half ones, which cannot be stored."""
    return storable(text.translate(_CONTROL))


def _parts(content: list[Any]) -> Iterator[str]:
    """All texts of the blocks, in order; without recursion, as anybody may nest them deeply."""
    blocks = [{name: block[name] for name in block if name in _BLOCKS} for block in content if type(block) is dict]
    left: list[Any] = blocks[::-1]
    while left:
        value = left.pop()
        if isinstance(value, dict) and STAND_IN in value:
            value = restored_text(value)
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [value[name] for name in reversed(value) if name not in _NO_WORDS]
        elif isinstance(value, list):
            left += reversed(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield str(value)


def restored_text(value: Any) -> Any:
    """The text for which JSON has only a stand-in, as one with half characters; of anything else nothing."""
    try:
        found = from_json(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
