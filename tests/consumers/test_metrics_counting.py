"""What the exporter makes of the feed of real agents, and of what nobody expects there."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from strands.hooks import HookRegistry

from strands_session_log import SessionLog, events
from strands_session_log_consumers.metrics.counting import STOP_REASONS, Conversations
from support import talking

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


class Counted:
    """Counters, and what they say."""

    def __init__(self, **options: int) -> None:
        self.registry = CollectorRegistry()
        self.conversations = Conversations(self.registry, **options)

    def of(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"strands_session_log_{name}", labels)

    def feed(self, log: SessionLog) -> Counted:
        self.conversations.count(talking.feed_of(log))
        return self


class Id(NamedTuple):
    ms: int = 1_700_000_000_000


class Odd(NamedTuple):
    """An envelope somebody else wrote."""

    facts: Any
    type: str = "message.added"
    agent: str = "a"
    id: Id = Id()


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_turn_with_tools_is_counted_by_what_happened_in_it(session_log: SessionLog, counted: Counted) -> None:
    talking.travel(session_log, "s")
    counted.feed(session_log)
    assert counted.of("messages_total", agent="guide", role="user") == 3
    assert counted.of("messages_total", agent="guide", role="assistant") == 3
    assert counted.of("model_calls_total", agent="guide", outcome="tool_use") == 2
    assert counted.of("model_calls_total", agent="guide", outcome="end_turn") == 1
    assert counted.of("tool_calls_total", tool="look_up", status="success") == 1
    assert counted.of("tool_calls_total", tool="book", status="error") == 1
    assert counted.of("invocations_total", agent="guide", outcome="end_turn") == 1
    assert counted.of("events_total", type="message.added", agent="guide") == 6


def test_tokens_are_those_the_model_reported_cache_and_all(session_log: SessionLog, counted: Counted) -> None:
    agent = talking.travel(session_log, "s")
    used = agent.event_loop_metrics.accumulated_usage
    counted.feed(session_log)
    model = talking.CachingModel.name
    assert counted.of("tokens_total", agent="guide", model=model, kind="input") == used["inputTokens"] > 0
    assert counted.of("tokens_total", agent="guide", model=model, kind="output") == used["outputTokens"] > 0
    assert counted.of("tokens_total", agent="guide", model=model, kind="cache_read") == 21
    assert counted.of("tokens_total", agent="guide", model=model, kind="cache_write") == 15


def test_durations_are_in_seconds(session_log: SessionLog, counted: Counted) -> None:
    talking.travel(session_log, "s")
    counted.feed(session_log)
    assert counted.of("model_latency_seconds_sum", agent="guide") == pytest.approx(0.003)
    assert counted.of("model_call_duration_seconds_count", agent="guide") == 3
    assert counted.of("tool_call_duration_seconds_count", tool="book", status="error") == 1
    assert 0 < (counted.of("invocation_duration_seconds_sum", agent="guide") or 0) < 60


def test_an_invocation_that_raised_has_failed_with_its_model_call(session_log: SessionLog, counted: Counted) -> None:
    talking.fail(session_log, "s")
    counted.feed(session_log)
    assert counted.of("invocations_total", agent="guide", outcome="failed") == 1
    assert counted.of("model_calls_total", agent="guide", outcome="failed") == 1


def test_what_a_guardrail_redacts_is_counted(session_log: SessionLog, counted: Counted) -> None:
    talking.be_redacted(session_log, "s")
    assert counted.feed(session_log).of("redactions_total", agent="guide") == 1


def test_what_a_recorder_lost_is_counted_in_events(session_log: SessionLog, counted: Counted) -> None:
    talking.lose(session_log, "s")
    assert counted.feed(session_log).of("recording_lost_events_total", agent="guide") == 3


def test_agents_and_tools_beyond_the_limit_share_a_label(session_log: SessionLog) -> None:
    counted = Counted(max_agents=1, max_tools=1)
    talking.travel(session_log, "s")
    counted.feed(session_log)
    session_log.append("s", events.ToolCompleted({"name": "third", "status": "success"}, "second"))
    session_log.append("s", events.ToolCompleted({"name": "fourth", "status": "success"}, "third"))
    counted = Counted(max_agents=1, max_tools=1).feed(session_log)
    assert counted.of("events_total", type="tool.completed", agent="other") == 2
    assert counted.of("tool_calls_total", tool="look_up", status="success") == 1
    assert counted.of("tool_calls_total", tool="other", status="success") == 2


def test_a_name_that_is_longer_than_names_are_has_no_label_of_its_own(counted: Counted) -> None:
    """Each would stand in many lines of what everybody who scrapes is sent."""
    counted.conversations.count([Odd({"name": "t" * 1_000_000}, "tool.completed", "a" * 1_000_000)])
    assert counted.of("tool_calls_total", tool="other", status="other") == 1
    assert counted.of("events_total", type="tool.completed", agent="other") == 1
    counted.conversations.count([Odd({"name": "t" * 256}, "tool.completed", "a" * 256)])
    assert counted.of("tool_calls_total", tool="t" * 256, status="other") == 1
    assert counted.of("events_total", type="tool.completed", agent="a" * 256) == 1


def test_no_label_holds_a_session_or_an_event_of_a_users_own(session_log: SessionLog, counted: Counted) -> None:
    talking.travel(session_log, "sess-4711")
    session_log.append("sess-4711", events.Custom("custom.feedback.x4711", {"score": 5}))
    counted.feed(session_log)
    labels = {value for metric in counted.registry.collect() for one in metric.samples for value in one.labels.values()}
    assert not [label for label in labels if "4711" in label]
    assert counted.of("events_total", type="custom", agent="") == 1


@pytest.mark.parametrize("type_", ["message.added", "model.completed", "tool.failed", "invocation.failed", "x.y"])
@pytest.mark.parametrize(
    "facts",
    [
        {},
        [],
        None,
        {"usage": {"inputTokens": "many", "outputTokens": -3}, "duration_ms": float("nan"), "latency_ms": True},
        {"role": {"a": 1}, "name": ["x"], "status": 7, "stop_reason": [], "error": None, "usage": 3},
    ],
)
def test_facts_that_are_not_what_they_should_be_stop_nothing(counted: Counted, type_: str, facts: Any) -> None:
    counted.conversations.count([Odd(facts, type_)])
    known = "other" if type_ == "x.y" else type_
    assert counted.of("events_total", type=known, agent="a") == 1
    assert counted.of("tokens_total", agent="a", model="other", kind="input") is None


def test_facts_that_cannot_be_read_count_as_none(counted: Counted) -> None:
    class Unreadable:
        type, agent, id = "message.added", "a", Id()

        @property
        def facts(self) -> dict[str, Any]:
            raise ValueError("no JSON")

    counted.conversations.count([Unreadable()])
    assert counted.of("messages_total", agent="a", role="other") == 1


def test_what_is_rare_is_0_before_it_happens_first(session_log: SessionLog, counted: Counted) -> None:
    talking.travel(session_log, "s")
    counted.feed(session_log)
    assert counted.of("redactions_total", agent="guide") == 0
    assert counted.of("invocations_total", agent="guide", outcome="failed") == 0
    assert counted.of("tool_calls_total", tool="look_up", status="error") == 0


def test_the_newest_event_is_the_newest_that_was_ever_seen(counted: Counted) -> None:
    counted.conversations.count([Odd({}, id=Id(5_000)), Odd({}, id=Id(3_000))])
    counted.conversations.count([Odd({}, id=Id(4_000))])
    assert counted.of("newest_event_timestamp_seconds") == 5


def test_every_stop_reason_of_strands_is_known() -> None:
    from typing import get_args

    from strands.types.event_loop import StopReason

    assert set(get_args(StopReason)) <= STOP_REASONS
