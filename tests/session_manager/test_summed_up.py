"""What lists of sessions tell of agents of Strands: at work, in a tool, asking, failed, killed."""

from __future__ import annotations

import json
import threading
from subprocess import PIPE
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import AgentActivity, SessionInfo, SessionLog, ValkeySessionManager
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.command_line import runner
from support.programs import Program
from support.strands_agents import call, make_agent

waits_for_people = pytest.mark.skipif(
    not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"), reason="this version of Strands has no interrupts"
)

PROCESS = """
import sys
from strands import Agent, tool
from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel

@tool
def charge(amount: int) -> str:
    "Charge somebody."
    print("charging", flush=True)
    sys.stdin.readline()
    return "charged"

manager = ValkeySessionManager("s", log=SessionLog.connect(*sys.argv[1:]))
script = [[{"toolUse": {"name": "charge", "input": {"amount": 10}}}], "Charged."]
Agent(model=ScriptedModel(script), session_manager=manager, tools=[charge], callback_handler=None)("Charge 10.")
"""


def line(log: SessionLog) -> SessionInfo:
    """Session "s", whose count is what its events say."""
    (info,) = log.sessions()
    assert log.verify("s").notes == ()
    return info


def stands(log: SessionLog) -> dict[str, tuple[str, str]]:
    return {one.agent: (one.status, one.name) for one in line(log).agents}


def test_an_agent_is_at_work_in_its_tool_and_at_rest_after_it(session_log: SessionLog) -> None:
    seen = list[SessionInfo]()

    @tool
    def look() -> str:
        """Look at the list."""
        seen.append(line(session_log))
        return "seen"

    make_agent(session_log, [[call("look")], "Done."], tools=[look])("Look.")
    (during,) = seen
    assert [(one.agent, one.status, one.name) for one in during.agents] == [("default", "tool", "look")]
    assert (line(session_log).status, line(session_log).errors, line(session_log).messages) == ("idle", 0, 4)


def test_a_call_that_fails_is_failed_until_the_next_one(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("no"), "Fine."])
    with pytest.raises(Exception, match="no"):
        agent("Hello")
    failed = line(session_log)
    assert failed.activity is not None
    assert failed.activity.since is not None
    assert failed.status == "failed"
    assert session_log.event("s", failed.activity.since).event.type == "invocation.failed"
    assert session_log.sessions(failed=True) == [failed]
    agent("Again")
    assert (line(session_log).status, line(session_log).errors) == ("idle", failed.errors)


@waits_for_people
@pytest.mark.parametrize("record", ["all", "state"])
def test_one_that_asks_a_person_waits_until_it_is_answered(
    session_log: SessionLog, server_url: str, record: Any
) -> None:
    @tool
    def pay() -> str:
        """Pay."""
        return "paid"

    agent = make_agent(session_log, [[call("pay")], "Paid."], manager={"record": record}, tools=[pay])
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), lambda event: event.interrupt("approve") and None)
    (asked,) = agent("Pay.").interrupts
    assert stands(session_log) == {"default": ("answer", "approve" if record == "all" else "")}
    assert len(session_log.sessions(waiting=True)) == 1
    assert asked.id in runner(server_url, session_log.namespace)("why", "s").stdout
    agent([{"interruptResponse": {"interruptId": asked.id, "response": "yes"}}])
    assert stands(session_log) == {"default": ("idle", "")}
    assert session_log.sessions(waiting=True) == []


@waits_for_people
def test_a_rewind_to_where_a_person_was_asked_waits_again(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[call("none")], "Paid."])
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), lambda event: event.interrupt("approve") and None)
    (asked,) = agent("Pay.").interrupts
    waits = session_log.head("s")
    agent([{"interruptResponse": {"interruptId": asked.id, "response": "yes"}}])
    assert line(session_log).status == "idle"
    session_log.rewind("s", waits, allow_unanswered=True)
    assert line(session_log).status == "answer"
    session_log.rewind("s", 1)
    assert line(session_log).status == "idle"


@waits_for_people
def test_a_rewind_from_one_question_to_an_earlier_one_waits_for_that(session_log: SessionLog, server_url: str) -> None:
    run = runner(server_url, session_log.namespace)
    agent = make_agent(session_log, [[call("none")], "Paid.", [call("none")], "Paid."])
    questions = iter(["first", "first", "second"])
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), lambda event: event.interrupt(next(questions)) and None)
    (asked,) = agent("Pay.").interrupts
    waits = session_log.head("s")
    agent([{"interruptResponse": {"interruptId": asked.id, "response": "yes"}}])
    agent("Pay once more.")
    assert stands(session_log) == {"default": ("answer", "second")}
    session_log.rewind("s", waits, allow_unanswered=True)
    assert stands(session_log) == {"default": ("answer", "")}
    (trouble,) = json.loads(run("why", "s", "--json").stdout)["troubles"]
    assert [(one["name"], one["interrupt_id"]) for one in trouble["interrupts"]] == [("first", asked.id)]
    session_log.rewind("s", 1)
    assert stands(session_log) == {"default": ("idle", "")}
    assert "waits" not in run("show", "s").stdout


def test_two_agents_at_once_are_told_apart(session_log: SessionLog) -> None:
    both, seen = threading.Barrier(2, timeout=30), list[dict[str, tuple[str, str]]]()

    @tool
    def meet() -> str:
        """Wait for the other."""
        if both.wait() == 0:
            seen.append(stands(session_log))
        both.wait()
        return "met"

    def run(name: str) -> None:
        manager = ValkeySessionManager("s", log=session_log)
        model = ScriptedModel([[call("meet")], "Done."])
        Agent(agent_id=name, model=model, session_manager=manager, tools=[meet], callback_handler=None)("Meet.")

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [{"one": ("tool", "meet"), "two": ("tool", "meet")}]
    assert stands(session_log) == {"one": ("idle", ""), "two": ("idle", "")}


def test_the_nodes_of_a_graph_are_told_beside_it(session_log: SessionLog) -> None:
    multiagent, seen = pytest.importorskip("strands.multiagent"), list[dict[str, tuple[str, str]]]()

    def say(conversation: Any) -> str:
        seen.append(stands(session_log))
        return "Said."

    builder = multiagent.GraphBuilder()
    builder.add_node(Agent(name="one", model=ScriptedModel(say), callback_handler=None), "one")
    builder.add_node(Agent(name="two", model=ScriptedModel([RuntimeError("no")]), callback_handler=None), "two")
    builder.add_edge("one", "two")
    builder.set_entry_point("one")
    builder.set_graph_id("g")
    builder.set_execution_timeout(60)
    builder.set_session_manager(ValkeySessionManager("s", log=session_log))
    with pytest.raises(Exception, match="no"):
        builder.build()("Go.")
    assert seen[0]["g"] == ("running", "")
    assert stands(session_log)["g:two"] == ("failed", "")
    assert stands(session_log)["g:one"] == ("idle", "")
    assert stands(session_log)["g"][0] != "running"


def test_a_process_that_is_killed_is_silent_from_then_on(session_log: SessionLog, server_url: str) -> None:
    program: Any = Program(["-c", PROCESS, server_url, session_log.namespace], stdin=PIPE, stdout=PIPE)
    assert program.stdout.readline() == b"charging\n"
    program.kill()
    program.wait(timeout=30)
    one = line(session_log).activity
    assert isinstance(one, AgentActivity)
    assert (one.status, one.name) == ("tool", "charge")
    assert one.last_sign == session_log.head("s").time
    make_agent(session_log, ["I was away."])("Hello?")
    assert line(session_log).status == "idle"
