"""Messages of Strands as AG-UI has them, and what a front end asks as Strands takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ag_ui.core import (
    AssistantMessage,
    FunctionCall,
    Message,
    ReasoningMessage,
    RunAgentInput,
    ToolCall,
    ToolMessage,
    UserMessage,
)

CANCELLED = {"status": "cancelled"}
"""What an interrupt is answered with that was abandoned."""


class NothingToAskError(ValueError):
    """A request that an agent cannot be asked with; the text says why."""


def shown(message: Mapping[str, Any], message_id: str) -> list[Message]:
    """What a front end shows of a message: one of AG-UI's messages, or several; none of what it does not know.

    Args:
        message: The message, as Strands has it.
        message_id: The id of the text and the tool calls in it.
    """
    blocks: Sequence[Any] = message.get("content") or ()
    if message.get("role") == "assistant":
        return [*_reasoning(blocks, message_id), *_answer(blocks, message_id)]
    text = text_of(blocks)
    said: list[Message] = [UserMessage(id=message_id, content=text)] if text else []
    return [*_results(blocks, message_id), *said]


def text_of(blocks: Sequence[Any]) -> str:
    """The text of content blocks."""
    return "".join(block["text"] for block in blocks if isinstance(block.get("text"), str))


def _reasoning(blocks: Sequence[Any], message_id: str) -> Iterator[Message]:
    for number, block in enumerate(blocks):
        text = ((block.get("reasoningContent") or {}).get("reasoningText") or {}).get("text")
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
    return ToolCall(id=tool_use["toolUseId"], function=FunctionCall(name=tool_use["name"], arguments=arguments))


def _results(blocks: Sequence[Any], message_id: str) -> Iterator[ToolMessage]:
    for number, block in enumerate(blocks):
        if result := block.get("toolResult"):
            tool_use_id = result["toolUseId"]
            yield ToolMessage(
                id=f"{message_id}-result-{number}", tool_call_id=tool_use_id, content=_told(result.get("content") or ())
            )


def _told(content: Sequence[Any]) -> str:
    return "\n".join(one["text"] if "text" in one else json.dumps(one, ensure_ascii=False) for one in content)


def prompt_of(asked: RunAgentInput) -> tuple[Any, str]:
    """What an agent is asked: what the user has said since it spoke last, or answers to its interrupts.

    Returns:
        The prompt, and the id that the front end has given its message; empty for answers.

    Raises:
        NothingToAskError: When there is neither, or it is of a kind that is not supported.
    """
    if asked.resume:
        return [_answered(entry) for entry in asked.resume], ""
    if not asked.messages or not isinstance(asked.messages[-1], UserMessage):
        raise NothingToAskError("the last message is to be the user's; results of the front end's tools are not taken")
    new: list[UserMessage] = []
    for message in reversed(asked.messages):
        if not isinstance(message, UserMessage):
            break
        new.insert(0, message)
    # Strands keeps one message for the prompt; of several that were not answered the last gives it its id.
    return [{"text": text} for message in new[-1:] for text in _texts(message)], new[-1].id


def _texts(message: UserMessage) -> Iterator[str]:
    parts: Any = [message.content] if isinstance(message.content, str) else message.content
    for part in parts:
        text = part if isinstance(part, str) else getattr(part, "text", None)
        if not isinstance(text, str) or not text:
            raise NothingToAskError("a message is to be text, and not empty")
        yield text


def _answered(entry: Any) -> Mapping[str, Any]:
    response = entry.payload if entry.status == "resolved" else CANCELLED
    return {"interruptResponse": {"interruptId": entry.interrupt_id, "response": response}}
