"""The record of an agent says which system prompt and which tools it had."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from strands import Agent, tool
from strands.types.session import SessionAgent
from test_redaction import stored_bytes

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager, events
from strands_session_log.lifecycle.in_force import InForce
from strands_session_log.testing.model import ScriptedModel
from support.command_line import Run
from support.strands_agents import add, call, fail, happened

PROMPT = "You answer in one word, à la française."


def talker(log: SessionLog, *script: Any, prompt: Any = PROMPT, tools: Any = (add,), **settings: Any) -> Agent:
    manager = ValkeySessionManager("s", log=log, **settings)
    return Agent(
        model=ScriptedModel(script),
        system_prompt=prompt,
        tools=list(tools),
        session_manager=manager,
        callback_handler=None,
    )


def mirrored(recorder: SessionRecorder, *script: Any, prompt: Any = PROMPT) -> Agent:
    return Agent(
        model=ScriptedModel(script), system_prompt=prompt, tools=[add], hooks=[recorder], callback_handler=None
    )


def in_force(log: SessionLog) -> list[Any]:
    """What each record says of it."""
    return [event.data.get("in_force") for event in happened(log, types="agent.*")]


def sha256(value: Any) -> str:
    """As docs/format.md has it, without this library."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_an_agent_says_from_the_beginning_which_prompt_and_tools_it_has(session_log: SessionLog) -> None:
    agent = talker(session_log, tools=[fail, add])
    (told,) = in_force(session_log)
    specs = {name: agent.tool_registry.registry[name].tool_spec for name in ("add", "fail")}
    assert told == {
        "system_prompt": {"sha256": sha256([{"text": PROMPT}])},
        "tools": {"names": ["add", "fail"], "sha256": sha256(specs)},
    }
    assert session_log.state("s").agents["default"].in_force == told
    assert PROMPT.encode() not in stored_bytes(session_log)


def test_the_same_prompt_and_tools_are_the_same_digests_wherever_they_are_made() -> None:
    def told(prompt: Any, *tools: Any) -> Any:
        return InForce(False).of(Agent(model=ScriptedModel([]), system_prompt=prompt, tools=list(tools)))

    assert told(PROMPT, add, fail) == told([{"text": PROMPT}], fail, add) != told(PROMPT, add)


def test_without_a_prompt_and_tools_it_says_that_there_are_none(session_log: SessionLog) -> None:
    talker(session_log, prompt=None, tools=())
    assert in_force(session_log) == [{"system_prompt": None, "tools": {"names": [], "sha256": sha256({})}}]


def test_what_the_prompt_says_is_kept_for_those_who_ask_for_it(session_log: SessionLog) -> None:
    talker(session_log, record_prompts=True)
    (told,) = in_force(session_log)
    assert told["system_prompt"]["content"] == [{"text": PROMPT}]
    assert told["system_prompt"]["sha256"] == sha256(told["system_prompt"]["content"])
    record = happened(session_log, types="agent.created")[0]
    assert record.facts() == record.retains() == {}
    session_log.erase("s", 2, reason="why")
    assert PROMPT.encode() not in stored_bytes(session_log)


def test_a_turn_in_which_nothing_changes_writes_no_record_and_no_append_more(
    session_log: SessionLog, appended: list[list[str]]
) -> None:
    agent = talker(session_log, "One.", "Two.")
    agent("Hello")
    resumed = talker(session_log, "Three.")
    appended.clear()
    resumed("And?")
    assert len(in_force(session_log)) == 1
    assert appended == [
        ["invocation.started", "message.added"],
        ["message.added", "invocation.completed"],
    ]


def test_another_prompt_or_tool_is_told_with_the_message_that_follows(
    session_log: SessionLog, appended: list[list[str]]
) -> None:
    agent = talker(session_log, "One.", "Two.")
    appended.clear()
    agent.system_prompt = "You answer at length."
    agent("Hello")
    assert appended[0] == ["invocation.started", "message.added", "agent.updated"]
    agent.tool_registry.register_tool(fail)
    agent("Hello")
    told = in_force(session_log)
    assert len(told) == 3
    assert [one["tools"]["names"] for one in told] == [["add"], ["add"], ["add", "fail"]]
    assert len({one["system_prompt"]["sha256"] for one in told}) == 2
    difference = session_log.diff("s", 2).agents["default"].record
    assert {change.path[:2] for change in difference} == {("in_force", "system_prompt"), ("in_force", "tools")}


def test_a_prompt_or_tool_that_is_edited_in_place_is_told_like_another(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt: Any = [{"text": PROMPT}]
    spec: Any = {**count.tool_spec, "inputSchema": {"json": {"type": "object"}}}
    monkeypatch.setattr(count, "_tool_spec", spec)
    agent = talker(session_log, "One.", "Two.", "Three.", prompt=prompt, tools=[count])
    agent("Hello")
    getattr(agent, "system_prompt_content", prompt)[0]["text"] = "You answer at length."
    agent("Hello")
    spec["inputSchema"]["json"]["type"] = "string"
    agent("Hello")
    told = in_force(session_log)
    assert [one["tools"]["sha256"] for one in told[1:]] == [told[0]["tools"]["sha256"], sha256({"count": spec})]
    assert [one["system_prompt"]["sha256"] for one in told[1:]] == [sha256([{"text": "You answer at length."}])] * 2


def test_a_tool_that_only_one_call_has_for_its_output_changes_nothing(session_log: SessionLog) -> None:
    pydantic = pytest.importorskip("pydantic")
    pytest.importorskip("strands.tools.structured_output")
    Number = pydantic.create_model("Number", value=(int, ...))
    agent: Any = talker(session_log, [call("Number", value=3)])
    try:
        result = agent("A number.", structured_output_model=Number)
    except TypeError:
        pytest.skip("this version of Strands gives no structured output in a call")
    assert result.structured_output.value == 3
    assert len(in_force(session_log)) == 1


def test_a_record_from_before_resumes_as_ever_and_is_told_with_the_next_message(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    agent = Agent(model=ScriptedModel(["Hi."]), session_manager=manager, callback_handler=None)
    agent.state.set("luggage", "hand")
    agent("Hello")
    record = dict(session_log.state("s").agents["default"].record or {})
    del record["in_force"]
    session_log.append("s", events.AgentUpdated(record, "default"))
    resumed = talker(session_log, "And hi.")
    assert (resumed.messages, resumed.state.get()) == (agent.messages, {"luggage": "hand"})
    resumed("And?")
    assert [one and one["tools"]["names"] for one in in_force(session_log)][-2:] == [None, ["add"]]


def test_strands_takes_the_record_for_one_of_its_own(session_log: SessionLog) -> None:
    talker(session_log, record_prompts=True)
    record = session_log.state("s").agents["default"].record
    assert SessionAgent.from_dict(dict(record or {})).agent_id == "default"
    read = ValkeySessionManager("s", log=session_log).read_agent("s", "default")
    assert read is not None
    assert "in_force" not in vars(read)


def test_a_recorder_says_it_too(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s", record_prompts=True)
    agent = mirrored(recorder, "One.", "Two.")
    agent("Hello")
    agent.system_prompt = None
    agent("Hello")
    assert recorder.close()
    told = in_force(session_log)
    assert [one["system_prompt"] and one["system_prompt"]["content"] for one in told] == [[{"text": PROMPT}], None]


@tool
def count(word: str) -> int:
    """Count letters."""
    return len(word)


def test_specs_are_looked_into_only_where_they_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(model=ScriptedModel([]), system_prompt=PROMPT, tools=[count, fail])
    one = InForce(False)
    told = one.of(agent)
    assert all(one.of(agent) is told for _ in range(3))
    monkeypatch.setattr(count, "_tool_spec", {**count.tool_spec, "description": "Count."})
    assert one.of(agent) != told


def test_a_tool_that_cannot_be_written_down_is_named_all_the_same(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count, "_tool_spec", {**count.tool_spec, "annotations": {"made_by": object}})
    agent = talker(session_log, "Hi.", tools=[count])
    agent("Hello")
    (told,) = in_force(session_log)
    assert told == {
        "system_prompt": {"sha256": sha256([{"text": PROMPT}])},
        "tools": {"names": ["count"], "sha256": None},
    }


def test_an_agent_that_will_not_say_is_written_without_it_or_with_what_it_said_last() -> None:
    class Rude(Agent):
        def __getattribute__(self, name: str) -> Any:
            if name in refuses:
                raise RuntimeError("no")
            return super().__getattribute__(name)

    refuses: set[str] = set()
    one, agent = InForce(False), Rude(model=ScriptedModel([]), system_prompt=PROMPT)
    assert InForce(False).of(object()) is None
    told = one.of(agent)
    refuses.add("tool_registry")
    assert one.of(agent) is told
    # It cleans up with that when it goes.
    refuses.clear()


def test_the_command_line_tells_it_where_it_changes(log: SessionLog, run: Run) -> None:
    agent = talker(log, "One.", "Two.", tools=[add, fail])
    agent("Hello")
    agent.system_prompt = None
    agent("Hello")
    first = sha256([{"text": PROMPT}])[:12]
    assert first in "".join(run("events", "s").stdout.split())
    shown = " ".join(run("replay", "s").stdout.split())
    assert [shown.count(f"system prompt: {prompt}, tools: add, fail") for prompt in (first, "none")] == [1, 1]
    assert json.loads(run("show", "s", "--json").stdout)["agents"]["default"]["in_force"] == in_force(log)[-1]
