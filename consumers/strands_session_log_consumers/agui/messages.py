"""Messages of Strands as AG-UI has them, and what a front end asks as Strands takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from ag_ui.core import (
    AssistantMessage,
    FunctionCall,
    Message,
    ReasoningMessage,
    RunAgentInput,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

from strands_session_log import from_json

from .media import shown_parts

_NONE: Final[Mapping[str, str]] = {}
_FORWARDED: Final = [{"text": "Forwarded to client"}]
"""What `ag-ui-strands` has as the result of a front end's tool before the front end has given it."""
CANCELLED = {"status": "cancelled"}
"""What an interrupt is answered with that was abandoned."""


class NothingToAskError(ValueError):
    """A request that an agent cannot be asked with; the text says why."""


def shown(message: Mapping[str, Any], message_id: str, answers: Mapping[str, str] = _NONE) -> list[Message]:
    """What a front end shows of a message: one of AG-UI's messages, or several; none of what it does not know.

    Args:
        message: The message, as Strands has it.
        message_id: The id of the text and the tool calls in it.
        answers: The ids that the front end gave the results of its own tools, by call.
    """
    blocks: Sequence[Any] = message.get("content") or ()
    if message.get("role") == "assistant":
        return [*_reasoning(blocks, message_id), *_answer(blocks, message_id)]
    parts = shown_parts(blocks)
    content: Any = text_of(blocks) if all(isinstance(one, TextPart) for one in parts) else parts
    said: list[Message] = [UserMessage(id=message_id, content=content)] if content else []
    return [*_results(blocks, message_id, answers), *said]


def text_of(blocks: Sequence[Any]) -> str:
    """The text of content blocks."""
    return "".join(_text(block.get("text")) for block in blocks)


def _text(stored: Any) -> str:
    """A text as it is stored: one with half characters has a stand-in there, and cannot be sent as it is."""
    try:
        found = from_json(stored) if isinstance(stored, Mapping) else stored
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        # Others wrote it.
        found = None
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else ""


def _reasoning(blocks: Sequence[Any], message_id: str) -> Iterator[Message]:
    for number, block in enumerate(blocks):
        text = _text(((block.get("reasoningContent") or {}).get("reasoningText") or {}).get("text"))
        if text:
            yield ReasoningMessage(id=reasoning_id(message_id, number), content=text)


def reasoning_id(message_id: str, block: int) -> str:
    """The id of the reasoning in a block of a message."""
    return f"{message_id}-reasoning-{block}"


def _answer(blocks: Sequence[Any], message_id: str) -> Iterator[Message]:
    text = text_of(blocks)
    calls = [tool_call(block["toolUse"]) for block in blocks if "toolUse" in block]
    if text or calls:
        yield AssistantMessage(id=message_id, content=text or None, tool_calls=calls or None)


def tool_call(tool_use: Mapping[str, Any]) -> ToolCall:
    """A call of a tool."""
    arguments = json.dumps(tool_use.get("input") or {}, ensure_ascii=False, separators=(",", ":"))
    return ToolCall(id=tool_use["toolUseId"], function=FunctionCall(name=_text(tool_use["name"]), arguments=arguments))


def _results(blocks: Sequence[Any], message_id: str, answers: Mapping[str, str]) -> Iterator[ToolMessage]:
    for number, block in enumerate(blocks):
        result = block.get("toolResult")
        if result and result.get("content") != _FORWARDED:
            call = result["toolUseId"]
            id_ = answers.get(call) or f"{message_id}-result-{number}"
            yield ToolMessage(id=id_, tool_call_id=call, content=_told(result.get("content") or ()))


def _told(content: Sequence[Any]) -> str:
    return "\n".join(_text(one["text"]) if "text" in one else json.dumps(one, ensure_ascii=False) for one in content)


def check_asks(asked: RunAgentInput) -> str:
    """Look whether a request asks anything.

    Returns:
        The id that the front end has given the message it asks with; empty for answers.

    Raises:
        NothingToAskError: It does not.
    """
    if asked.resume:
        return ""
    match asked.messages[-1:]:
        case [UserMessage() as message] if any(_parts(message)):
            return message.id
        case [ToolMessage()]:
            return ""
    raise NothingToAskError("the last message is to be the user's, and not empty, or the result of a tool")


def answers_of(asked: RunAgentInput) -> dict[str, str]:
    """The ids of the results that a front end gives of its own tools, by call."""
    new = takewhile(lambda message: isinstance(message, ToolMessage), reversed(asked.messages))
    return {message.tool_call_id: message.id for message in new if isinstance(message, ToolMessage)}


def prompt_of(asked: RunAgentInput) -> list[Any]:
    """What an agent of Strands is asked: what the user said last, or answers to its interrupts.

    Raises:
        NothingToAskError: It is of a kind that needs `AguiRun.strands_agent`.
    """
    if asked.resume:
        return [_answered(entry) for entry in asked.resume]
    message = asked.messages[-1]
    parts = [*_parts(message)] if isinstance(message, UserMessage) else [None]
    if not all(isinstance(part, str) for part in parts):
        raise NothingToAskError("results of the front end's tools, and media, are taken by run.strands_agent(agent)")
    return [{"text": part} for part in parts]


def _parts(message: UserMessage) -> Iterator[Any]:
    """Texts, and parts that are none; nothing that is empty."""
    for part in [message.content] if isinstance(message.content, str) else message.content:
        text = part.text if isinstance(part, TextPart) else part
        if text:
            yield text


def _answered(entry: Any) -> Mapping[str, Any]:
    response = entry.payload if entry.status == "resolved" else CANCELLED
    return {"interruptResponse": {"interruptId": entry.interrupt_id, "response": response}}
