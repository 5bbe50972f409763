"""Which system prompt and tools an agent has: what its record says of them beside what Strands keeps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from .. import events
from ..codec import to_json
from ..errors import EncodingError
from ..events import Event
from ..state import IN_FORCE

_Seen: TypeAlias = tuple[Any, Any]
_NONE: _Seen = (None, None)


class InForce:
    """Knows it of one agent, and looks anew only where another prompt or another tool is there.

    Args:
        records_prompts: Tell what the system prompt says, too, and not its digest alone.
    """

    def __init__(self, records_prompts: bool) -> None:
        self._records_prompts = records_prompts
        self._seen, self._copied = _NONE, _NONE
        self._told: Mapping[str, Any] | None = None

    def of(self, agent: Any, closely: bool = True) -> Mapping[str, Any] | None:
        """As it stands in a record; what was told last where an agent will not say.

        Args:
            agent: The agent.
            closely: Look into prompt and tools, which may be edited in place; else only whether they are the same ones.
        """
        # Prompts and tools may be of anybody's making.
        with suppress(Exception):
            seen = _system_prompt(agent), _specs(agent)
            if self._told is None or seen != (self._copied if closely else self._seen):
                self._told, self._seen = self._look(*seen), seen
                self._copied = _copy_of(seen)
        return self._told

    def _look(self, prompt: Any, specs: Mapping[str, Any]) -> Mapping[str, Any]:
        said: dict[str, Any] | None = None
        if prompt is not None:
            said = {"sha256": digest(prompt), **({"content": to_json(prompt)} if self._records_prompts else {})}
        tools: dict[str, Any] = {"names": sorted(specs), "sha256": None}
        with suppress(EncodingError):
            tools["sha256"] = digest(specs)
        return {"system_prompt": said, "tools": tools}


def with_in_force(event: Event, in_force: Mapping[str, Any] | None) -> Event:
    """An event with that in it, if it is an agent's record."""
    if in_force is None or not isinstance(event, (events.AgentCreated, events.AgentUpdated)):
        return event
    return type(event)({**event.data, IN_FORCE: in_force}, event.agent, time=event.time, trace=event.trace)


def digest(value: Any) -> str:
    """SHA-256, hexadecimal, of the canonical JSON of a value: UTF-8, keys by their code points, no spaces."""
    return sha256(orjson.dumps(to_json(value), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _copy_of(seen: _Seen) -> _Seen:
    try:
        return copy.deepcopy(seen)
    except Exception:
        # What cannot be copied is not looked into.
        return seen


def _system_prompt(agent: Any) -> Any:
    """As the list of content blocks that Strands makes of it, which old versions do not tell; None if there is none."""
    try:
        return agent.system_prompt_content
    except AttributeError:
        text = agent.system_prompt
        return None if text is None else [{"text": text}]


def _specs(agent: Any) -> dict[str, Any]:
    """What the model is told of each tool; not those that one call brings along, for structured output."""
    return {name: tool.tool_spec for name, tool in agent.tool_registry.registry.items()}
