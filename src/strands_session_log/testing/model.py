"""A real Strands model that says what a script tells it to: no network, the same every time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from itertools import count
from typing import Any, TypeAlias

import orjson
from strands.models.model import Model

Reply: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Text, or content blocks: `{"text": …}`, `{"toolUse": {"name": …, "input": …}}`, and `{"redactContent": …}` for what a
guardrail tells in mid-stream."""

Script: TypeAlias = "Callable[[Sequence[Mapping[str, Any]]], Reply | Awaitable[Reply]] | Iterable[Reply | Exception]"
"""A function, perhaps async, from the conversation to the next reply, or the replies themselves, one a model call."""


class ScriptedModel(Model):
    """Streams scripted replies the way a real provider does.

    Args:
        script: What to say. An exception among the replies is raised instead of saying something.
        chunk: How many characters of text a delta carries.
    """

    stateful = False

    def __init__(self, script: Script, chunk: int = 16) -> None:
        self.calls: list[Sequence[Mapping[str, Any]]] = []
        self._respond = script if callable(script) else _in_turn(script)
        self._chunk = chunk
        self._tool_numbers = count(1)

    def update_config(self, **model_config: Any) -> None:
        """Nothing can be configured."""

    def get_config(self) -> dict[str, Any]:
        """A name to show in traces."""
        return {"model_id": "scripted"}

    def structured_output(self, *_: Any, **__: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Not scripted: agents call tools for structured output.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a scripted model has no structured output of its own")

    async def stream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Yield the next reply as stream events."""
        self.calls.append(list(messages))
        reply = self._respond(messages)
        if isawaitable(reply):
            reply = await reply
        blocks = [{"text": reply}] if isinstance(reply, str) else list(reply)
        yield {"messageStart": {"role": "assistant"}}
        for block in blocks:
            for event in self._block(block):
                yield event
        stop = "tool_use" if any("toolUse" in block for block in blocks) else "end_turn"
        yield {"messageStop": {"stopReason": stop}}
        usage = {"inputTokens": len(messages), "outputTokens": len(blocks), "totalTokens": len(messages) + len(blocks)}
        yield {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}

    def _block(self, block: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        if "redactContent" in block:
            yield {"redactContent": block["redactContent"]}
            return
        if "toolUse" not in block:
            yield {"contentBlockStart": {"start": {}}}
            text = str(block["text"])
            for at in range(0, len(text), self._chunk):
                yield {"contentBlockDelta": {"delta": {"text": text[at : at + self._chunk]}}}
        else:
            tool = block["toolUse"]
            tool_use_id = tool.get("toolUseId") or f"tool-{next(self._tool_numbers)}"
            yield {"contentBlockStart": {"start": {"toolUse": {"name": tool["name"], "toolUseId": tool_use_id}}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": orjson.dumps(tool["input"]).decode()}}}}
        yield {"contentBlockStop": {}}


def _in_turn(replies: Iterable[Reply | Exception]) -> Callable[[Sequence[Mapping[str, Any]]], Reply]:
    remaining = iter(replies)

    def respond(_: Sequence[Mapping[str, Any]]) -> Reply:
        reply = next(remaining, "I have nothing more to say.")
        if isinstance(reply, Exception):
            raise reply
        return reply

    return respond
