"""The state of a session has what persons were asked and have not answered."""

from __future__ import annotations

import pytest
from strands import Agent
from test_reasons_and_errors import REASON, answered, asker, waits_for_people
from test_waiting_for_people import approve, charge

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import call

pytestmark = waits_for_people


def test_it_has_what_a_person_is_asked_until_that_is_answered(session_log: SessionLog) -> None:
    agent = asker(session_log, [call("charge", amount=10)], "Charged.")
    asked = agent("Pay.")
    (one,) = session_log.state("s").interrupts
    assert (one.agent, one.name, one.reason) == ("default", "approval", REASON)
    assert [one.interrupt_id] == [known.id for known in asked.interrupts or ()]
    agent(answered(asked))
    assert session_log.state("s").interrupts == ()
    assert session_log.state("s", one_before_the_answer(session_log)).interrupts == (one,)


def one_before_the_answer(log: SessionLog) -> int:
    (given,) = log.read("s", types="interrupt.answered")
    return given.id.revision - 1


def test_what_a_node_asks_is_asked_by_its_graph(session_log: SessionLog) -> None:
    multiagent = pytest.importorskip("strands.multiagent")
    node = Agent(name="pay", model=ScriptedModel([call("charge", amount=10)]), tools=[charge], callback_handler=None)
    node.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
    builder = multiagent.GraphBuilder()
    builder.add_node(node, "pay")
    builder.set_entry_point("pay")
    builder.set_execution_timeout(60)
    builder.set_graph_id("shop")
    builder.set_session_manager(ValkeySessionManager("s", log=session_log))
    if builder.build()("Pay.").status.value != "interrupted":
        pytest.skip("this version of Strands has no interrupts in nodes")
    assert [(one.agent, one.name, one.reason) for one in session_log.state("s").interrupts] == [
        ("shop", "approval", "may I?")
    ]
