"""A session as `strands-agents-evals` reads it: its own types take it, and its evaluators find in it what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.exports import evals
from strands_session_log.state import IN_FORCE
from strands_session_log.testing import ScriptedModel, write_history
from support.command_line import CALL, RESULT, Run, message


@tool
def forecast(city: str) -> str:
    """Tell the weather."""
    if city == "Atlantis":
        raise LookupError("nobody knows")
    return f"19 °C in {city}"


def call(city: str, number: int) -> list[Any]:
    return [{"toolUse": {"toolUseId": f"t{number}", "name": "forecast", "input": {"city": city}}}]


@pytest.fixture
def spoken(log: SessionLog) -> SessionLog:
    """A session `s` of two invocations; in the second, the tool fails."""
    manager = ValkeySessionManager("s", log=log, record_prompts=True)
    model = ScriptedModel(call("Lisbon", 1), "A light jacket.", call("Atlantis", 2), "I do not know.")
    agent = Agent(model, tools=[forecast], system_prompt="You pack.", session_manager=manager, callback_handler=None)
    picture: Any = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}
    agent([{"text": "What should I pack for Lisbon?"}, picture])
    agent("And for Atlantis?")
    return log


def exported(log: SessionLog, session_id: str = "s") -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(b"".join(evals.export(log, session_id, lambda done, total: None)))
    return found


def test_each_invocation_is_a_trace_with_its_answers_and_tools(spoken: SessionLog) -> None:
    first, second = exported(spoken)["traces"]
    kinds = ["invoke_agent", "inference", "execute_tool", "inference"]
    assert [[span["span_type"] for span in trace["spans"]] for trace in (first, second)] == [kinds] * 2
    agent, asked, tool_span, answered = first["spans"]
    assert agent["user_prompt"] == "What should I pack for Lisbon?"
    assert agent["agent_response"] == "A light jacket."
    assert agent["available_tools"] == [{"name": "forecast"}]
    assert agent["system_prompt"] == "You pack."
    assert agent["metadata"]["stop_reason"] == "end_turn"
    assert [one["text"] for one in asked["messages"][0]["content"]] == ["What should I pack for Lisbon?", "[image]"]
    assert tool_span["tool_call"] == {"name": "forecast", "arguments": {"city": "Lisbon"}, "tool_call_id": "t1"}
    assert tool_span["tool_result"] == {"content": "19 °C in Lisbon", "error": None, "tool_call_id": "t1"}
    assert answered["messages"][0]["content"][0]["content_type"] == "tool_result"
    assert "nobody knows" in second["spans"][2]["tool_result"]["error"]
    ids = [span["span_info"]["span_id"] for trace in (first, second) for span in trace["spans"]]
    assert len(set(ids)) == 8
    assert {span["span_info"]["parent_span_id"] for span in first["spans"]} == {None, ids[0]}


def test_twice_exported_it_is_the_same(spoken: SessionLog) -> None:
    assert exported(spoken) == exported(spoken)


def test_strands_agents_evals_reads_it_and_finds_what_happened(spoken: SessionLog, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("strands_evals", reason="pip install strands-agents-evals")
    from strands_evals.evaluators.deterministic import ToolCalled
    from strands_evals.extractors.trace_extractor import TraceExtractor
    from strands_evals.types.evaluation import EvaluationData
    from strands_evals.types.trace import EvaluationLevel, Session

    path = tmp_path / "s.json"
    run("export", "s", "--to", "evals", str(path))
    session = Session.model_validate_json(path.read_text())
    assert json.loads(session.model_dump_json())["traces"][0]["spans"][0]["user_prompt"]
    answers = TraceExtractor(EvaluationLevel.TRACE_LEVEL).extract(session)
    assert [one.agent_response.text for one in answers] == ["A light jacket.", "I do not know."]
    tools = TraceExtractor(EvaluationLevel.TOOL_LEVEL).extract(session)
    assert [one.tool_execution_details.tool_call.arguments["city"] for one in tools] == ["Lisbon", "Atlantis"]
    whole = TraceExtractor(EvaluationLevel.SESSION_LEVEL).extract(session)
    assert [one.user_prompt.text for one in whole.session_history][1] == "And for Atlantis?"
    data: Any = EvaluationData(input="x", actual_trajectory=session)
    assert [ToolCalled(name).evaluate(data)[0].test_pass for name in ("forecast", "book")] == [True, False]


def test_whatever_a_log_with_history_has_is_read(log: SessionLog) -> None:
    trace = pytest.importorskip("strands_evals.types.trace", reason="pip install strands-agents-evals")
    write_history(log, 5, "1d")
    for name in log.session_ids():
        read = trace.Session.model_validate(exported(log, name))
        assert [one for one in read.traces if one.spans] == read.traces
        assert read.traces


def test_without_invocations_each_question_begins_a_trace(talk: SessionLog) -> None:
    talk.append("s-42", [message(4, "user", "And an umbrella?"), message(5, "assistant", "Not in July.")])
    traces = exported(talk, "s-42")["traces"]
    assert [trace["spans"][0]["agent_response"] for trace in traces] == ["A light jacket.", "Not in July."]
    assert [len(trace["spans"]) for trace in traces] == [4, 2]


def test_an_agent_that_a_tool_calls_is_in_the_trace_of_its_caller(log: SessionLog) -> None:
    def told(kind: Callable[..., events.Event], agent: str, **data: Any) -> events.Event:
        return kind(data, agent)

    log.append("s", told(events.InvocationStarted, "boss", invocation="1"))
    log.append("s", [message(0, "user", "Ask them.", agent="boss"), message(1, "assistant", CALL, agent="boss")])
    log.append("s", told(events.ToolStarted, "boss", name="forecast", tool_use_id="1"))
    log.append("s", told(events.InvocationStarted, "clerk", invocation="2"))
    log.append("s", [message(0, "user", "Well?", agent="clerk"), message(1, "assistant", "19 °C", agent="clerk")])
    log.append("s", told(events.InvocationCompleted, "clerk", invocation="2"))
    log.append("s", told(events.ToolCompleted, "boss", name="forecast", tool_use_id="1"))
    log.append("s", [message(2, "user", RESULT, agent="boss"), message(3, "assistant", "19 °C.", agent="boss")])
    log.append("s", told(events.InvocationCompleted, "boss", invocation="1"))
    (trace,) = exported(log)["traces"]
    boss, clerk = [span for span in trace["spans"] if span["span_type"] == "invoke_agent"]
    assert clerk["span_info"]["parent_span_id"] == boss["span_info"]["span_id"]
    assert boss["span_info"]["parent_span_id"] is None


def test_what_was_erased_or_never_ended_is_told_as_such(spoken: SessionLog) -> None:
    prompt = next(one.id for one in spoken.read("s", types="message.added"))
    spoken.erase("s", prompt, "asked for")
    spoken.append("s", events.InvocationStarted({"invocation": "9"}, "default"))
    first, *_, last = exported(spoken)["traces"]
    assert first["spans"][0]["user_prompt"] == "[erased]"
    assert [span["span_type"] for span in last["spans"]] == ["invoke_agent"]
    assert "Lisbon?" not in json.dumps(exported(spoken))


@pytest.mark.parametrize(
    "junk", [5, {"tools": 5}, {"tools": {"names": 5}}, {"tools": [1]}, {"system_prompt": 7}, {"system_prompt": [1]}]
)
def test_junk_in_the_place_of_what_was_in_force_is_passed_over(log: SessionLog, junk: Any) -> None:
    log.append("s", [events.Custom("custom.note", {IN_FORCE: junk}, "a"), events.InvocationStarted({}, "a")])
    log.append("s", message(0, "user", "hello", agent="a"))
    ((span,),) = [trace["spans"] for trace in exported(log)["traces"]]
    assert (span["user_prompt"], span["available_tools"], span["system_prompt"]) == ("hello", [], None)
