"""Messages as people read them: what was said, which tools were called, what came back; and whole conversations."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple, TypeAlias

from rich.console import Console
from rich.text import Text

from ... import AgentState, EventId, MessageRecord, SessionState, events, from_json
from ..terminal import count, hanging, one_line, plain, put

Kind: TypeAlias = Literal["text", "call", "result", "failure", "aside"]

_ROLE_STYLES = {"user": "bold cyan", "assistant": "bold green", "tool": "bold magenta"}
_MARKS: Mapping[Kind, str] = {"call": "→ ", "result": "← ", "failure": "✗ "}
_PIECE_STYLES: Mapping[Kind, str] = {"call": "magenta", "result": "magenta", "failure": "red", "aside": "dim"}
_LONG = 300
_LONGEST_STATE = 2_000


class Piece(NamedTuple):
    """One content block of a message; its text is safe to print, on one line unless it is text, or in full."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return _MARKS.get(self.kind, "") + self.text


class MessageDetail(NamedTuple):
    """What of a conversation is told.

    Attributes:
        full: Nothing is shortened.
        times: As what the time of each message is written, for `strftime`; empty for none.
        last: So many of the newest messages of each agent; None for all.
    """

    full: bool = False
    times: str = ""
    last: int | None = None


USUAL = MessageDetail()


class Aside(NamedTuple):
    """What stands between the messages of an agent: what a person was asked, and has answered.

    Attributes:
        id: Where it stands.
        agent: Whose.
        who: What stands where a message has its role.
        text: What was said.
    """

    id: EventId
    agent: str
    who: str
    text: str


def print_conversation(terminal: Console, agents: Iterable[AgentState]) -> None:
    """Print what was said, agent by agent."""
    for text in conversation(terminal, agents):
        put(terminal, text)


def conversation(
    terminal: Console, agents: Iterable[AgentState], detail: MessageDetail = USUAL, asides: Sequence[Aside] = ()
) -> Iterator[Text]:
    """What was said, laid out for a console, agent by agent; headings only where there are several agents."""
    shown = list(agents)
    for agent in shown:
        if len(shown) > 1:
            yield Text(f"── {one_line(agent.agent_id)} ──\n", "bold")
        for one in _shown_of(agent, detail.last, [one for one in asides if one.agent == agent.agent_id]):
            yield laid_out(terminal, one, detail) + "\n"
        if agent.state:
            state = Text(fields(agent.state, None if detail.full else _LONGEST_STATE, detail.full), "dim")
            yield hanging(terminal, label_of("    ", "state"), state) + "\n"


def newest(messages: Sequence[MessageRecord], last: int | None) -> Iterable[MessageRecord]:
    """So many messages, which alone are fetched; all for None."""
    return messages if last is None else messages[max(0, len(messages) - last) :]


def _shown_of(agent: AgentState, last: int | None, asides: Sequence[Aside]) -> Iterable[MessageRecord | Aside]:
    """The messages, and what stands between them; none of that before the first, where there are more of these."""
    records = newest(agent.messages, last)
    return _between(list(records), asides, last is not None and len(agent.messages) > last) if asides else records


def _between(
    records: Sequence[MessageRecord], asides: Sequence[Aside], has_more: bool
) -> Iterator[MessageRecord | Aside]:
    # One that was changed later stands where it was said, which the next that was not tells.
    ids = list(accumulate((record.id for record in reversed(records)), min))[::-1]
    places = [bisect_right(ids, aside.id) for aside in asides]
    for at, record in enumerate(records):
        yield from (aside for aside, place in zip(asides, places, strict=True) if place == at and (at or not has_more))
        yield record
    yield from (aside for aside, place in zip(asides, places, strict=True) if place == len(records) and ids)


def laid_out(terminal: Console, one: MessageRecord | Aside, detail: MessageDetail) -> Text:
    """One of them, behind its place and whose it is."""
    place = f"{one.id.revision:>4}{_time(one.id, detail.times)}"
    if isinstance(one, Aside):
        text = plain(one.text) if detail.full else one_line(one.text, _LONG)
        return hanging(terminal, label_of(place, one.who), Text(text, "yellow"))
    return hanging(terminal, label_of(place, speaker(one.shown)), Text("\n").join(_lines(one, detail.full)))


def _time(id_: EventId, times: str) -> str:
    """When the event was written that the message is of."""
    return f"  {id_.time.astimezone().strftime(times)}" if times else ""


def label_of(place: str, who: str) -> Text:
    """Where something was said, and who said it."""
    return Text.assemble((f"{place}  ", "dim"), (f"{who:<9}  ", _ROLE_STYLES.get(who, "dim")))


def _lines(record: MessageRecord, full: bool) -> Iterator[Text]:
    yield from lines_of(record.shown, full)
    if record.redact_message is not None:
        yield Text("(redacted)", "dim italic")


def lines_of(message: Any, full: bool = False) -> Iterator[Text]:
    """What a message holds, a line for each piece; of what is long, only the beginning, if it is not to be in full."""
    for piece in pieces(message, full):
        yield Text(str(piece), _PIECE_STYLES.get(piece.kind, ""))


def on_one_line(message: Any, limit: int | None = None) -> str:
    """What a message holds, all on one line."""
    return one_line(" ".join(map(str, pieces(message))), limit)


def pieces(message: Any, full: bool = False) -> list[Piece]:
    """What a message holds, in order; blocks of an unknown kind are shown as they are."""
    content = message.get("content") if isinstance(message, Mapping) else message
    return [piece for block in _listed(_restored(content)) for piece in _pieces(block, full)]


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


def compact(value: Any, limit: int | None = _LONG) -> str:
    """Any value as JSON on one line."""
    return one_line(json.dumps(_restored(value), default=_described, ensure_ascii=False), limit)


def fields(value: Any, limit: int | None = _LONG, full: bool = False) -> str:
    """The fields of an object as `name=value`, anything else as JSON, on one line."""
    if not isinstance(value, Mapping):
        return compact(value, limit)
    each = None if full else _LONG
    return one_line(", ".join(f"{name}={compact(item, each)}" for name, item in value.items()), limit)


def progress_of(multi_agent: Any) -> str:
    """How far a graph or swarm is."""
    names = ("type", "status", "completed_nodes", "node_history")
    return fields({name: multi_agent[name] for name in names if name in multi_agent})


def _pieces(block: Any, full: bool) -> Iterator[Piece]:
    limit = None if full else _LONG
    match block:
        case {"text": str(text)} | {"guardContent": {"text": {"text": str(text)}}}:
            yield Piece("text", plain(text).strip())
        case {"toolUse": {"name": name, **call}}:
            yield Piece("call", f"{one_line(name)}({fields(call.get('input'), limit, full)})")
        case {"toolResult": {"content": content, **result}}:
            yield Piece("failure" if result.get("status") == "error" else "result", _result(content, limit))
        case {"reasoningContent": {"reasoningText": {"text": thought}}}:
            yield Piece("aside", f"(thinks) {plain(thought) if full else one_line(thought, _LONG)}")
        case {"citationsContent": {"content": parts}}:
            yield from (piece for part in _listed(parts) for piece in _pieces(part, full))
        case {"cachePoint": _}:
            return
        case _:
            yield Piece("aside", f"[{_attachment(block, limit)}]")


def _result(content: Any, limit: int | None) -> str:
    """With its own lines only where it is not shortened."""
    parts = [_result_part(part, limit) for part in _listed(content)]
    return plain("\n".join(parts)).strip() if limit is None else one_line(" ".join(parts), limit)


def _result_part(part: Any, limit: int | None) -> str:
    match part:
        case {"text": text}:
            return str(text)
        case {"json": value}:
            return compact(value, limit)
    return f"[{_attachment(part, limit)}]"


def _attachment(block: Any, limit: int | None) -> str:
    """An image, a document, a video: its kind, name and size instead of its bytes."""
    if not isinstance(block, Mapping) or len(block) != 1:
        return compact(block, limit)
    ((kind, value),) = block.items()
    match value:
        case {"format": form, "source": {"bytes": bytes(content)}, **rest}:
            name = f" {rest['name']!r}" if "name" in rest else ""
            return one_line(f"{kind}{name}, {form}, {_described(content)}")
    return f"{one_line(kind)} {compact(value, limit)}"


def _restored(value: Any) -> Any:
    """What was stored, where JSON has only a stand-in for it."""
    try:
        return from_json(value)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return value


def _described(value: Any) -> str:
    return count(len(value), "byte") if isinstance(value, (bytes, bytearray)) else str(value)


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    return [] if value is None else [value]


def absence(event: events.Event) -> str:
    """Why the content of an event is not shown."""
    return "(encrypted)" if event.is_sealed else "(erased)"
