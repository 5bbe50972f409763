"""What a body leaves out, because the entry around it says it already, or because it is nearly always the same.

Strands' records repeat in every message when it was written, and in every record of an agent whose it is. An event that
is read has it all. The first of the fields tells: only where it is left out, others may be. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

Complete: TypeAlias = Callable[[dict[str, Any], str, str], None]
"""Puts what was left out into the data of an event that was not erased, given its agent and time."""


def shorten(type_: str, agent: str, time: str, data: dict[str, Any]) -> None:
    """Take out of the data of an event what need not be written.

    Args:
        type_: Its type.
        agent: Its agent.
        time: Its time.
        data: Its data as JSON values; changed.
    """
    record, first = _LEFT_OUT.get(type_, ("", ""))
    if not record or record not in data:
        return
    values: dict[str, Any] = {record: data[record]}
    COMPLETE[type_](values, agent, time)
    del values[record]
    if values.keys() <= data.keys() and _is_same(data[first], values[first]):
        for name, value in values.items():
            if _is_same(data[name], value):
                del data[name]


def complete(type_: str, agent: str, time: str, data: Any) -> None:
    """The reverse of `shorten`."""
    if type_ in COMPLETE and type(data) is dict:
        COMPLETE[type_](data, agent, time)


def _complete_message(data: dict[str, Any], agent: str, time: str) -> None:
    if "redact_message" not in data and "message_id" in data:
        data["redact_message"] = None
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _complete_agent(data: dict[str, Any], agent: str, time: str) -> None:
    if "agent_id" not in data and "conversation_manager_state" in data:
        data["agent_id"] = agent
        if "_internal_state" not in data:
            # Of an agent that waits for nobody, and whose model keeps no conversation itself.
            waits = {"interrupts": {}, "context": {}, "activated": False}
            data["_internal_state"] = {"interrupt_state": waits, "model_state": {}}
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _is_same(one: Any, other: Any) -> bool:
    """In JSON `false` is not `0`, which in Python it is."""
    return type(one) is type(other) and one == other and (type(one) is not dict or _text(one) == _text(other))


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


_MESSAGES = [f"message.{happened}" for happened in ("added", "updated", "redacted")]
_AGENTS = [f"agent.{happened}" for happened in ("created", "updated")]
_LEFT_OUT = {
    **dict.fromkeys(_MESSAGES, ("message_id", "redact_message")),
    **dict.fromkeys(_AGENTS, ("conversation_manager_state", "agent_id")),
}
"""By type: a field only a record of Strands has, which is never left out; and the first of those that are."""
COMPLETE: dict[str, Complete] = {
    **dict.fromkeys(_MESSAGES, _complete_message),
    **dict.fromkeys(_AGENTS, _complete_agent),
}
"""By type, for those who read very many."""
