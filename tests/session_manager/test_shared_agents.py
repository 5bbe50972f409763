"""Agents that are made once, and graphs that are made per request, as web services do."""

from __future__ import annotations

import asyncio
import signal
import threading
import weakref
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

multiagent = pytest.importorskip("strands.multiagent", reason="this version of Strands has no multi-agent persistence")

from strands import Agent, tool  # noqa: E402
from strands.session.session_manager import SessionManager  # noqa: E402
from strands.types.exceptions import SessionException  # noqa: E402

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager  # noqa: E402
from strands_session_log.lifecycle.compat import hook_event  # noqa: E402
from strands_session_log.testing.model import ScriptedModel  # noqa: E402
from support.programs import Program  # noqa: E402
from support.strands_agents import call, happened  # noqa: E402
from support.waiting import wait_until, wait_until_collected  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        not hasattr(SessionManager, "sync_multi_agent"), reason="this version of Strands keeps no orchestrator state"
    ),
    pytest.mark.filterwarnings("ignore:graph has no max_node_executions"),
]


def speaker(name: str, *script: Any, **options: Any) -> Agent:
    script = script or tuple(f"{name} {number}." for number in range(50))
    return Agent(name=name, agent_id=name, model=ScriptedModel(script), callback_handler=None, **options)


def graph(nodes: dict[str, Any], manager: Any = None, graph_id: str = "g") -> Any:
    builder = multiagent.GraphBuilder()
    for name, executor in nodes.items():
        builder.add_node(executor, name)
    for before, after in pairwise(nodes):
        builder.add_edge(before, after)
    builder.set_entry_point(next(iter(nodes)))
    builder.set_graph_id(graph_id)
    if manager is not None:
        builder.set_session_manager(manager)
    return builder.build()


def said(log: SessionLog, session_id: str, name: str) -> list[str]:
    known = log.state(session_id).agents.get(name)
    return [record.shown["content"][0]["text"] for record in known.messages] if known else []


def callbacks(agent: Agent) -> int:
    return sum(len(found) for found in agent.hooks._registered_callbacks.values())


def test_each_request_is_in_its_own_session_and_nothing_is_left_on_the_agent(session_log: SessionLog) -> None:
    one, two = speaker("one"), speaker("two")
    hooks = []
    for number in range(6):
        user = ("alice", "bob")[number % 2]
        graph({"a": one, "b": two}, ValkeySessionManager(user, log=session_log))(f"I am {user}.")
        hooks.append(callbacks(one))
    assert len(set(hooks)) == 1
    for user, other in (("alice", "bob"), ("bob", "alice")):
        texts = " ".join(said(session_log, user, "g:a") + said(session_log, user, "g:b"))
        assert len(said(session_log, user, "g:a")) == 6
        assert f"I am {user}." in texts
        assert other not in texts
        assert session_log.verify(user).ok


def test_requests_that_hand_the_same_state_to_their_graphs_are_told_apart_when_both_wait_for_an_agent(
    session_log: SessionLog,
) -> None:
    shared, state = speaker("one"), dict[str, Any]()
    bob_waits, alice_is_done = threading.Event(), threading.Event()

    async def let_bob_come(_: Any) -> None:
        bob_waits.wait(timeout=30)

    async def let_alice_go_first(_: Any) -> None:
        bob_waits.set()
        alice_is_done.wait(timeout=30)

    def request(user: str, wait: Any) -> None:
        running = graph({"a": shared}, ValkeySessionManager(user, log=session_log))
        running.hooks.add_callback(hook_event("BeforeNodeCallEvent"), wait)
        running(f"I am {user}.", state)

    bob = threading.Thread(target=request, args=("bob", let_alice_go_first))
    bob.start()
    request("alice", let_bob_come)
    alice_is_done.set()
    bob.join()
    assert said(session_log, "alice", "g:a") == ["I am alice.", "one 0."]
    assert said(session_log, "bob", "g:a") == ["I am bob.", "one 1."]


def test_what_an_agent_says_alone_is_in_no_session_of_its_graphs(session_log: SessionLog) -> None:
    one = speaker("one")
    graph({"a": one}, ValkeySessionManager("s", log=session_log))("In the graph.")
    one("Alone.")
    assert "Alone." not in said(session_log, "s", "g:a")
    graph({"a": one}, ValkeySessionManager("s", log=session_log))("Again.")
    assert [text for text in said(session_log, "s", "g:a") if "one" not in text] == ["In the graph.", "Again."]


def test_a_session_that_is_deleted_costs_others_nothing(session_log: SessionLog) -> None:
    one = speaker("one")
    managers = {user: ValkeySessionManager(user, log=session_log) for user in ("alice", "bob")}
    graphs = {user: graph({"a": one}, manager) for user, manager in managers.items()}
    graphs["alice"]("Hello.")
    managers["alice"].delete_session("alice")
    graphs["bob"]("Hello.")
    assert len(said(session_log, "bob", "g:a")) == 2
    assert [found.session_id for found in session_log.sessions()] == ["bob"]


def test_no_manager_or_graph_outlives_its_request(session_log: SessionLog) -> None:
    one, manager = speaker("one"), ValkeySessionManager("s", log=session_log)
    running = graph({"a": one}, manager)
    running("Hello.")
    left = [weakref.ref(manager), weakref.ref(running)]
    del manager, running
    wait_until_collected(*left)


@pytest.mark.parametrize("timeouts", [{}, {"execution_timeout": 30.0, "node_timeout": 30.0}])
def test_a_swarm_per_request(session_log: SessionLog, timeouts: dict[str, float]) -> None:
    one = speaker("one")
    for user in ("alice", "bob", "alice"):
        manager = ValkeySessionManager(user, log=session_log)
        one.tool_registry.registry.pop("handoff_to_agent", None)
        multiagent.Swarm([one], session_manager=manager, id="w", **timeouts)(f"I am {user}.")
    assert [len(said(session_log, user, "w:one")) for user in ("alice", "bob")] == [4, 2]


def test_an_agent_of_two_graphs_that_run_at_once_speaks_in_the_session_of_the_one_it_works_for(
    session_log: SessionLog,
) -> None:
    """Strands lets one of them have it; which one, nobody knows before."""
    answers = [f"Answer {number}." for number in range(20)]
    one = speaker("one", *answers)

    async def main() -> list[Any]:
        graphs = [graph({"a": one}, ValkeySessionManager(user, log=session_log)) for user in ("alice", "bob")]
        calls = (each.invoke_async(f"I am {user}.") for each, user in zip(graphs, ("alice", "bob"), strict=True))
        return await asyncio.gather(*calls, return_exceptions=True)

    for _ in range(10):
        asyncio.run(main())
    for user, other in (("alice", "bob"), ("bob", "alice")):
        assert other not in " ".join(said(session_log, user, "g:a"))
        assert session_log.verify(user).ok


def test_an_agent_called_alone_while_its_graph_waits_for_it_is_not_recorded(session_log: SessionLog) -> None:
    one, entered, go_on = speaker("one"), threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        entered.set()
        go_on.wait(10)

    running = graph({"a": one}, ValkeySessionManager("s", log=session_log))
    running.hooks.add_callback(multiagent.graph.BeforeNodeCallEvent, wait)
    thread = threading.Thread(target=running, args=("In the graph.",))
    thread.start()
    entered.wait(10)
    one("Alone.")
    go_on.set()
    thread.join(10)
    assert said(session_log, "s", "g:a") == ["In the graph.", "one 1."]


def test_one_agent_in_a_graph_and_in_a_graph_within_it(session_log: SessionLog) -> None:
    shared = speaker("shared")
    inner = graph({"deep": shared}, graph_id="inner")
    graph({"outer": inner, "last": shared}, ValkeySessionManager("s", log=session_log))("Go.")
    assert said(session_log, "s", "g:outer:deep")[-1] == "shared 0."
    assert said(session_log, "s", "g:last")[-1] == "shared 1."
    assert "shared 1." not in said(session_log, "s", "g:outer:deep")


def test_nodes_that_are_one_agent_each_run_at_once_in_many_requests(session_log: SessionLog) -> None:
    async def request(user: str) -> None:
        agents = {f"n{number}": speaker(f"n{number}") for number in range(3)}
        builder = multiagent.GraphBuilder()
        for name, agent in agents.items():
            builder.add_node(agent, name)
            builder.set_entry_point(name)
        builder.set_graph_id("g")
        builder.set_session_manager(ValkeySessionManager(user, log=session_log))
        await builder.build().invoke_async(f"I am {user}.")

    async def main() -> None:
        await asyncio.gather(*(request(f"u{number}") for number in range(5)))

    asyncio.run(main())
    for number in range(5):
        for node in range(3):
            assert said(session_log, f"u{number}", f"g:n{node}") == [f"I am u{number}.", f"n{node} 0."]


def test_two_graphs_of_one_session_are_used_in_turn(session_log: SessionLog) -> None:
    graphs = [graph({"a": speaker("a")}, ValkeySessionManager("s", log=session_log)) for _ in range(2)]
    for number in range(6):
        graphs[number % 2](f"Question {number}.")
    texts = said(session_log, "s", "g:a")
    assert [text for text in texts if "Question" in text] == [f"Question {number}." for number in range(6)]
    assert session_log.verify("s").ok


def test_two_graphs_of_one_id_share_a_manager(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    graphs = [graph({"a": speaker("a")}, manager) for _ in range(2)]
    for number in range(4):
        graphs[number % 2](f"Question {number}.")
    assert len(said(session_log, "s", "g:a")) == 8


def test_two_processes_that_run_one_graph_at_once_tell_each_other_and_nothing_said_is_lost(
    session_log: SessionLog,
) -> None:
    """Its state is of one run at a time; the transcript of its node is of both."""
    both, refused, reasons = threading.Barrier(2), list[str](), {True}

    def run(user: str) -> None:
        manager = ValkeySessionManager("s", log=SessionLog(session_log.client, session_log.namespace))
        running = graph({"a": speaker("a")}, manager)
        both.wait(10)
        for number in range(5):
            try:
                running(f"{user} {number}")
            except SessionException as error:
                refused.append(f"{user} {number}")
                reasons.add("multi_agent 'g'" in str(error))

    threads = [threading.Thread(target=run, args=(user,)) for user in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    asked = [text for text in said(session_log, "s", "g:a") if not text.startswith("a ")]
    everything = {f"{user} {number}" for user in ("alice", "bob") for number in range(5)}
    assert reasons == {True}
    assert len(asked) == len(set(asked))
    assert everything - set(refused) <= set(asked) <= everything
    assert session_log.verify("s").ok


def gate(entered: threading.Event, go_on: threading.Event) -> Any:
    @tool
    def wait() -> str:
        """Wait."""
        entered.set()
        go_on.wait(20)
        return "waited"

    return wait


def two_nodes(log: SessionLog, *tools: Any) -> Any:
    manager = ValkeySessionManager("s", log=SessionLog(log.client, log.namespace))
    script = [[call("wait")], "First.", "First again."] if tools else ["First."]
    return graph({"a": speaker("first", *script, tools=list(tools)), "b": speaker("second")}, manager)


def test_a_run_that_stood_still_while_another_process_ran_it_is_refused_and_begins_clean(
    session_log: SessionLog,
) -> None:
    entered, go_on, refusals = threading.Event(), threading.Event(), list[Exception]()
    stopped = two_nodes(session_log, gate(entered, go_on))
    stopped_at = session_log._events.moved("s", "g")

    def run() -> None:
        try:
            stopped("Go.")
        except SessionException as error:
            refusals.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    entered.wait(10)
    assert session_log._events.moved("s", "g") != stopped_at, "its first node has taken the fence"
    two_nodes(session_log)("Go on.")
    newest = session_log.state("s").multi_agents["g"]
    go_on.set()
    thread.join(10)
    assert "multi_agent 'g'" in str(refusals[0])
    assert session_log.state("s").multi_agents["g"] == newest
    assert stopped("And now?").status.value == "completed"
    assert session_log.verify("s").ok


SWARM = """
import sys, time
from pathlib import Path
from strands import Agent, tool
from strands.multiagent import Swarm
from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel

url, namespace, ready, again = sys.argv[1:]

@tool
def wait() -> str:
    "Wait."
    Path(ready).touch()
    while not Path(again).exists():
        time.sleep(0.01)
    return "waited"

use = [{"toolUse": {"name": "wait", "toolUseId": "t", "input": {}}}]
over = [{"toolUse": {"name": "handoff_to_agent", "toolUseId": "h", "input": {"agent_name": "two", "message": "yours"}}}]
one = Agent(name="one", model=ScriptedModel([over, "Handed over."]), callback_handler=None)
two = Agent(name="two", model=ScriptedModel([use, "Stale."]), tools=[wait], callback_handler=None)
log = SessionLog.connect(url, namespace=namespace)
print(Swarm([one, two], id="w", session_manager=ValkeySessionManager("s", log=log))("Go."))
"""


def test_a_swarm_that_was_stopped_and_resumed_elsewhere_overwrites_nothing_when_it_goes_on(
    session_log: SessionLog, server_url: str, tmp_path: Path
) -> None:
    ready, again = tmp_path / "ready", tmp_path / "again"
    arguments = [server_url, session_log.namespace, str(ready), str(again)]
    with Program(["-c", SWARM, *arguments], stdout=PIPE, stderr=PIPE, text=True) as process:
        wait_until(ready.exists, "its second node to be at work")
        process.send_signal(signal.SIGSTOP)
        try:
            agents = [speaker("one"), speaker("two", "Fresh.")]
            resumed = multiagent.Swarm(agents, id="w", session_manager=ValkeySessionManager("s", log=session_log))
            result = resumed("Go on.")
            assert [node.node_id for node in result.node_history][-1] == "two"
            newest = session_log.state("s").multi_agents["w"]
            again.touch()
        finally:
            process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "multi_agent 'w'" in errors
    assert session_log.state("s").multi_agents["w"] == newest
    assert "Fresh." in str(newest)
    assert session_log.verify("s").ok


def test_an_agent_of_the_same_id_as_a_graph_is_not_in_its_way(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    agent = Agent(agent_id="g", model=ScriptedModel([f"{n}." for n in range(9)]), session_manager=manager)
    running = graph({"a": speaker("a")}, manager)
    for number in range(3):
        agent(f"Agent {number}.")
        running(f"Graph {number}.")
    assert len(said(session_log, "s", "g")) == len(said(session_log, "s", "g:a")) == 6
    assert session_log.verify("s").ok


def test_an_agent_may_be_called_as_a_node_is(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    agent = Agent(agent_id="g:a", model=ScriptedModel([f"Me {n}." for n in range(9)]), session_manager=manager)
    agent("One.")
    running = graph({"a": speaker("a")}, manager)
    running("Node.")
    agent("Two.")
    running("Node again.")
    assert said(session_log, "s", "g:a") == ["One.", "Me 0.", "Two.", "Me 1."]
    assert said(session_log, "s", "g:a/node") == ["Node.", "a 0.", "Node again.", "a 1."]


def test_an_agent_that_is_called_as_a_node_was_has_nothing_of_what_the_node_said(session_log: SessionLog) -> None:
    graph({"a": speaker("a")}, ValkeySessionManager("s", log=session_log))("Node.")

    def agent() -> Agent:
        manager = ValkeySessionManager("s", log=session_log)
        return Agent(agent_id="g:a", model=ScriptedModel(["Me."]), session_manager=manager)

    assert agent().messages == []
    agent()("One.")
    assert [message["content"][0]["text"] for message in agent().messages] == ["One.", "Me."]
    assert said(session_log, "s", "g:a") == ["Node.", "a 0.", "One.", "Me."]
    assert session_log.verify("s").ok


def test_a_node_with_a_colon_in_its_name_is_no_node_within_another(session_log: SessionLog) -> None:
    within = graph({"b": speaker("deep")}, graph_id="inner")
    nodes = {"a:b": speaker("flat"), "a": within, "100%": speaker("percent")}
    graph(nodes, ValkeySessionManager("s", log=session_log))("Go.")
    assert said(session_log, "s", "g:a%3Ab")[-1] == "flat 0."
    assert said(session_log, "s", "g:a:b")[-1] == "deep 0."
    assert said(session_log, "s", "g:100%25")[-1] == "percent 0."
    assert not happened(session_log, types="no.such")


def test_a_recorder_given_to_a_graph_records_its_nodes(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    one, within = speaker("one"), graph({"deep": speaker("deep")}, graph_id="inner")
    builder = multiagent.GraphBuilder()
    builder.add_node(one, "a")
    builder.add_node(within, "b")
    builder.add_edge("a", "b")
    builder.set_graph_id("g")
    builder.set_entry_point("a")
    builder.set_hook_providers([recorder])
    builder.build()("Go.")
    one("Alone.")
    assert recorder.flush()
    assert said(session_log, "s", "g:a") == ["Go.", "one 0."]
    assert said(session_log, "s", "g:b:deep")[-1] == "deep 0."
    nodes = [(event.type, event.data["node"]) for event in happened(session_log, types="node.*")]
    assert nodes == [(f"node.{what}", node) for node in "ab" for what in ("started", "completed")]
    assert recorder.close()
    assert session_log.verify("s").ok


def test_a_recorder_and_a_manager_of_one_graph_write_to_their_own_sessions(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "mirror")
    running = graph({"a": speaker("one")}, ValkeySessionManager("s", log=session_log))
    running.hooks.add_hook(recorder)
    running("Go.")
    assert recorder.close()
    assert said(session_log, "s", "g:a") == said(session_log, "mirror", "g:a") == ["Go.", "one 0."]


def test_a_recorder_refuses_a_second_live_agent_of_the_same_id(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    first = Agent(model=ScriptedModel(["One."]), hooks=[recorder], callback_handler=None)
    with pytest.raises(ValueError, match=r"live agent of this id.*agent_id of its own"):
        Agent(model=ScriptedModel(["Two."]), hooks=[recorder], callback_handler=None)
    first("Hello.")
    assert recorder.close()
    assert said(session_log, "s", "default") == ["Hello.", "One."]


def test_a_recorder_goes_on_with_an_agent_that_takes_the_place_of_one_that_is_gone(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    for number in range(3):
        Agent(model=ScriptedModel([f"{number}."]), hooks=[recorder], callback_handler=None)("Hello.")
    assert recorder.close()
    assert len(said(session_log, "s", "default")) == 6


def test_an_agent_that_is_called_while_it_runs_speaks_in_the_node_of_each_call(session_log: SessionLog) -> None:
    both = threading.Barrier(2)

    def wait(_: Any) -> str:
        both.wait(10)
        return "Fine."

    try:
        one = speaker("one", concurrent_invocation_mode="unsafe_reentrant")
    except TypeError:
        pytest.skip("this version of Strands does not let an agent be called while it runs")
    one.model._respond = wait  # type: ignore[attr-defined]

    def request(user: str) -> None:
        graph({"a": one}, ValkeySessionManager(user, log=session_log))(f"I am {user}.")

    threads = [threading.Thread(target=request, args=(user,)) for user in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for user in ("alice", "bob"):
        assert said(session_log, user, "g:a") == [f"I am {user}.", "Fine."]
        assert len(happened(session_log, ["invocation.completed"], user)) == 1


def test_a_node_leaves_alone_an_agent_that_was_made_since_its_manager_last_looked(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    running = graph({"a": speaker("one")}, manager)
    agent = speaker("g:a", "I am the agent.", session_manager=ValkeySessionManager("s", log=session_log))
    assert manager.read_session("another") is None
    running("Go.")
    agent("Who are you?")
    assert said(session_log, "s", "g:a") == ["Who are you?", "I am the agent."]
    assert said(session_log, "s", "g:a/node") == ["Go.", "one 0."]
    assert {event.agent for event in happened(session_log, ["invocation.started"])} == {"g:a", "g:a/node"}


def test_a_recorder_tells_the_nodes_of_two_graphs_of_one_id_apart(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    quick, asked, answered = speaker("quick", "Early."), threading.Event(), threading.Event()

    def wait(_: Any) -> str:
        asked.set()
        assert answered.wait(10)
        return "Late."

    slow = speaker("slow")
    slow.model._respond = wait  # type: ignore[attr-defined]
    graphs = [graph({"a": agent}) for agent in (slow, quick)]
    for each in graphs:
        recorder.register_hooks(each.hooks)
    running = threading.Thread(target=graphs[0], args=("Slowly.",))
    running.start()
    assert asked.wait(10)
    graphs[1]("Quickly.")
    answered.set()
    running.join(10)
    assert recorder.flush()
    ended = happened(session_log, ["node.completed"])
    assert len([one for one in ended if one.data["duration_ms"] is not None]) == 2


def test_a_recorder_of_states_only_records_what_nodes_say_and_no_facts(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s", record="state")
    running = graph({"a": speaker("one")})
    recorder.register_hooks(running.hooks)
    running("Go.")
    assert recorder.flush()
    assert {event.type for event in happened(session_log)} == {"message.added"}
    assert said(session_log, "s", "g:a") == ["Go.", "one 0."]
