"""What the semantic conventions of OpenTelemetry for generative AI call things, and messages as they have them.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ (status: development, so names may change).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from strands_session_log import from_json

OPERATION: Final = "gen_ai.operation.name"
CONVERSATION: Final = "gen_ai.conversation.id"
PROVIDER: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
WORKFLOW: Final = "gen_ai.workflow.name"
MODEL: Final = "gen_ai.request.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
INPUT: Final = "gen_ai.input.messages"
OUTPUT: Final = "gen_ai.output.messages"
ERROR: Final = "error.type"
NAMESPACE: Final = "strands_session_log.namespace"
EVENT: Final = "strands_session_log.event"
"""The position of the event a span begins with, or is told by: `session-log show S --at` takes it."""
NODE: Final = "strands_session_log.node"
UNFINISHED: Final = "strands_session_log.unfinished"
STRANDS: Final = "strands-agents"
"""The provider, as Strands' own spans name it: a log does not know who serves a model."""

_USAGE: Final = {
    "inputTokens": "gen_ai.usage.input_tokens",
    "outputTokens": "gen_ai.usage.output_tokens",
    "cacheReadInputTokens": "gen_ai.usage.cache_read.input_tokens",
    "cacheWriteInputTokens": "gen_ai.usage.cache_creation.input_tokens",
}
_MEDIA: Final = ("image", "document", "video")


def usage_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """Tokens, by the names of the conventions."""
    counted = facts.get("usage") or {}
    return {name: int(counted[ours]) for ours, name in _USAGE.items() if ours in counted}


def written(text: object) -> str:
    """Text that can be sent: what is no Unicode is replaced."""
    return str(text).encode("utf-8", "replace").decode()


def as_json(value: Any) -> str:
    """A value as JSON, in which everything can be sent; what JSON does not have is written as text."""
    return json.dumps(value, default=str)


def messages(said: Iterable[Mapping[str, Any]], finish_reason: str | None = None) -> str:
    """Messages as the conventions have them, in JSON.

    Args:
        said: Strands' messages.
        finish_reason: Why the model ended, of what it has said.
    """
    told = [
        {
            "role": message.get("role", ""),
            "parts": [_part(block) for block in _blocks(message)],
            **({} if finish_reason is None else {"finish_reason": finish_reason}),
        }
        for message in said
    ]
    return as_json(told)


def tool_calls(message: Mapping[str, Any]) -> dict[str, str]:
    """What a message gives to each tool it calls, in JSON, by the id of the call."""
    calls = [block["toolUse"] for block in _blocks(message) if isinstance(block.get("toolUse"), Mapping)]
    return {str(call.get("toolUseId")): as_json(call.get("input")) for call in calls}


def tool_results(message: Mapping[str, Any]) -> dict[str, str]:
    """What a message says that tools returned, likewise."""
    results = [block["toolResult"] for block in _blocks(message) if isinstance(block.get("toolResult"), Mapping)]
    return {str(result.get("toolUseId")): as_json([*map(_part, _blocks(result))]) for result in results}


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, (list, tuple)) else []


def _text(stored: Any) -> Any:
    """A text as it is stored: one with half characters has a stand-in there."""
    try:
        found = from_json(stored) if isinstance(stored, Mapping) else stored
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        # Others wrote it.
        found = None
    return written(found) if isinstance(found, str) else stored


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of content as a part of a message; of pictures and documents, that they were there."""
    if "text" in block:
        return {"type": "text", "content": _text(block["text"])}
    kind, value = next(((name, one) for name, one in block.items() if isinstance(one, Mapping)), ("unknown", {}))
    if kind == "toolUse":
        return {
            "type": "tool_call",
            "id": value.get("toolUseId"),
            "name": value.get("name"),
            "arguments": value.get("input"),
        }
    if kind == "toolResult":
        return {
            "type": "tool_call_response",
            "id": value.get("toolUseId"),
            "response": [*map(_part, _blocks(value))],
        }
    if kind == "reasoningContent":
        thought = value.get("reasoningText")
        return {"type": "reasoning", "content": _text(thought.get("text")) if isinstance(thought, Mapping) else None}
    if kind in _MEDIA:
        return {"type": kind, "format": value.get("format"), "omitted": True}
    return {"type": "json", "content": block["json"]} if "json" in block else {"type": kind, "omitted": True}
