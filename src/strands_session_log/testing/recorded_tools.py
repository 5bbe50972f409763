"""Tools that answer what they answered when they were recorded, and do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson
from strands.hooks import BeforeToolCallEvent, HookProvider, HookRegistry
from strands.tools.tools import PythonAgentTool

from .comparing import Message, short


class RecordedTools(HookProvider):
    """Answers each call with its recorded result, instead of the tool that the agent has.

    Args:
        recorded: The messages with the calls and their results.

    Attributes:
        differences: Why the agent's own tool would not have taken a call.
    """

    def __init__(self, recorded: Iterable[Message]) -> None:
        self._results: dict[str, list[Mapping[str, Any]]] = {}
        for result in blocks_of("toolResult", recorded):
            self._results.setdefault(result["toolUseId"], []).append(result)
        self.differences: list[str] = []

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        """Be asked before each call."""
        registry.add_callback(BeforeToolCallEvent, self._answer)

    def _answer(self, event: BeforeToolCallEvent) -> None:
        self.differences += _objections(event)
        results = self._results.get(event.tool_use["toolUseId"])
        if results:
            event.selected_tool = _answering(event.tool_use["name"], results.pop(0))
        elif not event.cancel_tool:
            # What it would do has not been done then.
            event.cancel_tool = "nothing was recorded for this call"


class ToolsAsRecorded(HookProvider):
    """Answers a call as one of the same tool with the same input was answered, whoever calls and under which id.

    Args:
        recorded: The messages with the calls and their results.

    Attributes:
        differences: Which calls were never recorded, and why the agent's own tool would not have taken one.
    """

    def __init__(self, recorded: Sequence[Message]) -> None:
        self._results: dict[tuple[str, bytes], list[Mapping[str, Any]]] = {}
        # Models may give the same id once more, in another turn.
        calls: dict[str, Mapping[str, Any]] = {}
        for block in (block for message in recorded for block in message["content"]):
            if call := block.get("toolUse"):
                calls[call["toolUseId"]] = call
            elif (result := block.get("toolResult")) and (asked := calls.pop(result["toolUseId"], None)):
                self._results.setdefault(_asked(asked), []).append(result)
        self.differences: list[str] = []

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        """Be asked before each call."""
        registry.add_callback(BeforeToolCallEvent, self._answer)

    def _answer(self, event: BeforeToolCallEvent) -> None:
        call = event.tool_use
        self.differences += _objections(event)
        results = self._results.get(_asked(call))
        if results:
            # Called more often than it was, it answers as it did last.
            result = results.pop(0) if len(results) > 1 else results[0]
            event.selected_tool = _answering(call["name"], {**result, "toolUseId": call["toolUseId"]})
        elif not event.cancel_tool:
            event.cancel_tool = "nothing was recorded for this call"
            self.differences.append(f"tool {call['name']!r} was never called with {short(call['input'])}")


def _asked(call: Mapping[str, Any]) -> tuple[str, bytes]:
    return call["name"], orjson.dumps(call["input"], default=repr, option=orjson.OPT_SORT_KEYS)


def blocks_of(kind: str, messages: Iterable[Message]) -> Iterator[Mapping[str, Any]]:
    """What messages have of one kind of content."""
    return (block[kind] for message in messages for block in message["content"] if kind in block)


def _answering(name: str, result: Mapping[str, Any]) -> PythonAgentTool:
    # Hooks may write into it.
    given: Any = deepcopy(dict(result))
    spec: Any = {"name": name, "description": name, "inputSchema": {"json": {"type": "object"}}}
    return PythonAgentTool(name, spec, lambda *_, **__: given)


def _objections(event: BeforeToolCallEvent) -> Iterator[str]:
    name, given = event.tool_use["name"], event.tool_use["input"]
    if event.selected_tool is None:
        yield f"the agent has no tool {name!r} any more"
        return
    declared: Any = event.selected_tool.tool_spec["inputSchema"]
    schema = declared.get("json", declared)
    if not isinstance(given, Mapping):
        return
    for missing in sorted({*schema.get("required", ())} - {*given}):
        yield f"tool {name!r} asks for {missing!r} now, which the model did not give"
    known = schema.get("properties")
    if known is not None and not schema.get("additionalProperties"):
        for unknown in sorted({*given} - {*known}):
            yield f"tool {name!r} takes no {unknown!r} any more, which the model gave"
