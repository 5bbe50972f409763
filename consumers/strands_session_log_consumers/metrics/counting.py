"""What the feed tells, as Prometheus metrics. A caller that hands in every event once gets every event counted once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from strands_session_log import events

from .facts import CountedEnvelope, facts_of, mapping, number, seconds
from .labels import OTHER, Bounded, one_of

PREFIX = "strands_session_log"
MODEL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0, 120.0)
TOOL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
INVOCATION_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

TOKENS = {
    "inputTokens": "input",
    "outputTokens": "output",
    "cacheReadInputTokens": "cache_read",
    "cacheWriteInputTokens": "cache_write",
}
"""Strands' names, and the label `kind`. Whether `input` includes the cache's is the model provider's choice."""

STOP_REASONS = frozenset(
    {
        "cancelled",
        "checkpoint",
        "content_filtered",
        "end_turn",
        "guardrail_intervened",
        "interrupt",
        "limit_output_tokens",
        "limit_total_tokens",
        "limit_turns",
        "max_tokens",
        "stop_sequence",
        "tool_use",
    }
)
"""Strands' `StopReason`s."""

_AHEAD = 86_400.0
"""Seconds that the server's clock may be ahead: what is later, somebody else wrote, and it would stay the newest."""
_ROLES = frozenset(("user", "assistant"))
_STATUSES = frozenset(("success", "error"))


class Conversations:
    """Counts what agents do.

    Args:
        registry: Where the metrics are registered.
        max_agents: How many agents keep a label of their own.
        max_tools: How many tools do.
        max_models: How many models do.
    """

    def __init__(
        self, registry: CollectorRegistry, max_agents: int = 50, max_tools: int = 100, max_models: int = 50
    ) -> None:
        self._registry, self._models = registry, Bounded(max_models)
        self._agents, self._tools = Bounded(max_agents), Bounded(max_tools)
        self._newest, self._begun = 0.0, set[str]()
        self._counters()
        self._histograms()
        self._rare: tuple[tuple[Counter, tuple[str, ...]], ...] = (
            (self._redactions, ()),
            (self._lost, ()),
            (self._model_calls, ("failed",)),
            (self._invocations, ("failed",)),
            (self._invocations, ("cancelled",)),
        )
        self._count_by_type: dict[str, Callable[[str, Mapping[str, Any]], None]] = {
            "message.added": self._message,
            "message.redacted": lambda agent, facts: self._redactions.labels(agent).inc(),
            "model.completed": self._model_completed,
            "model.failed": self._model_failed,
            "tool.completed": self._tool,
            "tool.failed": self._tool,
            "invocation.completed": self._invocation_completed,
            "invocation.failed": self._invocation,
            "recording.gap": self._gap,
        }

    def count(self, envelopes: Iterable[CountedEnvelope]) -> None:
        """Count events; whatever their facts hold, nothing is raised."""
        for envelope in envelopes:
            agent = self._agents.label(envelope.agent)
            self._events.labels(_type_label(envelope.type), agent).inc()
            if (at := envelope.id.ms / 1000) < time.time() + _AHEAD:
                self._newest = max(self._newest, at)
            count = self._count_by_type.get(envelope.type)
            if count is not None:
                self._begin(agent)
                count(agent, facts_of(envelope))
        self._newest_at.set(self._newest)

    def _counters(self) -> None:
        self._events = self._counter("events", "Events of the log.", "type", "agent")
        for type_ in (events.SessionCreated.TYPE, events.SessionForked.TYPE):
            self._events.labels(type_, "")  # 0 before it happens first, as in `_begin`
        self._messages = self._counter("messages", "Messages said.", "agent", "role")
        self._tokens = self._counter("tokens", "Tokens that models reported.", "agent", "model", "kind")
        self._model_calls = self._counter("model_calls", "Model calls, by stop reason or failure.", "agent", "outcome")
        self._tool_calls = self._counter("tool_calls", "Tool calls.", "tool", "status")
        self._invocations = self._counter(
            "invocations", "Invocations of agents, by stop reason or failure.", "agent", "outcome"
        )
        self._redactions = self._counter("redactions", "Messages that guardrails redacted.", "agent")
        self._lost = self._counter("recording_lost_events", "Events that recorders had to give up.", "agent")
        help_ = "When the newest event that was counted here was appended, by the server's clock."
        self._newest_at = Gauge(f"{PREFIX}_newest_event_timestamp_seconds", help_, registry=self._registry)

    def _histograms(self) -> None:
        self._model_seconds = self._histogram(
            "model_call_duration_seconds", "Time model calls took, as the agent saw them.", MODEL_SECONDS, "agent"
        )
        self._model_latency = self._histogram(
            "model_latency_seconds", "Latency of model calls, as their provider reported it.", MODEL_SECONDS, "agent"
        )
        self._tool_seconds = self._histogram(
            "tool_call_duration_seconds", "Time tool calls took.", TOOL_SECONDS, "tool", "status"
        )
        self._invocation_seconds = self._histogram(
            "invocation_duration_seconds", "Time invocations took.", INVOCATION_SECONDS, "agent"
        )

    def _begin(self, agent: str) -> None:
        """Let what is rare be 0 before it happens first: a counter that begins with 1 has no increase."""
        if agent not in self._begun:
            self._begun.add(agent)
            for counter, labels in self._rare:
                counter.labels(agent, *labels)

    def _message(self, agent: str, facts: Mapping[str, Any]) -> None:
        self._messages.labels(agent, one_of(facts.get("role"), _ROLES)).inc()

    def _model_completed(self, agent: str, facts: Mapping[str, Any]) -> None:
        reason = one_of(facts.get("stop_reason"), STOP_REASONS)
        self._model_calls.labels(agent, "discarded" if facts.get("discarded") is True else reason).inc()
        _observe(self._model_seconds.labels(agent), seconds(facts.get("duration_ms")))
        _observe(self._model_latency.labels(agent), seconds(facts.get("latency_ms")))
        usage, model = mapping(facts.get("usage")), self._models.label(facts.get("model_id"))
        for name, kind in TOKENS.items():
            if (tokens := number(usage.get(name))) is not None:
                self._tokens.labels(agent, model, kind).inc(tokens)

    def _model_failed(self, agent: str, facts: Mapping[str, Any]) -> None:
        self._model_calls.labels(agent, "failed").inc()
        _observe(self._model_seconds.labels(agent), seconds(facts.get("duration_ms")))

    def _tool(self, agent: str, facts: Mapping[str, Any]) -> None:
        tool = self._tools.label(facts.get("name"))
        status = "cancelled" if facts.get("cancelled") is True else one_of(facts.get("status"), _STATUSES)
        self._tool_calls.labels(tool, "error")  # 0 before it happens first, as in `_begin`
        self._tool_calls.labels(tool, status).inc()
        _observe(self._tool_seconds.labels(tool, status), seconds(facts.get("duration_ms")))

    def _invocation_completed(self, agent: str, facts: Mapping[str, Any]) -> None:
        """With the model call it tells of, if it does."""
        self._invocation(agent, facts)
        if (call := events.model_call(facts)) is not None:
            self._model_completed(agent, call)

    def _invocation(self, agent: str, facts: Mapping[str, Any]) -> None:
        self._invocations.labels(agent, _invocation_outcome(facts)).inc()
        _observe(self._invocation_seconds.labels(agent), seconds(facts.get("duration_ms")))

    def _gap(self, agent: str, facts: Mapping[str, Any]) -> None:
        self._lost.labels(agent).inc(number(facts.get("lost")) or 0)

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_, labels, registry=self._registry)

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", help_, labels, buckets=buckets, registry=self._registry)


def _observe(histogram: Histogram, value: float | None) -> None:
    if value is not None:
        histogram.observe(value)


def _type_label(type_: str) -> str:
    if type_ in events.Event.known:
        return type_
    return "custom" if type_.startswith("custom.") else OTHER


def _invocation_outcome(facts: Mapping[str, Any]) -> str:
    if "error" in facts:
        return "cancelled" if facts.get("cancelled") is True else "failed"
    return one_of(facts.get("stop_reason"), STOP_REASONS)
