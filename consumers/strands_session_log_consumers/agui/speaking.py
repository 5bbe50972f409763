"""A message that is being spoken, as followers have it so far."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ag_ui.core import (
    AssistantMessage,
    BaseEvent,
    FunctionCall,
    Message,
    ReasoningEndEvent,
    ReasoningMessage,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    ReasoningStartEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCall,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)

from strands_session_log import Delta

from .messages import reasoning_id


class SpokenPart:
    """Something that is begun, goes on and ends: text, reasoning, or a call of a tool.

    Args:
        kind: `text`, `reasoning` or `tool`.
        id_: Its id.
        message_id: That of the message.
        name: Of the tool.

    Attributes:
        said: All of it so far.
    """

    def __init__(self, kind: str, id_: str, message_id: str, name: str = "") -> None:
        self.kind, self.id, self._message_id, self._name = kind, id_, message_id, name
        self.said = ""

    def begun(self) -> Iterator[BaseEvent]:
        """That it begins, and what was said so far: for whoever hears of it first."""
        match self.kind:
            case "text":
                yield TextMessageStartEvent(message_id=self.id, role="assistant")
            case "reasoning":
                yield ReasoningStartEvent(message_id=self.id)
                yield ReasoningMessageStartEvent(message_id=self.id, role="reasoning")
            case _:
                yield ToolCallStartEvent(
                    tool_call_id=self.id, tool_call_name=self._name, parent_message_id=self._message_id
                )
        yield from self._told(self.said)

    def goes_on(self, text: str) -> Iterator[BaseEvent]:
        """More of it."""
        self.said += text
        yield from self._told(text)

    def _told(self, text: str) -> Iterator[BaseEvent]:
        if not text:
            return
        match self.kind:
            case "text":
                yield TextMessageContentEvent(message_id=self.id, delta=text)
            case "reasoning":
                yield ReasoningMessageContentEvent(message_id=self.id, delta=text)
            case _:
                yield ToolCallArgsEvent(tool_call_id=self.id, delta=text)

    def as_call(self) -> ToolCall:
        """The call of a tool so far."""
        return ToolCall(id=self.id, function=FunctionCall(name=self._name, arguments=self.said))

    def ended(self) -> Iterator[BaseEvent]:
        """That it is over."""
        match self.kind:
            case "text":
                yield TextMessageEndEvent(message_id=self.id)
            case "reasoning":
                yield ReasoningMessageEndEvent(message_id=self.id)
                yield ReasoningEndEvent(message_id=self.id)
            case _:
                yield ToolCallEndEvent(tool_call_id=self.id)


class Speaking:
    """A message that is being spoken.

    Args:
        message_id: The id it will have.
        message: That of its pieces.

    Attributes:
        id: The id it will have.
        message: That of its pieces.
    """

    def __init__(self, message_id: str, message: str = "") -> None:
        self.id, self.message = message_id, message
        self._parts = dict[str, SpokenPart]()
        self._next, self._has_gap = 1, False

    def so_far(self) -> Iterator[BaseEvent]:
        """All that was said, for whoever joins now."""
        for part in self._parts.values():
            yield from part.begun()

    def as_message(self) -> Iterator[Message]:
        """The text and the calls so far."""
        text = "".join(part.said for part in self._parts.values() if part.kind == "text")
        calls = [part.as_call() for part in self._parts.values() if part.kind == "tool"]
        if text or calls:
            yield AssistantMessage(id=self.id, content=text or None, tool_calls=calls or None)

    def take(self, delta: Delta) -> Iterator[BaseEvent]:
        """A piece. Behind one that was lost nothing is said before the message is in the log."""
        line = delta.line
        self._has_gap = self._has_gap or line.sequence != self._next
        self._next += 1
        if self._has_gap:
            return
        match line.kind:
            case "text":
                yield from self._more("text", self.id, line.text)
            case "reasoning":
                yield from self._more("reasoning", reasoning_id(self.id, line.block), line.text)
            case "tool":
                yield from self._more("tool", line.tool_use_id, "", line.text)
            case "input":
                yield from self._more("tool", line.tool_use_id, line.text)

    def _more(self, kind: str, id_: str, text: str, name: str = "") -> Iterator[BaseEvent]:
        part = self._parts.get(id_)
        if part is None:
            part = self._parts[id_] = SpokenPart(kind, id_, self.id, name)
            yield from part.begun()
        yield from part.goes_on(text)

    def abandoned(self) -> Iterator[BaseEvent]:
        """That it ends here, whatever becomes of it."""
        for part in self._parts.values():
            yield from part.ended()
        self._parts.clear()

    def finished(self, messages: Sequence[Message]) -> tuple[list[BaseEvent], bool]:
        """What is missing of the message as it is in the log, and that it is over.

        Returns:
            The events, and whether followers then have what is in the log.
        """
        found, is_same = list[BaseEvent](), True
        wanted = {part.id: (part, text) for part, text in self._wanted(messages)}
        for id_, (part, text) in wanted.items():
            begun = self._parts.setdefault(id_, part)
            found += begun.begun() if begun is part else ()
            if text.startswith(begun.said):
                found += begun.goes_on(text[len(begun.said) :])
            else:
                is_same = is_same and begun.kind == "tool" and _is_same_json(begun.said, text)
        is_same = is_same and self._parts.keys() == wanted.keys()
        return [*found, *self.abandoned()], is_same

    def _wanted(self, messages: Sequence[Message]) -> Iterator[tuple[SpokenPart, str]]:
        for message in messages:
            match message:
                case ReasoningMessage():
                    yield SpokenPart("reasoning", message.id, self.id), message.content
                case AssistantMessage():
                    if isinstance(message.content, str):
                        yield SpokenPart("text", message.id, self.id), message.content
                    for call in message.tool_calls or ():
                        yield self._call(call)

    def _call(self, call: ToolCall) -> tuple[SpokenPart, str]:
        return SpokenPart("tool", call.id, self.id, call.function.name), call.function.arguments


def _is_same_json(one: str, other: str) -> bool:
    try:
        said: Any = json.loads(one)
        return bool(said == json.loads(other))
    except ValueError:
        return False
