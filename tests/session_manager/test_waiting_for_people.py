"""A session that waits for a person is a point to go back to, and to begin another session at."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from strands import tool

from strands_session_log import SessionLog, ValkeySessionManager, errors
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call, make_agent

pytestmark = pytest.mark.skipif(
    not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"), reason="this version of Strands has no interrupts"
)


def approve(event: Any) -> None:
    if event.tool_use["name"] == "charge" and event.interrupt("approval", reason="may I?") != "yes":
        event.cancel_tool = "denied"


@tool
def charge(amount: int) -> str:
    """Charge somebody."""
    return f"charged {amount}"


def gated(log: SessionLog, *script: Any, session: str = "s") -> Any:
    from strands import Agent

    manager = ValkeySessionManager(session, log=log)
    model = ScriptedModel(script or ["Charged."])
    agent = Agent(model=model, session_manager=manager, tools=[add, charge], callback_handler=None)
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
    return agent


def waiting(log: SessionLog) -> tuple[int, Any]:
    """A session that waits: its revision, and the answer."""
    stopped = gated(log, "Hello.", [call("add", a=1, b=2), call("charge", amount=10)])
    stopped("Hi.")
    given = answer(stopped("Charge 10."))
    return log.state("s").revision, given


def answer(result: Any, response: str = "yes") -> Any:
    return [{"interruptResponse": {"interruptId": one.id, "response": response}} for one in result.interrupts]


def results(agent: Any) -> list[str]:
    """The text of each tool result an agent holds."""
    return [
        block["toolResult"]["content"][0]["text"]
        for message in agent.messages
        for block in message["content"]
        if "toolResult" in block
    ]


def test_a_session_that_waits_for_a_person_can_be_forked(session_log: SessionLog) -> None:
    waits, given = waiting(session_log)
    gated(session_log)(given)
    session_log.fork("s", waits, "other")
    forked = gated(session_log, "Not then.", session="other")
    given[0]["interruptResponse"]["response"] = "no"
    forked(given)
    assert results(forked) == ["3", "denied"]
    assert results(gated(session_log)) == ["3", "charged 10"]
    assert session_log.verify("other").ok


def test_a_session_goes_back_to_where_it_waited_and_is_answered_again_without_a_complaint(
    session_log: SessionLog, caplog: pytest.LogCaptureFixture
) -> None:
    waits, given = waiting(session_log)
    gated(session_log)(given)
    gated(session_log, "More.")("And?")
    session_log.rewind("s", waits)
    with caplog.at_level(logging.WARNING, logger="strands"):
        again = gated(session_log, "Not then.")
        assert again._interrupt_state.activated
        given[0]["interruptResponse"]["response"] = "no"
        again(given)
        resumed = gated(session_log, "Next.")
        resumed("And now?")
        last = gated(session_log)
    assert [record.message for record in caplog.records] == []
    assert results(again) == ["3", "denied"]
    assert resumed.messages[: len(again.messages)] == again.messages
    assert last.messages == resumed.messages
    assert session_log.verify("s").ok


def test_a_message_is_still_tracked_that_an_agent_holds_after_a_rewind(session_log: SessionLog) -> None:
    waits, given = waiting(session_log)
    gated(session_log)(given)
    session_log.rewind("s", waits)
    agent = gated(session_log, [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "No."}])
    agent(given)
    assert results(agent) == ["[redacted]", "[redacted]"]
    assert gated(session_log).messages == agent.messages


def test_where_a_call_goes_on_from_the_answer_the_session_does_not_wait_for_a_person(session_log: SessionLog) -> None:
    seen: list[int] = []

    @tool
    def look(amount: int) -> str:
        """See where the session stands."""
        seen.append(session_log.state("s").revision)
        return "seen"

    look._tool_spec["name"] = "charge"
    _, given = waiting(session_log)
    agent = make_agent(session_log, tools=[add])
    agent.tool_registry.registry["charge"] = look
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
    agent(given)
    with pytest.raises(errors.UnansweredToolCallsError) as refused:
        session_log.fork("s", seen[0], "other")
    session_log.fork("s", seen[0], "mid", allow_unanswered=True)
    session_log.rewind("s", seen[0], allow_unanswered=True)
    assert results_of_answer(gated(session_log), given) == ["3", "charged 10"]
    assert refused.value.calls == {"default": ["add", "charge"]}


def results_of_answer(agent: Any, given: Any) -> list[str]:
    agent(given)
    return results(agent)


def test_a_session_whose_graph_waits_for_a_person_can_be_forked_and_rewound(session_log: SessionLog) -> None:
    multiagent = pytest.importorskip("strands.multiagent")
    from strands import Agent

    def graph(session: str, *script: Any) -> Any:
        node = Agent(name="one", model=ScriptedModel(script), tools=[charge], callback_handler=None)
        node.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
        builder = multiagent.GraphBuilder()
        builder.add_node(node, "one")
        builder.set_entry_point("one")
        builder.set_graph_id("g")
        builder.set_execution_timeout(60)
        builder.set_session_manager(ValkeySessionManager(session, log=session_log))
        return builder.build()

    stopped = graph("s", [call("charge", amount=10)])("Charge 10.")
    if stopped.status.value != "interrupted":
        pytest.skip("this version of Strands has no interrupts in nodes")
    waits = session_log.state("s").revision
    graph("s", "Charged.")(answer(stopped))
    session_log.fork("s", waits, "other")
    assert graph("other", "Charged.")(answer(stopped)).status.value == "completed"
    session_log.rewind("s", waits)
    assert graph("s", "Denied.")(answer(stopped, "no")).status.value == "completed"
