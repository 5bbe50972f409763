"""A real Strands model that says what a script tells it to: no network, the same every time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from itertools import count
from typing import Any, TypeAlias, overload

import orjson
from strands.models.model import Model

Reply: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Text, or content blocks: `{"text": …}`, `{"toolUse": {"name": …, "input": …}}`, `{"reasoningContent": …}`, and
`{"redactContent": …}` for what a guardrail tells in mid-stream."""

Script: TypeAlias = "Callable[[Sequence[Mapping[str, Any]]], Reply | Awaitable[Reply]] | Iterable[Reply | Exception]"
"""A function, perhaps async, from the conversation to the next reply, or the replies themselves, one a model call."""


class ScriptedModel(Model):
    """Streams scripted replies the way a real provider does.

    Args:
        *script: What to say, one reply a model call; or, alone, a function or an iterable that gives the replies. An
            exception among them is raised instead of saying something.
        chunk: How many characters of text a delta carries.
        pause: For how many seconds it is silent before each delta.

    Raises:
        TypeError: When a reply is neither text, content blocks nor an exception.
    """

    stateful = False

    @overload
    def __init__(self, script: Script, /, *, chunk: int = 16, pause: float = 0) -> None: ...
    @overload
    def __init__(self, *script: Reply | Exception, chunk: int = 16, pause: float = 0) -> None: ...
    def __init__(self, *script: Any, chunk: int = 16, pause: float = 0) -> None:
        self.calls: list[Sequence[Mapping[str, Any]]] = []
        self._respond = _respond(script)
        self._chunk, self._pause = chunk, pause
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
        blocks = _blocks(reply)
        yield {"messageStart": {"role": "assistant"}}
        for block in blocks:
            for event in self._block(block):
                if self._pause and "contentBlockDelta" in event:
                    await asyncio.sleep(self._pause)
                yield event
        stop = "tool_use" if any("toolUse" in block for block in blocks) else "end_turn"
        yield {"messageStop": {"stopReason": stop}}
        usage = {"inputTokens": len(messages), "outputTokens": len(blocks), "totalTokens": len(messages) + len(blocks)}
        yield {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}

    def _block(self, block: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        if "redactContent" in block:
            yield {"redactContent": block["redactContent"]}
            return
        start, deltas = self._streamed(block)
        yield {"contentBlockStart": {"start": start}}
        for delta in deltas:
            yield {"contentBlockDelta": {"delta": delta}}
        yield {"contentBlockStop": {}}

    def _streamed(self, block: Mapping[str, Any]) -> tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]:
        """How a block begins, and the deltas it comes in."""
        match block:
            case {"text": text}:
                return {}, [{"text": piece} for piece in self._pieces(text)]
            case {"toolUse": tool}:
                tool_use_id = tool.get("toolUseId") or f"tool-{next(self._tool_numbers)}"
                given = orjson.dumps(tool.get("input", {})).decode()
                return {"toolUse": {"name": tool["name"], "toolUseId": tool_use_id}}, [{"toolUse": {"input": given}}]
            case {"reasoningContent": {"reasoningText": {"text": text, **signed}}}:
                deltas = [{"text": piece} for piece in self._pieces(text)] + ([signed] if signed else [])
                return {}, [{"reasoningContent": delta} for delta in deltas]
            case {"reasoningContent": {"redactedContent": _} as redacted}:
                return {}, [{"reasoningContent": redacted}]
        raise TypeError(f"a scripted model says {_KINDS}, not {block!r}")

    def _pieces(self, text: Any) -> list[str]:
        return [str(text)[at : at + self._chunk] for at in range(0, len(str(text)), self._chunk)]


_KINDS = "text, or content blocks of text, toolUse, reasoningContent or redactContent"


def _blocks(reply: Any) -> list[Mapping[str, Any]]:
    if isinstance(reply, str):
        return [{"text": reply}]
    if isinstance(reply, Sequence) and all(isinstance(block, Mapping) for block in reply):
        return list(reply)
    raise TypeError(f"a scripted model says {_KINDS}, not {reply!r}")


def _respond(script: Sequence[Any]) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    """What gives the replies: the arguments are, or the only one does, where that is no reply itself."""
    if len(script) != 1 or _is_reply(script[0]) or not _gives_replies(script[0]):
        return _in_turn([one if isinstance(one, Exception) else _blocks(one) for one in script])
    respond: Callable[[Sequence[Mapping[str, Any]]], Any] = script[0] if callable(script[0]) else _in_turn(script[0])
    return respond


def _is_reply(given: Any) -> bool:
    is_blocks = isinstance(given, Sequence) and any(isinstance(block, Mapping) for block in given)
    return is_blocks or isinstance(given, str | Exception)


def _gives_replies(given: Any) -> bool:
    return callable(given) or (isinstance(given, Iterable) and not isinstance(given, Mapping))


def _in_turn(replies: Iterable[Any]) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    remaining = iter(replies)

    def respond(_: Sequence[Mapping[str, Any]]) -> Any:
        reply = next(remaining, "I have nothing more to say.")
        if isinstance(reply, Exception):
            raise reply
        return reply

    return respond
