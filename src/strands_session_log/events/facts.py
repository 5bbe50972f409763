"""What goes on around the messages: names, counts, durations; and what was said of it.

What a person was asked and answered, and what an error says, is content, like a message: it stands in the data, and so
in the body, which can be erased. What a feed, a hook or a line in a log tells of an event has none of it: see `TOLD`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..ids import MESSAGE_INDEX_LIMIT
from .event import Known

LONGEST_NAME = 256
REMOVED = "removed"
"""In the end of a call: how many messages the agent's conversation manager has removed by then, in all."""
_INT64 = 1 << 63
_ERROR = re.compile(r"[\w.]{1,200}(?: at [^\s:]{1,200}:[0-9]{1,9})?")
"""The name of an error's class, and where it was raised: no text, which may quote anything."""


def is_short(value: object) -> bool:
    """Whether it is a number, a name, or nothing, as JSON has them: what else somebody has put there may be content."""
    if isinstance(value, str):
        return len(value) <= LONGEST_NAME and (value.isascii() or is_unicode(value))
    return value is None or _is_number(value)


def is_unicode(text: str) -> bool:
    """Whether it holds no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    return isinstance(value, float) and math.isfinite(value)


def counts(usage: Mapping[Any, Any]) -> dict[str, Any]:
    """What is counted, by name, of tokens that a model reports."""
    return {
        name: value
        for name, value in usage.items()
        if isinstance(name, str) and is_short(name) and _is_number(value) and not isinstance(value, bool)
    }


def is_index(value: object) -> bool:
    """Whether a value can be the index of a message."""
    return type(value) is int and -MESSAGE_INDEX_LIMIT < value < MESSAGE_INDEX_LIMIT


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping; an empty one in place of what is none."""
    # Most are dicts, or are not there, and asking an abstract class takes longer than everything around it.
    if type(value) is dict:
        return value
    return value if value is not None and isinstance(value, Mapping) else {}


class Fact(Known):
    """Something that went on around the messages.

    Attributes:
        TOLD: The members of its data that whoever follows the feed is told: names, counts, durations, never content.
    """

    __slots__ = ()
    TOLD: frozenset[str] = frozenset()

    def facts(self) -> dict[str, Any]:
        """What each of its type has, as far as that is short: whoever may append can put anything into an event."""
        data = mapping(self.data)
        told = {name: value for name, value in data.items() if name in self.TOLD and is_short(value)}
        if isinstance(error := told.get("error"), str) and not _ERROR.fullmatch(error):
            del told["error"]
        if isinstance(usage := data.get("usage"), Mapping) and "usage" in self.TOLD:
            told["usage"] = counts(usage)
        return told


class InvocationStarted(Fact):
    """An agent was called: `{"invocation"}`, an id that the end of the call repeats."""

    __slots__ = ()
    TYPE = "invocation.started"
    TOLD = frozenset(("invocation",))


class _InvocationEnded(Fact):
    __slots__ = ()

    @classmethod
    def moved_by(cls, data: Mapping[str, Any]) -> str:
        """The agent, if it tells how much its conversation manager has removed."""
        return "agent" if is_index(data.get(REMOVED)) else ""

    def retains(self) -> dict[str, Any]:
        """How much its conversation manager has removed, if it tells: the agent resumes without that."""
        data = mapping(self.data)
        return {REMOVED: data[REMOVED]} if is_index(data.get(REMOVED)) else {}


class InvocationCompleted(_InvocationEnded):
    """The call returned: `{"invocation", "stop_reason", "duration_ms", "usage"}`.

    A call that took one model call says here what `ModelCompleted` would tell of it, see `model_call`: `model_ms`, its
    duration, `model_id` and `latency_ms`; what else there is to tell is the same. And `removed`, its conversation
    manager's removed count, where nothing else of the agent's record has changed.
    """

    __slots__ = ()
    TYPE = "invocation.completed"
    TOLD = frozenset(("invocation", "stop_reason", "duration_ms", "usage", "model_id", "model_ms", "latency_ms"))


class InvocationFailed(_InvocationEnded):
    """The call raised, or was cancelled: `{"invocation", "error", "cancelled", "duration_ms", "usage"}`.

    And `removed`, as of one that returned. Not told: `error_text`, what the error says.
    """

    __slots__ = ()
    TYPE = "invocation.failed"
    TOLD = frozenset(("invocation", "error", "cancelled", "duration_ms", "usage"))


def model_call(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `model.completed` would have told of the one model call of an agent's call that tells of it in its stead.

    Args:
        data: The data of an `invocation.completed`, or the facts that the feed tells of it.

    Returns:
        The same as the data, or the facts, of a `model.completed`; None where it tells of no model call.
    """
    if "model_ms" not in data:
        return None
    told = {name: data[name] for name in ("model_id", "stop_reason", "usage", "latency_ms") if name in data}
    return {**told, "duration_ms": data["model_ms"]}


class ModelCompleted(Fact):
    """The model answered; not told of the one model call of a call that returned, see `model_call`.

    `{"model_id", "stop_reason", "duration_ms", "attempt", "discarded", "usage", "latency_ms"}`
    """

    __slots__ = ()
    TYPE = "model.completed"
    TOLD = frozenset(("model_id", "stop_reason", "duration_ms", "attempt", "discarded", "usage", "latency_ms"))


class ModelFailed(Fact):
    """The model call raised: `{"model_id", "error", "duration_ms", "attempt", "retried"}`.

    Not told: `error_text`, what the error says.
    """

    __slots__ = ()
    TYPE = "model.failed"
    TOLD = frozenset(("model_id", "error", "duration_ms", "attempt", "retried"))


class ToolStarted(Fact):
    """A tool is about to run: `{"name", "tool_use_id"}`."""

    __slots__ = ()
    TYPE = "tool.started"
    TOLD = frozenset(("name", "tool_use_id"))


class ToolCompleted(Fact):
    """A tool returned: `{"name", "tool_use_id", "status", "duration_ms"}`."""

    __slots__ = ()
    TYPE = "tool.completed"
    TOLD = frozenset(("name", "tool_use_id", "status", "duration_ms"))


class ToolFailed(Fact):
    """A tool raised, reported an error, or was cancelled: as completed, with `{"error", "cancelled"}`.

    Not told: `error_text`, what the error says.
    """

    __slots__ = ()
    TYPE = "tool.failed"
    TOLD = frozenset(("name", "tool_use_id", "status", "duration_ms", "error", "cancelled"))


class InterruptRaised(Fact):
    """An agent waits for a human: `{"id", "name"}`.

    Not told: `reason`, what the human is asked, any JSON value; `tool_use_ids`, the calls of tools that wait for it.
    """

    __slots__ = ()
    TYPE = "interrupt.raised"
    TOLD = frozenset(("id", "name"))


class InterruptAnswered(Fact):
    """A human answered: `{"id", "name"}`.

    Not told: `response`, the answer, any JSON value; `tool_use_ids`, as of what was raised.
    """

    __slots__ = ()
    TYPE = "interrupt.answered"
    TOLD = frozenset(("id", "name"))


class NodeStarted(Fact):
    """A node of a graph or swarm began: `{"node"}`; the agent field is the graph's or swarm's id.

    Whoever calls a node has the graph or swarm from then on: who had it before must not go on.
    """

    __slots__ = ()
    TYPE = "node.started"
    TOLD = frozenset(("node",))

    @classmethod
    def moved_by(cls, data: Mapping[str, Any]) -> str:
        """The graph or swarm."""
        return "multi_agent"


class NodeCompleted(Fact):
    """A node of a graph or swarm ended: `{"node", "status", "duration_ms"}`, and `error` if it failed.

    Not told: `error_text`, what the error says.
    """

    __slots__ = ()
    TYPE = "node.completed"
    TOLD = frozenset(("node", "status", "duration_ms", "error"))


class RecordingGap(Fact):
    """A recorder lost events it could not write in time: `{"lost", "since", "error"}`."""

    __slots__ = ()
    TYPE = "recording.gap"
    TOLD = frozenset(("lost", "since", "error"))
