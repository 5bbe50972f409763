"""Strands' hook events as facts: what was called, how it ended, how long it took. Never content."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any, Literal, TypeAlias, get_args

from opentelemetry import trace

from .. import events
from ..errors import check_choice
from ..events import Event

Record: TypeAlias = Literal["all", "state"]
"""What is recorded of an agent: all that happens, or only what resuming needs."""


def records_facts(record: Record) -> bool:
    """Whether invocations, model calls and tools are events too.

    Raises:
        InvalidSettingError: When it is neither.
    """
    check_choice("record", record, get_args(Record))
    return record == "all"


class Facts:
    """Turns the hook events of one agent into events of the log; remembers when things began.

    Args:
        agent_id: The agent.
    """

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self._invocation, self._invoked_at, self._usage = "", 0.0, dict[str, int]()
        self._attempt, self._asked_at = 0, 0.0
        self._tools: dict[str, float] = {}
        self._told: dict[type[events.Known], set[str]] = {}

    def invocation_started(self, hook: Any) -> list[Event]:
        """The agent was called; a human may have answered its interrupts."""
        self._invocation, self._invoked_at, self._usage = token_urlsafe(9), time.monotonic(), _usage(hook.agent)
        self._attempt, answered = 0, self.interrupts_answered(hook.agent)
        return [self._event(events.InvocationStarted, {"invocation": self._invocation}), *answered]

    def invocation_ended(self, hook: Any) -> list[Event]:
        """The call returned, raised, was cancelled, or waits for a human."""
        raised = self.interrupts_raised(hook.agent)
        result, error = getattr(hook, "result", None), sys.exc_info()[1]
        if not hasattr(hook, "result") and isinstance(error, GeneratorExit):
            # Old versions of Strands close their own stream once it has brought the result.
            error = None
        data: dict[str, Any] = {"invocation": self._invocation}
        data.update(duration_ms=_since(self._invoked_at), usage=_spent(self._usage, _usage(hook.agent)))
        if result is None and error is not None:
            cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
            data.update(error=type(error).__name__, cancelled=cancelled)
            return [*raised, self._event(events.InvocationFailed, data)]
        data.update(stop_reason=getattr(result, "stop_reason", None))
        return [*raised, self._event(events.InvocationCompleted, data)]

    def model_asked(self) -> None:
        """A model call begins; only how it ends is worth an event."""
        self._attempt, self._asked_at = self._attempt + 1, time.monotonic()

    def model_ended(self, hook: Any) -> list[Event]:
        """The model answered or raised; hooks may have asked for another try."""
        data: dict[str, Any] = {"duration_ms": _since(self._asked_at), "attempt": self._attempt}
        retry, response = bool(getattr(hook, "retry", False)), hook.stop_response
        if response is None:
            data.update(error=type(hook.exception).__name__, retried=retry)
            return [self._event(events.ModelFailed, data)]
        if not retry:
            self._attempt = 0
        metadata = _mapping(response.message.get("metadata"))
        latency = _mapping(metadata.get("metrics")).get("latencyMs")
        data.update(stop_reason=response.stop_reason, discarded=retry, usage=dict(_mapping(metadata.get("usage"))))
        return [self._event(events.ModelCompleted, {**data, "latency_ms": latency})]

    def tool_started(self, hook: Any) -> list[Event]:
        """A tool is about to run."""
        tool_use_id = hook.tool_use["toolUseId"]
        self._tools[tool_use_id] = time.monotonic()
        return [self._event(events.ToolStarted, {"name": hook.tool_use["name"], "tool_use_id": tool_use_id})]

    def tool_ended(self, hook: Any) -> list[Event]:
        """A tool returned, raised, or was cancelled."""
        tool_use_id = hook.tool_use["toolUseId"]
        status = _mapping(hook.result).get("status")
        duration = getattr(hook, "duration", None)
        started = self._tools.pop(tool_use_id, None)
        data: dict[str, Any] = {
            "name": hook.tool_use["name"],
            "tool_use_id": tool_use_id,
            "status": status,
            "duration_ms": _since(started) if duration is None and started is not None else _ms(duration),
        }
        error, cancelled = getattr(hook, "exception", None), getattr(hook, "cancel_message", None) is not None
        if error is None and not cancelled and status != "error":
            return [self._event(events.ToolCompleted, data)]
        data.update(error=type(error).__name__ if error else None, cancelled=cancelled)
        return [self._event(events.ToolFailed, data)]

    def prime(self, source: Any) -> None:
        """Note the interrupts of a resumed agent or orchestrator: they were told before it was killed."""
        self._news(events.InterruptRaised, source, answered=False)
        self._news(events.InterruptAnswered, source, answered=True)

    def interrupts_raised(self, source: Any) -> list[Event]:
        """Interrupts of an agent or orchestrator that nobody was told of and a human has to answer."""
        return self._news(events.InterruptRaised, source, answered=False)

    def interrupts_answered(self, source: Any) -> list[Event]:
        """Interrupts a human has answered since."""
        return self._news(events.InterruptAnswered, source, answered=True)

    def _news(self, kind: type[events.Known], source: Any, answered: bool) -> list[Event]:
        """Interrupts not told of yet, which then are; what is not pending any more may happen anew."""
        told, interrupts = self._told.pop(kind, set()), _interrupts(source)
        if not interrupts:
            return []
        pending = [one for one in interrupts if (one.response is not None) == answered]
        self._told[kind] = {one.id for one in pending}
        return [self._event(kind, {"id": one.id, "name": one.name}) for one in pending if one.id not in told]

    def _event(self, kind: type[events.Known], data: Mapping[str, Any]) -> Event:
        return kind(data, self.agent_id, trace=current_traceparent())


def current_traceparent() -> str:
    """The active OpenTelemetry span as a W3C traceparent (https://www.w3.org/TR/trace-context/); empty if none is."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def answered(agent: Any) -> list[str]:
    """The ids of the interrupts whose answers an agent goes on from."""
    return [one.id for one in _interrupts(agent) if one.response is not None]


def _interrupts(agent: Any) -> list[Any]:
    state = getattr(agent, "_interrupt_state", None)
    if state is None or not getattr(state, "activated", False):
        return []
    return list(state.interrupts.values())


def _usage(agent: Any) -> dict[str, int]:
    """Tokens the agent has used so far, as its own metrics count them."""
    usage = getattr(getattr(agent, "event_loop_metrics", None), "accumulated_usage", None)
    return {name: count for name, count in _mapping(usage).items() if isinstance(count, int)}


def _spent(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in after.items()}


def _since(started: float) -> float:
    return _ms(time.monotonic() - started) or 0.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
