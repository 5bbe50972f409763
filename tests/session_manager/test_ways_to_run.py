"""Every way Strands can run an agent leaves a session that resumes."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.hooks import HookRegistry

from strands_session_log import SessionLog, events
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call, happened, make_agent

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


def types(log: SessionLog) -> list[str]:
    return [event.type for event in happened(log)]


def test_direct_tool_calls_are_recorded_as_they_happen(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["Hi."], tools=[add])
    agent("Hello")
    agent.tool.add(a=1, b=2)
    assert len(agent.messages) == 6
    assert make_agent(session_log, tools=[add]).messages == agent.messages


class Answer(BaseModel):
    """What structured output is asked for."""

    total: int


def test_structured_output_is_recorded_with_the_tool_call_that_carries_it(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[call("Answer", total=3)]])
    if "structured_output_model" not in inspect.signature(type(agent).invoke_async).parameters:
        pytest.skip("this version of Strands asks models for structured output directly")
    result = agent("Add.", structured_output_model=Answer)
    assert result.structured_output == Answer(total=3)
    assert make_agent(session_log).messages == agent.messages
    assert happened(session_log, types="invocation.completed")


@pytest.mark.skipif(
    hook_event("BeforeToolCallEvent") is None or not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"),
    reason="this version of Strands has no interrupts",
)
@pytest.mark.parametrize("answer_given", ["yes", False, ""])
def test_an_interrupt_is_raised_and_answered_across_a_restart(session_log: SessionLog, answer_given: Any) -> None:
    def approve(event: Any) -> None:
        if event.interrupt("approval", reason="secret reason") != answer_given:
            event.cancel_tool = "denied"

    def agent_with_gate(script: Any) -> Any:
        agent = make_agent(session_log, script, tools=[add])
        agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
        return agent

    result = agent_with_gate([[call("add", a=1, b=2)]])("Add.")
    assert result.stop_reason == "interrupt"
    resumed = agent_with_gate(["It is 3."])
    assert resumed._interrupt_state.activated
    assert list(resumed._interrupt_state.interrupts) == [result.interrupts[0].id]
    answer = [{"interruptResponse": {"interruptId": result.interrupts[0].id, "response": answer_given}}]
    assert str(resumed(answer)).strip() == "It is 3."
    told = happened(session_log, types="interrupt.*")
    assert [(event.type, event.data["name"]) for event in told] == [
        ("interrupt.raised", "approval"),
        ("interrupt.answered", "approval"),
    ]
    assert [event.data.get("reason", event.data.get("response")) for event in told] == ["secret reason", answer_given]
    assert "secret" not in str([event.facts() for event in told])
    assert make_agent(session_log, tools=[add]).messages == resumed.messages


def test_a_call_that_hooks_resume_is_several_invocations(session_log: SessionLog) -> None:
    after = hook_event("AfterInvocationEvent")
    if "resume" not in getattr(after, "__dataclass_fields__", {}):
        pytest.skip("this version of Strands cannot resume from a hook")
    agent, again = make_agent(session_log, ["One.", "Two."]), ["Go on."]
    agent.hooks.add_callback(after, lambda event: setattr(event, "resume", again.pop()) if again else None)
    agent("Start.")
    assert types(session_log).count("invocation.completed") == 2
    assert make_agent(session_log).messages == agent.messages


def test_a_prompt_that_is_retried_appends_the_same_message_twice_and_both_are_kept(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    message: Any = [{"role": "user", "content": [{"text": "Hello"}]}]
    agent(message)
    agent(message)
    assert len(agent.messages) == 4
    assert make_agent(session_log).messages == agent.messages


def test_a_message_strands_merges_into_the_one_before_replaces_it(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One."])
    agent("Hello")
    merged = {**agent.messages[-1], "content": [*agent.messages[-1]["content"], {"text": " And more."}]}
    agent.messages[-1] = merged
    asyncio.run(agent.hooks.invoke_callbacks_async(hook_event("MessageAddedEvent")(agent=agent, message=merged)))
    assert make_agent(session_log).messages == agent.messages
    assert len(session_log.state("s").agents["default"].messages) == 2


def test_a_cancelled_agent_leaves_a_session_that_resumes(session_log: SessionLog) -> None:
    @tool
    def stop() -> str:
        """Cancel the agent."""
        agent.cancel()
        return "stopping"

    agent = make_agent(session_log, [[call("stop")], "Never said."], tools=[stop])
    if not hasattr(agent, "cancel"):
        pytest.skip("this version of Strands cannot cancel")
    assert agent("Stop.").stop_reason == "cancelled"
    assert happened(session_log, types="invocation.completed")[0].data["stop_reason"] == "cancelled"
    assert make_agent(session_log).messages == agent.messages


def test_a_custom_event_beside_a_running_agent_does_not_stop_it(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("First")
    session_log.append("s", events.Custom("custom.feedback", {"score": 5}))
    agent("Second")
    assert make_agent(session_log).messages == agent.messages


def test_a_limit_on_turns_is_told_and_the_session_resumes(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[call("add", a=1, b=2)]] * 5, tools=[add])
    if "limits" not in inspect.signature(type(agent).invoke_async).parameters:
        pytest.skip("this version of Strands has no limits")
    agent("Add forever.", limits={"turns": 2})
    assert happened(session_log, types="invocation.completed")[0].data["stop_reason"] == "limit_turns"
    assert make_agent(session_log, tools=[add]).messages == agent.messages


def test_a_model_call_that_is_tried_again_counts_its_attempts(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("busy"), "Now."])

    def again(event: Any) -> None:
        if event.exception is not None:
            event.retry = True

    agent.hooks.add_callback(hook_event("AfterModelCallEvent"), again)
    agent("Hello")
    told = happened(session_log, types="model.*")
    assert [(event.type, event.data["attempt"]) for event in told] == [("model.failed", 1), ("model.completed", 2)]
    assert told[0].data["retried"] is True


def test_a_state_object_that_was_replaced_is_noticed_by_its_content(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."], state={"mood": "good"})
    agent("First")
    agent.state = type(agent.state)({"mood": "bad"})
    agent("Second")
    assert make_agent(session_log).state.get() == {"mood": "bad"}


def test_each_sync_call_runs_in_a_loop_of_its_own_and_async_calls_share_one(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [f"{number}." for number in range(6)])
    for _ in range(3):
        agent("Sync.")

    async def run() -> None:
        for _ in range(3):
            await agent.invoke_async("Async.")

    asyncio.run(run())
    assert make_agent(session_log).messages == agent.messages


def test_an_agent_used_as_a_tool_is_a_tool_in_the_log_of_its_caller(session_log: SessionLog) -> None:
    child = Agent(name="expert", model=ScriptedModel(["42."]), description="Knows.", callback_handler=None)
    if not hasattr(child, "as_tool"):
        pytest.skip("this version of Strands has no agents as tools")
    agent = make_agent(session_log, [[call("expert", input="What is it?")], "It is 42."], tools=[child])
    agent("Ask.")
    assert [event.data["name"] for event in happened(session_log, types="tool.completed")] == ["expert"]
    assert make_agent(session_log, tools=[child]).messages == agent.messages


def test_what_users_hooks_do_to_a_message_before_the_turn_ends_is_resumed(session_log: SessionLog) -> None:
    def sign(event: Any) -> None:
        if event.message["role"] == "assistant":
            event.message["content"].append({"text": "(signed)"})

    agent = make_agent(session_log, ["Hi."])
    agent.hooks.add_callback(hook_event("MessageAddedEvent"), sign)
    agent("Hello")
    assert agent.messages[-1]["content"][-1] == {"text": "(signed)"}
    assert make_agent(session_log).messages == agent.messages
