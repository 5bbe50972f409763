"""What a body leaves out, because the entry around it says it already, or because it is nearly always the same.

Strands' records repeat in every message when it was written, and in every record of an agent whose it is. An event that
is read has it all. The first of the fields tells: only where it is left out, others may be. What outlives an erasure
stands in the clear beside the body, and not in it a second time. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson

from .values import WRAPPED

Change: TypeAlias = Callable[[dict[str, Any], str, str], None]
"""Changes the data of an event, JSON values, that has an agent and a time."""


def shorten(type_: str, agent: str, time: str, data: dict[str, Any], retained: Mapping[str, Any]) -> None:
    """Take out of the data of an event, JSON values, what need not be written."""
    if change := _SHORTEN.get(type_):
        change(data, agent, time)
    if retained:
        for name in _MEMBERS.get(type_, retained):
            if name in retained and name in data and data[name] == retained[name]:
                del data[name]


def complete(type_: str, agent: str, time: str, retained: Mapping[str, Any], data: Any) -> None:
    """The reverse of `shorten`, for data that was not erased."""
    if type(data) is not dict or WRAPPED in data:
        return
    if retained:
        for name in _MEMBERS.get(type_, retained):
            if name in retained and name not in data:
                data[name] = retained[name]
    if change := _COMPLETE.get(type_):
        change(data, agent, time)


def _shorten_message(data: dict[str, Any], agent: str, time: str) -> None:
    if "message_id" in data and _has_times(data) and data.get("redact_message", ...) is None:
        del data["redact_message"]
        _shorten_times(data, time)


def _complete_message(data: dict[str, Any], agent: str, time: str) -> None:
    if "message_id" in data and "redact_message" not in data:
        data["redact_message"] = None
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _shorten_agent(data: dict[str, Any], agent: str, time: str) -> None:
    is_whole = "conversation_manager_state" in data and "_internal_state" in data and _has_times(data)
    if is_whole and data.get("agent_id") == agent:
        del data["agent_id"]
        # Compared as JSON, in which `0` is not `false`.
        if _text(data["_internal_state"]) == _text(_idle()):
            del data["_internal_state"]
        _shorten_times(data, time)


def _complete_agent(data: dict[str, Any], agent: str, time: str) -> None:
    if "conversation_manager_state" in data and "agent_id" not in data:
        data["agent_id"] = agent
        if "_internal_state" not in data:
            data["_internal_state"] = _idle()
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _has_times(data: dict[str, Any]) -> bool:
    return "created_at" in data and "updated_at" in data


def _shorten_times(data: dict[str, Any], time: str) -> None:
    for name in ("created_at", "updated_at"):
        if data[name] == time:
            del data[name]


def _idle() -> dict[str, Any]:
    """The internal state of an agent that waits for nobody, and whose model keeps no conversation itself."""
    return {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


_MESSAGES = ("message.added", "message.updated", "message.redacted")
_MEMBERS = dict.fromkeys(_MESSAGES, ("message_id",))
"""What of what is retained is a member of the data: all, but for the role of a message, which stands in the message."""
_AGENTS = [f"agent.{happened}" for happened in ("created", "updated")]
_SHORTEN: dict[str, Change] = dict.fromkeys(_MESSAGES, _shorten_message) | dict.fromkeys(_AGENTS, _shorten_agent)
_COMPLETE: dict[str, Change] = dict.fromkeys(_MESSAGES, _complete_message) | dict.fromkeys(_AGENTS, _complete_agent)
