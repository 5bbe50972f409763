"""A person's answer counts once, however often it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from strands import Agent, tool
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, errors
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.session_manager import AgentAnsweredError, AgentConflictError
from strands_session_log.testing.model import ScriptedModel
from support.programs import Program
from support.strands_agents import add, call, happened, make_agent

pytestmark = pytest.mark.skipif(
    not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"), reason="this version of Strands has no interrupts"
)


class Till:
    """Charges somebody, once a person has agreed; it takes a while, or until it is done."""

    def __init__(self, seconds: float = 0.3) -> None:
        self.charged: list[int] = []
        self.is_charging, self.is_done = threading.Event(), threading.Event()
        self._seconds = seconds

    def agent(self, log: SessionLog, script: Any = ("Charged.",), **options: Any) -> Any:
        @tool
        def charge(amount: int) -> str:
            """Charge somebody."""
            self.charged.append(amount)
            self.is_charging.set()
            self.is_done.wait(self._seconds)
            return "charged"

        agent = make_agent(log, script, tools=[charge, add], **options)
        agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
        return agent

    def ask(self, log: SessionLog, **options: Any) -> Any:
        """An answer to what an agent waits for."""
        return yes(self.agent(log, [[call("charge", amount=10)]], **options)("Charge 10."))


def approve(event: Any) -> None:
    if event.tool_use["name"] == "charge" and event.interrupt("approval", reason="may I?") != "yes":
        event.cancel_tool = "denied"


def yes(result: Any) -> list[Any]:
    return [{"interruptResponse": {"interruptId": one.id, "response": "yes"}} for one in result.interrupts]


def outcomes(answers: Sequence[Callable[[], Any]], seconds: float, till: Till | None = None) -> list[Any]:
    """What comes of calls made one after another; the tool of a till is done once all others have been refused."""
    found: list[Any] = []
    is_one_left = threading.Event()

    def take(answer: Callable[[], Any]) -> None:
        try:
            found.append(answer())
        except Exception as error:
            found.append(error)
        if len(found) >= len(answers) - 1:
            is_one_left.set()

    threads = [threading.Thread(target=take, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
        time.sleep(seconds)
    is_one_left.wait(timeout=5)
    if till:
        till.is_done.set()
    for thread in threads:
        thread.join()
    return found


def check(till: Till, found: Sequence[Any], log: SessionLog) -> None:
    assert till.charged == [10]
    refused = [one for one in found if isinstance(one, Exception)]
    kinds = [isinstance(one, errors.ConcurrentWriteError) and isinstance(one, SessionException) for one in refused]
    assert kinds == [True] * (len(found) - 1)
    results = [one for one in log.state("s").agents["default"].messages if "toolResult" in str(one.message)]
    assert len(results) == 1
    assert log.verify("s").ok


DISTANCES = [0.0, 0.0, 0.002, 0.005, 0.01, 0.05, 0.15]


@pytest.mark.parametrize("seconds", DISTANCES)
@pytest.mark.parametrize("record", ["all", "state"])
def test_of_two_agents_that_are_given_the_answer_one_runs_the_tool(
    session_log: SessionLog, seconds: float, record: str
) -> None:
    till = Till(seconds=10)
    answer = till.ask(session_log)
    agents = [till.agent(session_log, manager={"record": record}) for _ in range(2)]
    check(till, outcomes([partial(agent, answer) for agent in agents], seconds, till), session_log)


@pytest.mark.parametrize("seconds", DISTANCES)
def test_an_agent_that_is_made_while_the_tool_runs_does_not_run_it_again(
    session_log: SessionLog, seconds: float
) -> None:
    till = Till(seconds=10)
    answer = till.ask(session_log)
    check(till, outcomes([lambda: till.agent(session_log)(answer) for _ in range(3)], seconds, till), session_log)


PROCESS = """
import sys
from strands import Agent, tool
from strands_session_log import SessionLog, ValkeySessionManager, errors
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel

url, namespace, interrupt, till = sys.argv[1:]

@tool
def charge(amount: int) -> str:
    "Charge somebody."
    with open(till, "a") as file:
        print(amount, file=file, flush=True)
    print("charging", flush=True)
    sys.stdin.readline()
    return "charged"

manager = ValkeySessionManager("s", log=SessionLog.connect(url, namespace))
agent = Agent(model=ScriptedModel(["Charged."]), session_manager=manager, tools=[charge], callback_handler=None)
agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), lambda event: event.interrupt("approval"))
print("ready", flush=True)
sys.stdin.readline()
try:
    agent([{"interruptResponse": {"interruptId": interrupt, "response": "yes"}}])
except errors.ConcurrentWriteError as error:
    print("refused", flush=True)
"""


def worker(log: SessionLog, url: str, answer: Any, till: Path) -> Any:
    interrupt = answer[0]["interruptResponse"]["interruptId"]
    program: Any = Program(["-c", PROCESS, url, log.namespace, interrupt, str(till)], stdin=PIPE, stdout=PIPE)
    assert program.stdout.readline() == b"ready\n"
    return program


def go_on(program: Any) -> None:
    program.stdin.write(b"\n")
    program.stdin.flush()


@pytest.mark.parametrize("repeat", range(3))
def test_of_two_processes_that_are_given_the_answer_one_runs_the_tool(
    session_log: SessionLog, server_url: str, tmp_path: Path, repeat: int
) -> None:
    answer, till = Till().ask(session_log), tmp_path / "till"
    programs = [worker(session_log, server_url, answer, till) for _ in range(2)]
    for program in programs:
        go_on(program)
    said = {program.stdout.readline(): program for program in programs}
    assert sorted(said) == [b"charging\n", b"refused\n"]
    go_on(said[b"charging\n"])
    assert [program.wait(timeout=30) for program in programs] == [0, 0]
    assert till.read_text() == "10\n"


def test_an_answer_that_was_taken_by_a_process_that_died_is_given_again_after_a_rewind(
    session_log: SessionLog, server_url: str, tmp_path: Path
) -> None:
    till = Till(seconds=0)
    answer = till.ask(session_log)
    program = worker(session_log, server_url, answer, tmp_path / "till")
    go_on(program)
    assert program.stdout.readline() == b"charging\n"
    program.kill()
    with pytest.raises(AgentAnsweredError, match="rewind") as refused:
        till.agent(session_log)(answer)
    assert till.charged == []
    session_log.rewind("s", refused.value.waiting)
    assert str(till.agent(session_log)(answer)).strip() == "Charged."
    assert till.charged == [10]


def test_a_call_that_was_cancelled_in_the_tool_lets_the_answer_be_given_again(session_log: SessionLog) -> None:
    import asyncio

    entered = asyncio.Event()

    @tool
    async def charge(amount: int) -> str:
        """Charge somebody."""
        entered.set()
        await asyncio.sleep(0 if till.charged else 60)
        till.charged.append(amount)
        return "charged"

    till = Till(seconds=0)
    answer = till.ask(session_log)
    agent = make_agent(session_log, tools=[charge])
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)

    async def cancel() -> None:
        call = asyncio.create_task(agent.invoke_async(answer))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancel())
    assert str(till.agent(session_log)(answer)).strip() == "Charged."
    assert till.charged == [10]


def test_the_answer_is_in_the_log_before_the_tool_runs(session_log: SessionLog, appended: list[list[str]]) -> None:
    till = Till(seconds=0)
    answer = till.ask(session_log)
    appended.clear()
    till.agent(session_log)(answer)
    assert appended[:2] == [["invocation.started", "interrupt.answered", "agent.updated"], ["tool.started"]]
    claim = happened(session_log, types="agent.updated")[1]
    (interrupt,) = claim.data["_internal_state"]["interrupt_state"]["interrupts"].values()
    assert interrupt["response"] == "yes"
    assert "answering" not in session_log.state("s").agents["default"].record  # type: ignore[operator]


def test_a_call_whose_claim_has_an_unknown_outcome_runs_no_tool_and_is_made_again(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = Till(seconds=0)
    answer = till.ask(session_log)
    agent = till.agent(session_log)

    def away(*_: Any) -> Any:
        raise errors.UnknownOutcomeError("s", "no answer")

    with monkeypatch.context() as without_answer:
        without_answer.setattr(session_log._events, "append", away)
        with pytest.raises(SessionException, match="unknown"):
            agent(answer)
    assert till.charged == []
    assert str(agent(answer)).strip() == "Charged."
    assert till.charged == [10]
    assert make_agent(session_log).messages == agent.messages


def test_what_an_application_writes_beside_a_call_does_not_let_the_answer_be_given_again(
    session_log: SessionLog,
) -> None:
    till = Till(seconds=10)
    answer = till.ask(session_log)
    agent = till.agent(session_log)
    running = threading.Thread(target=agent, args=(answer,))
    running.start()
    assert till.is_charging.wait(timeout=30)
    agent.state.set("progress", 1)
    agent._session_manager.sync_agent(agent)
    with pytest.raises(AgentConflictError):
        till.agent(session_log)(answer)
    till.is_done.set()
    running.join()
    assert till.charged == [10]
    assert str(agent.messages[-1]["content"][0]["text"]) == "Charged."


def test_hooks_that_forbid_a_call_leave_the_answer_to_be_given(session_log: SessionLog) -> None:
    def forbid(_: Any) -> None:
        raise PermissionError("not you")

    till = Till(seconds=0)
    answer = till.ask(session_log)
    agent = till.agent(session_log)
    agent.hooks.add_callback(hook_event("BeforeInvocationEvent"), forbid)
    with pytest.raises(PermissionError):
        agent(answer)
    assert str(till.agent(session_log)(answer)).strip() == "Charged."


def test_two_interrupts_may_be_answered_one_after_the_other(session_log: SessionLog) -> None:
    till = Till(seconds=0)
    script: Any = [[call("charge", amount=10), call("charge", amount=20)]]
    stopped = till.agent(session_log, script)("Charge 10 and 20.")
    first, second = yes(stopped)
    assert till.agent(session_log)([first]).stop_reason == "interrupt"
    assert str(till.agent(session_log)([second])).strip() == "Charged."
    assert sorted(till.charged) == [10, 20]


def test_a_plain_call_makes_no_claim(session_log: SessionLog, appended: list[list[str]]) -> None:
    agent: Agent = make_agent(session_log, [[call("add", a=1, b=2)], "3."], tools=[add])
    appended.clear()
    agent("Add.")
    assert appended[0] == ["invocation.started", "message.added"]


class Node(Till):
    """The same in a node of a graph or swarm."""

    def node(self, name: str, *script: Any) -> Agent:
        @tool
        def charge(amount: int) -> str:
            """Charge somebody."""
            self.charged.append(amount)
            self.is_charging.set()
            self.is_done.wait(self._seconds)
            return "charged"

        model = ScriptedModel(script or ["Charged."])
        node = Agent(name=name, model=model, tools=[charge], callback_handler=None)
        node.hooks.add_callback(hook_event("BeforeToolCallEvent"), approve)
        return node

    def running(self, log: SessionLog, make: str, *script: Any, **manager: Any) -> Any:
        if make != "swarm":
            return self.side_by_side(log, ["one"], *script, **manager)
        multiagent = pytest.importorskip("strands.multiagent")
        session_manager = ValkeySessionManager("s", log=log, **manager)
        return multiagent.Swarm([self.node("one", *script)], session_manager=session_manager, id="g")

    def side_by_side(self, log: SessionLog, names: Sequence[str], *script: Any, **manager: Any) -> Any:
        """A graph that begins with all of these nodes at once."""
        builder = pytest.importorskip("strands.multiagent").GraphBuilder()
        for name in names:
            builder.add_node(self.node(name, *script), name)
            builder.set_entry_point(name)
        builder.set_graph_id("g")
        builder.set_execution_timeout(60)
        builder.set_session_manager(ValkeySessionManager("s", log=log, **manager))
        return builder.build()

    def ask_in(self, log: SessionLog, make: str) -> Any:
        stopped = self.running(log, make, [call("charge", amount=10)])("Charge 10.")
        if stopped.status.value != "interrupted":
            pytest.skip("this version of Strands has no interrupts in nodes")
        return yes(stopped)


@pytest.mark.parametrize("make", ["graph", "swarm"])
@pytest.mark.parametrize("record", ["all", "state"])
@pytest.mark.parametrize("is_made_later", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.15])
def test_of_two_graphs_or_swarms_that_are_given_the_answer_one_runs_the_tool(
    session_log: SessionLog, make: str, record: Any, is_made_later: bool, seconds: float
) -> None:
    till = Node(seconds=10)
    answer = till.ask_in(session_log, make)
    ready = None if is_made_later else [till.running(session_log, make, record=record) for _ in range(2)]

    def give(number: int) -> Any:
        running = ready[number] if ready else till.running(session_log, make, record=record)
        return running(answer).status.value

    found = outcomes([partial(give, number) for number in range(2)], seconds, till)
    assert till.charged == [10]
    refused = [one for one in found if isinstance(one, SessionException)]
    assert [isinstance(one, errors.ConcurrentWriteError) for one in refused] == [True]
    assert [one for one in found if one not in refused] == ["completed"]
    assert "answering" not in session_log.state("s").multi_agents["g"]
    assert session_log.verify("s").ok


@pytest.mark.parametrize("record", ["all", "state"])
def test_no_node_of_those_side_by_side_runs_a_tool_before_the_answers_are_claimed(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch, record: Any
) -> None:
    till, nodes = Node(seconds=0), ["one", "two"]
    stopped = till.side_by_side(session_log, nodes, [call("charge", amount=10)])("Charge 10.")
    if stopped.status.value != "interrupted":
        pytest.skip("this version of Strands has no interrupts in nodes")
    running = till.side_by_side(session_log, nodes, record=record)
    charged, append = list[list[int]](), session_log._events.append

    def late(*arguments: Any) -> Any:
        # Time enough for a tool that does not wait.
        till.is_charging.wait(timeout=0.3)
        charged.append(list(till.charged))
        return append(*arguments)

    monkeypatch.setattr(session_log._events, "append", late)
    assert running(yes(stopped)).status.value == "completed"
    assert charged[0] == []
    assert till.charged == [10, 10]


def test_a_graph_that_died_with_the_answer_is_given_it_again_after_a_rewind(session_log: SessionLog) -> None:
    till = Node(seconds=10)
    answer = till.ask_in(session_log, "graph")
    dying = till.running(session_log, "graph")
    # As if its process ended in the tool: nothing of what follows is written.
    running = threading.Thread(target=lambda: outcomes([lambda: dying(answer)], 0))
    running.start()
    assert till.is_charging.wait(timeout=30)
    late = till.running(session_log, "graph")
    with pytest.raises(AgentAnsweredError, match="rewind") as refused:
        late(answer)
    session_log.rewind("s", refused.value.waiting)
    till.is_done.set()
    running.join()
    assert late(answer).status.value == "completed"
    assert till.charged == [10, 10]
    assert session_log.verify("s").ok
