"""Strands' hook events as events of the log: what was called, how it ended, how long it took.

What people were asked and answered, and what errors say, is content: it stands in their bodies, where it can be erased,
and none of what is told of them elsewhere has it.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias, get_args

from opentelemetry import trace
from opentelemetry.context import get_current

from .. import events
from ..errors import check_choice
from ..errors.quoting import text_of
from ..events import Event
from ..randomness import random_bytes
from .storable import storable

Record: TypeAlias = Literal["all", "state"]
"""What is recorded of an agent: all that happens, or only what resuming needs."""
_RECORDS = get_args(Record)


def records_facts(record: Record) -> bool:
    """Whether invocations, model calls and tools are events too.

    Raises:
        InvalidSettingError: When it is neither.
    """
    check_choice("record", record, _RECORDS)
    return record == "all"


class Facts:
    """Turns the hook events of one agent into events of the log; remembers when things began.

    Args:
        agent_id: The agent.

    Attributes:
        has_redacted: Whether a guardrail has redacted anything in the call: then no error of it is told with its text,
            which may quote that.
    """

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self._invocation, self._invoked_at, self._usage = "", 0.0, dict[str, int]()
        self._attempt, self._asked_at = 0, 0.0
        self._asked, self._answer = 0, list[Event]()
        self._tools: dict[str, float] = {}
        self.has_redacted = False
        self._told: dict[type[events.Known], set[str]] = {}

    def invocation_started(self, hook: Any) -> list[Event]:
        """The agent was called; a human may have answered its interrupts."""
        self._invocation, self._invoked_at, self._usage = _token(), time.monotonic(), _usage(hook.agent)
        self._attempt, self._asked, self.has_redacted = 0, 0, False
        answered = self.interrupts_answered(hook.agent)
        started = self._event(events.InvocationStarted, {"invocation": self._invocation})
        return [*self._answered(), started, *answered]

    def invocation_ended(self, hook: Any) -> list[Event]:
        """The call returned, raised, was cancelled, or waits for a human."""
        raised = self.interrupts_raised(hook.agent)
        result, error = getattr(hook, "result", None), sys.exc_info()[1]
        if not hasattr(hook, "result") and isinstance(error, GeneratorExit):
            # Old versions of Strands close their own stream once it has brought the result.
            error = None
        data: dict[str, Any] = {"invocation": self._invocation}
        data.update(duration_ms=_since(self._invoked_at), usage=_told(_spent(self._usage, _usage(hook.agent))))
        if result is None and error is not None:
            cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
            data.update(error_of(error, self.has_redacted), cancelled=cancelled)
            return [*self._answered(), *raised, self._event(events.InvocationFailed, data)]
        data.update(stop_reason=getattr(result, "stop_reason", None))
        trace, answer = current_traceparent(), self._answered()
        if answer and (told := _told_of(answer[0], data, trace)) is not None:
            data, answer = {**data, **told}, []
        return [*answer, *raised, events.InvocationCompleted(data, self.agent_id, trace=trace)]

    def model_asked(self) -> list[Event]:
        """A model call begins; only how it ends is worth an event. The one before was not the only one of the call."""
        self._attempt, self._asked, self._asked_at = self._attempt + 1, self._asked + 1, time.monotonic()
        return self._answered()

    def _answered(self) -> list[Event]:
        """The answer that waits for the end of the call, which tells of it if it was the only one."""
        answer, self._answer = self._answer, []
        return answer

    def model_ended(self, hook: Any) -> list[Event]:
        """The model answered or raised; hooks may have asked for another try.

        The first answer waits for the end of the call, unless tools are called, or it is asked again: more is to come.
        """
        data: dict[str, Any] = {"duration_ms": _since(self._asked_at), "attempt": self._attempt, **_model(hook.agent)}
        retry, response = bool(getattr(hook, "retry", False)), hook.stop_response
        if response is None:
            data.update(error_of(hook.exception, self.has_redacted), retried=retry)
            return [self._event(events.ModelFailed, data)]
        if not retry:
            self._attempt = 0
        metadata = _mapping(response.message.get("metadata"))
        latency = _mapping(metadata.get("metrics")).get("latencyMs")
        data.update(stop_reason=response.stop_reason, discarded=retry, usage=_told(_mapping(metadata.get("usage"))))
        told = [self._event(events.ModelCompleted, {**data, "latency_ms": latency})]
        if self._asked > 1 or retry or response.stop_reason == "tool_use":
            return told
        self._answer = told
        return []

    def tool_started(self, hook: Any) -> list[Event]:
        """A tool is about to run."""
        tool_use_id = hook.tool_use["toolUseId"]
        self._tools[tool_use_id] = time.monotonic()
        started = self._event(events.ToolStarted, {"name": hook.tool_use["name"], "tool_use_id": tool_use_id})
        return [*self._answered(), started]

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
        told = error_of(error, self.has_redacted) if error else _reported(hook.result, self.has_redacted)
        return [self._event(events.ToolFailed, {**data, **told, "cancelled": cancelled})]

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
        said = "response" if answered else "reason"
        calls = _calls(source)
        return [self._event(kind, _interrupt(one, said, calls)) for one in pending if one.id not in told]

    def _event(self, kind: type[events.Known], data: Mapping[str, Any]) -> Event:
        return kind(data, self.agent_id, trace=current_traceparent())


def current_traceparent() -> str:
    """The active OpenTelemetry span as a W3C traceparent (https://www.w3.org/TR/trace-context/); empty if none is."""
    if not (here := get_current()):
        # As it is where nobody traces.
        return ""
    context = trace.get_current_span(here).get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def error_of(error: BaseException, has_redacted: bool = False) -> dict[str, Any]:
    """What is told of an error: which it is and, unless it may quote what was redacted, what it says."""
    return {"error": type(error).__name__, **_error_text(text_of(error), has_redacted)}


def _reported(result: Any, has_redacted: bool) -> dict[str, Any]:
    """The same where a tool reports one, or was cancelled."""
    content = _mapping(result).get("content")
    texts = [_mapping(block).get("text") for block in (content if isinstance(content, list) else ())]
    told = " ".join(text for text in texts if isinstance(text, str))
    return {"error": None, **_error_text(text_of(told), has_redacted)}


def _error_text(text: str, has_redacted: bool) -> dict[str, str]:
    return {"error_text": text} if text and not has_redacted else {}


def _model(agent: Any) -> dict[str, str]:
    """What the model is called, if it says so."""
    for ask in ("get_config", "config"):
        with suppress(Exception):
            told = getattr(agent.model, ask)
            name = (told() if callable(told) else told)["model_id"]
            if isinstance(name, str) and name:
                return {"model_id": text_of(name)}
    return {}


def _interrupt(interrupt: Any, said: str, calls: list[str]) -> dict[str, Any]:
    """What it is called, what a person was asked or has answered, and the calls of tools that wait for that."""
    data: dict[str, Any] = {"id": interrupt.id, "name": interrupt.name}
    if calls:
        data["tool_use_ids"] = calls
    value = getattr(interrupt, said, None)
    return data if value is None else {**data, said: storable(value)}


def _calls(source: Any) -> list[str]:
    """The calls of tools that an agent keeps while it waits for a person: all of a message wait for each answer."""
    state = source._interrupt_state
    of_old = _mapping(getattr(state, "context", None)).get("tool_use_message")
    message = getattr(getattr(state, "pending_tool_execution", None), "assistant_message", of_old)
    blocks = map(_mapping, _mapping(message).get("content") or ())
    return [_mapping(block["toolUse"]).get("toolUseId", "") for block in blocks if "toolUse" in block]


def answered(agent: Any) -> list[str]:
    """The ids of the interrupts whose answers an agent goes on from."""
    return [one.id for one in _interrupts(agent) if one.response is not None]


def _interrupts(agent: Any) -> list[Any]:
    state = getattr(agent, "_interrupt_state", None)
    if state is None or not getattr(state, "activated", False):
        return []
    return list(state.interrupts.values())


def _told_of(answer: Event, ended: Mapping[str, Any], trace: str) -> dict[str, Any] | None:
    """What the end of a call tells of its only model call; None where these ended differently, or cost another sum."""
    said = answer.data
    if any(ended[name] != said[name] for name in ("stop_reason", "usage")):
        return None
    told = {name: said[name] for name in ("model_id", "latency_ms") if said.get(name) is not None}
    if answer.trace != trace:
        told["model_trace"] = answer.trace
    return {"model_ms": said["duration_ms"], **told}


def _token() -> str:
    return base64.urlsafe_b64encode(random_bytes()[:6]).decode()


def _usage(agent: Any) -> dict[str, int]:
    """Tokens the agent has used so far, as its own metrics count them."""
    usage = getattr(getattr(agent, "event_loop_metrics", None), "accumulated_usage", None)
    return {name: count for name, count in _mapping(usage).items() if isinstance(count, int)}


def _spent(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in after.items()}


def _told(usage: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of tokens: not their total, where that is no more than what was given and what came back."""
    counted = dict(usage)
    with suppress(KeyError, TypeError):
        if counted["totalTokens"] == counted["inputTokens"] + counted["outputTokens"]:
            del counted["totalTokens"]
    return counted


def _since(started: float) -> float:
    return _ms(time.monotonic() - started) or 0.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
