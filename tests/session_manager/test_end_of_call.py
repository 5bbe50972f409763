"""The end of a call tells what would be an event of its own: its only model call, and how much a window dropped."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.hooks import HookRegistry
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, events
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log_consumers.metrics.counting import Conversations
from support import talking
from support.strands_agents import add, call, happened, make_agent

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


def sliding(log: SessionLog, turns: int = 0, **options: Any) -> Any:
    """An agent with a window of two messages, after so many turns."""
    manager = SlidingWindowConversationManager(window_size=2)
    agent = make_agent(log, [f"Answer {number}." for number in range(9)], conversation_manager=manager, **options)
    for number in range(turns):
        agent(f"Question {number}?")
    return agent


def types(log: SessionLog) -> list[str]:
    return [event.type for event in happened(log)]


def test_the_end_of_a_call_tells_of_its_only_model_call(session_log: SessionLog) -> None:
    make_agent(session_log, ["Hi."])("Hello")
    assert "model.completed" not in types(session_log)
    (ended,) = happened(session_log, types="invocation.completed")
    told = events.model_call(ended.data)
    assert told is not None
    assert (told["stop_reason"], told["usage"], told["model_id"]) == ("end_turn", ended.data["usage"], "scripted")
    assert 0 < told["duration_ms"] < ended.data["duration_ms"]
    assert events.model_call(ended.facts()) == told


def test_of_several_model_calls_each_is_told_of(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("add", a=1, b=2)], "3."], tools=[add])("Add.")
    reasons = [event.data["stop_reason"] for event in happened(session_log, types="model.completed")]
    assert reasons == ["tool_use", "end_turn"]
    (ended,) = happened(session_log, types="invocation.completed")
    assert events.model_call(ended.data) is None


def test_a_model_call_is_told_of_though_the_call_fails_after_it(session_log: SessionLog) -> None:
    def refuse(event: Any) -> None:
        if event.message["role"] == "assistant":
            raise RuntimeError("not today")

    agent = make_agent(session_log, ["Hi."])
    agent.hooks.add_callback(hook_event("MessageAddedEvent"), refuse)
    with pytest.raises(Exception, match="not today"):
        agent("Hello")
    assert types(session_log)[-2:] == ["model.completed", "invocation.failed"]


def test_an_answer_that_is_asked_for_again_was_not_the_only_one(session_log: SessionLog) -> None:
    asked: list[Any] = []

    def again(event: Any) -> None:
        asked.append(event)
        event.retry = len(asked) == 1

    agent = make_agent(session_log, ["No.", "Yes."])
    agent.hooks.add_callback(hook_event("AfterModelCallEvent"), again)
    agent("Hello")
    assert [event.data["discarded"] for event in happened(session_log, types="model.completed")] == [True, False]


def test_the_span_of_a_model_call_is_told_where_the_call_has_another(session_log: SessionLog) -> None:
    tracer, agent = TracerProvider().get_tracer("test"), make_agent(session_log, ["Hi."])
    spans: list[Any] = []
    agent.hooks.add_callback(
        hook_event("BeforeModelCallEvent"), lambda event: spans.append(tracer.start_as_current_span("asked"))
    )
    agent.hooks.add_callback(hook_event("BeforeModelCallEvent"), lambda event: spans[0].__enter__())
    agent("Hello")
    (ended,) = happened(session_log, types="invocation.completed")
    told = ended.data.get("model_trace", ended.trace)
    assert told.startswith("00-")


def test_tokens_and_model_calls_are_counted_as_if_they_had_been_told_alone(session_log: SessionLog) -> None:
    make_agent(session_log, ["Hi."])("Hello")
    usage = happened(session_log, types="invocation.completed")[0].data["usage"]
    info = session_log.session("s")
    assert (info.input_tokens, info.output_tokens) == (usage["inputTokens"], usage["outputTokens"])
    assert not session_log.verify("s").notes
    registry = CollectorRegistry()
    Conversations(registry).count(talking.feed_of(session_log))
    labels = {"agent": "default", "outcome": "end_turn"}
    assert registry.get_sample_value("strands_session_log_model_calls_total", labels) == 1
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    told = [sample for sample in samples if sample.name == "strands_session_log_tokens_total"]
    assert [sample.value for sample in told if sample.labels["kind"] == "output"] == [usage["outputTokens"]]


def test_a_window_that_slides_writes_no_record_and_resumes_as_it_was(session_log: SessionLog) -> None:
    agent = sliding(session_log, 4)
    assert not happened(session_log, types=["agent.updated", "window.changed"])
    assert happened(session_log, types="invocation.completed")[-1].data["removed"] == 6
    resumed = sliding(session_log)
    assert resumed.messages == agent.messages
    assert resumed.conversation_manager.removed_message_count == agent.conversation_manager.removed_message_count
    assert session_log.verify("s").ok


def test_so_does_one_whose_agent_has_state_that_json_says_otherwise(session_log: SessionLog) -> None:
    agent = sliding(session_log, 2)
    agent.state.set("sizes", (1, 2))
    for _ in range(2):
        agent("And now?")
    assert len(happened(session_log, types="agent.updated")) == 1
    assert happened(session_log, types="invocation.completed")[-1].data["removed"] == 6


def test_without_facts_the_record_tells_what_the_window_dropped(session_log: SessionLog) -> None:
    agent = sliding(session_log, 3, manager={"record": "state"})
    assert happened(session_log, types="agent.updated")
    assert sliding(session_log, manager={"record": "state"}).messages == agent.messages


def test_what_else_changes_of_a_record_is_written_with_the_count(session_log: SessionLog) -> None:
    agent = sliding(session_log, 2)
    agent.hooks.add_callback(hook_event("AfterInvocationEvent"), lambda event: agent.state.set("mood", "fine"))
    agent("And now?")
    (record,) = happened(session_log, types="agent.updated")
    assert record.data["conversation_manager_state"]["removed_message_count"] == 4
    assert "removed" not in happened(session_log, types="invocation.completed")[-1].data


def test_an_agent_resumes_as_it_was_when_the_end_of_its_call_was_erased(session_log: SessionLog) -> None:
    agent = sliding(session_log, 4)
    last = [one.id for one in session_log.read("s", types="invocation.completed")][-1]
    session_log.erase("s", [last], "test")
    assert sliding(session_log).messages == agent.messages
    assert session_log.verify("s").ok


def test_a_fork_and_a_rewind_bring_back_what_the_window_had_dropped(session_log: SessionLog) -> None:
    agent = sliding(session_log, 3)
    point, held = session_log.head("s"), list(agent.messages)
    assert point is not None
    agent("One more?")
    session_log.fork("s", point, "fork")
    assert session_log.state("fork").agents["default"].window == held
    assert session_log.verify("fork").ok
    session_log.rewind("s", point)
    assert sliding(session_log).messages == held
    assert session_log.verify("s").ok


def test_who_resumed_before_the_count_was_told_does_not_go_on(session_log: SessionLog) -> None:
    agent, early = sliding(session_log, 2), list[Any]()
    agent.hooks.add_callback(hook_event("AfterModelCallEvent"), lambda event: early.append(sliding(session_log)))
    agent("What now?")
    with pytest.raises(SessionException, match="default"):
        early[0]("And me?")
