"""Messages as people read them: what was said, which tools were called, what came back; and whole conversations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from rich.console import Console
from rich.text import Text

from ... import AgentState, MessageRecord, SessionState, from_json
from ..terminal import hanging, one_line, plain, put

Kind: TypeAlias = Literal["text", "call", "result", "failure", "aside"]

_ROLE_STYLES = {"user": "bold cyan", "assistant": "bold green", "tool": "bold magenta"}
_MARKS: Mapping[Kind, str] = {"call": "→ ", "result": "← ", "failure": "✗ "}
_PIECE_STYLES: Mapping[Kind, str] = {"call": "magenta", "result": "magenta", "failure": "red", "aside": "dim"}
_LONG = 300
_LONGEST_STATE = 2_000


class Piece(NamedTuple):
    """One content block of a message; its text is safe to print, on one line unless the kind is `text`."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return _MARKS.get(self.kind, "") + self.text


def print_conversation(terminal: Console, agents: Iterable[AgentState]) -> None:
    """Print what was said, agent by agent; headings only where there are several agents."""
    shown = list(agents)
    for agent in shown:
        if len(shown) > 1:
            put(terminal, f"── {one_line(agent.agent_id)} ──\n", "bold")
        for record in agent.messages:
            label = label_of(f"{record.id.revision:>4}", speaker(record.shown))
            put(terminal, hanging(terminal, label, Text("\n").join(_lines(record))) + "\n")
        if agent.state:
            state = Text(fields(agent.state, _LONGEST_STATE), "dim")
            put(terminal, hanging(terminal, label_of("    ", "state"), state) + "\n")


def label_of(place: str, who: str) -> Text:
    """Where something was said, and who said it."""
    return Text.assemble((f"{place}  ", "dim"), (f"{who:<9}  ", _ROLE_STYLES.get(who, "dim")))


def _lines(record: MessageRecord) -> Iterator[Text]:
    yield from lines_of(record.shown)
    if record.redact_message is not None:
        yield Text("(redacted)", "dim italic")


def lines_of(message: Any) -> Iterator[Text]:
    """What a message holds, a line for each piece."""
    for piece in pieces(message):
        yield Text(str(piece), _PIECE_STYLES.get(piece.kind, ""))


def on_one_line(message: Any, limit: int | None = None) -> str:
    """What a message holds, all on one line."""
    return one_line(" ".join(map(str, pieces(message))), limit)


def pieces(message: Any) -> list[Piece]:
    """What a message holds, in order; blocks of an unknown kind are shown as they are."""
    content = message.get("content") if isinstance(message, Mapping) else message
    return [piece for block in _listed(_restored(content)) for piece in _pieces(block)]


def message_at(state: SessionState, agent: str, index: int) -> MessageRecord | None:
    """The message of an agent that has this index."""
    known = state.agents.get(agent)
    position = None if known is None else known.messages.find(index)
    return None if known is None or position is None else known.messages[position]


def speaker(message: Any) -> str:
    """Who speaks: the role, but `tool` where only tools answer in the name of the user."""
    found = pieces(message)
    if found and all(piece.kind in ("result", "failure") for piece in found):
        return "tool"
    role = message.get("role") if isinstance(message, Mapping) else None
    return one_line(role or "unknown", 16)


def compact(value: Any, limit: int = _LONG) -> str:
    """Any value as JSON on one line."""
    return one_line(json.dumps(_restored(value), default=_described, ensure_ascii=False), limit)


def fields(value: Any, limit: int = _LONG) -> str:
    """The fields of an object as `name=value`, anything else as JSON, on one line."""
    if not isinstance(value, Mapping):
        return compact(value, limit)
    return one_line(", ".join(f"{name}={compact(item)}" for name, item in value.items()), limit)


def progress_of(multi_agent: Any) -> str:
    """How far a graph or swarm is."""
    names = ("type", "status", "completed_nodes", "node_history")
    return fields({name: multi_agent[name] for name in names if name in multi_agent})


def _pieces(block: Any) -> Iterator[Piece]:
    match block:
        case {"text": str(text)} | {"guardContent": {"text": {"text": str(text)}}}:
            yield Piece("text", plain(text).strip())
        case {"toolUse": {"name": name, **call}}:
            yield Piece("call", f"{one_line(name)}({fields(call.get('input'))})")
        case {"toolResult": {"content": content, **result}}:
            yield Piece("failure" if result.get("status") == "error" else "result", _result(content))
        case {"reasoningContent": {"reasoningText": {"text": thought}}}:
            yield Piece("aside", f"(thinks) {one_line(thought, _LONG)}")
        case {"citationsContent": {"content": parts}}:
            yield from (piece for part in _listed(parts) for piece in _pieces(part))
        case {"cachePoint": _}:
            return
        case _:
            yield Piece("aside", f"[{_attachment(block)}]")


def _result(content: Any) -> str:
    return one_line(" ".join(_result_part(part) for part in _listed(content)), _LONG)


def _result_part(part: Any) -> str:
    match part:
        case {"text": text}:
            return str(text)
        case {"json": value}:
            return compact(value)
    return f"[{_attachment(part)}]"


def _attachment(block: Any) -> str:
    """An image, a document, a video: its kind, name and size instead of its bytes."""
    if not isinstance(block, Mapping) or len(block) != 1:
        return compact(block)
    ((kind, value),) = block.items()
    match value:
        case {"format": form, "source": {"bytes": bytes(content)}, **rest}:
            name = f" {rest['name']!r}" if "name" in rest else ""
            return one_line(f"{kind}{name}, {form}, {_described(content)}")
    return f"{one_line(kind)} {compact(value)}"


def _restored(value: Any) -> Any:
    """What was stored, where JSON has only a stand-in for it."""
    try:
        return from_json(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return value


def _described(value: Any) -> str:
    return f"{len(value):,} bytes" if isinstance(value, (bytes, bytearray)) else str(value)


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    return [] if value is None else [value]
