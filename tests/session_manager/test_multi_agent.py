"""Graphs and swarms keep their state in the log."""

from __future__ import annotations

import threading
from typing import Any

import pytest

multiagent = pytest.importorskip("strands.multiagent", reason="this version of Strands has no multi-agent persistence")
pytest.importorskip("strands.hooks.events", reason="no hooks")

from strands import Agent  # noqa: E402
from strands.session.session_manager import SessionManager  # noqa: E402

from strands_session_log import SessionLog, ValkeySessionManager  # noqa: E402
from strands_session_log.lifecycle.compat import hook_event  # noqa: E402
from strands_session_log.testing.model import ScriptedModel  # noqa: E402
from support import FaultProxy  # noqa: E402

pytestmark = pytest.mark.skipif(
    not hasattr(SessionManager, "sync_multi_agent"), reason="this version of Strands keeps no orchestrator state"
)


def speaker(name: str, script: Any) -> Agent:
    return Agent(name=name, agent_id=name, model=ScriptedModel(script), callback_handler=None)


def graph(log: SessionLog, second: Any = ("Written.",)) -> Any:
    builder = multiagent.GraphBuilder()
    builder.add_node(speaker("research", ["Found it."]), "research")
    builder.add_node(speaker("write", second), "write")
    builder.add_edge("research", "write")
    builder.set_entry_point("research")
    builder.set_session_manager(ValkeySessionManager("g", log=log))
    return builder.build()


def test_a_graph_that_failed_goes_on_where_it_was(session_log: SessionLog) -> None:
    broken = graph(session_log, [RuntimeError("the model is down")])
    with pytest.raises(RuntimeError, match="the model is down"):
        broken("Tell me.")
    resumed = graph(session_log)
    result = resumed("Tell me.")
    assert [node.node_id for node in result.execution_order][-1] == "write"
    assert str(result.results["write"].result).strip() == "Written."
    kinds = {one.event.type for one in session_log.read("g")}
    assert {"session.created", "multi_agent.created", "multi_agent.updated"} <= kinds
    assert session_log.verify("g").ok


def test_a_swarm_keeps_its_state(session_log: SessionLog) -> None:
    swarm = multiagent.Swarm(
        [speaker("one", ["My part."]), speaker("two", ["Yours."])],
        session_manager=ValkeySessionManager("w", log=session_log),
    )
    swarm("Go.")
    stored = ValkeySessionManager("w", log=session_log).read_multi_agent("w", swarm.id)
    assert stored == swarm.serialize_state()


def test_orchestrator_state_with_bytes_comes_back(session_log: SessionLog) -> None:
    class Orchestrator:
        id = "o"

        def serialize_state(self) -> dict[str, Any]:
            return {"input": {"image": b"\x00png"}}

    manager = ValkeySessionManager("g", log=session_log)
    orchestrator: Any = Orchestrator()
    manager.create_multi_agent("g", orchestrator)
    assert manager.read_multi_agent("g", "o") == {"input": {"image": b"\x00png"}}


def test_an_orchestrator_of_ones_own_without_hooks_is_synced_by_hand(session_log: SessionLog) -> None:
    class Counting:
        id = "o"
        step = 1

        def serialize_state(self) -> dict[str, Any]:
            return {"step": self.step}

    manager = ValkeySessionManager("g", log=session_log)
    orchestrator: Any = Counting()
    manager.create_multi_agent("g", orchestrator)
    orchestrator.step = 2
    manager.sync_multi_agent(orchestrator)
    assert manager.read_multi_agent("g", "o") == {"step": 2}


def test_the_nodes_of_a_graph_and_what_their_agents_say_are_in_the_log(session_log: SessionLog) -> None:
    graph(session_log)("Tell me.")
    nodes = [one.event for one in session_log.read("g", types="node.*")]
    assert [(event.type, event.data["node"]) for event in nodes] == [
        ("node.started", "research"),
        ("node.completed", "research"),
        ("node.started", "write"),
        ("node.completed", "write"),
    ]
    assert nodes[-1].data["status"] == "completed"
    name = f"{nodes[0].agent}:research"
    said = session_log.state("g").agents[name].messages
    assert [record.message["role"] for record in said] == ["user", "assistant"]
    assert [one.event.agent for one in session_log.read("g", types="invocation.completed")] == [
        name,
        f"{nodes[0].agent}:write",
    ]


def test_the_transcript_of_a_node_goes_on_over_runs_and_restarts(session_log: SessionLog) -> None:
    for _ in range(2):
        running = graph(session_log, ["Once.", "Twice."])
        running("Tell me.")
    agents = session_log.state("g").agents
    assert [len(agents[name].messages) for name in sorted(agents)] == [4, 4]
    assert session_log.verify("g").ok


def test_nodes_that_run_at_once_leave_the_newest_state_last(session_log: SessionLog) -> None:
    builder = multiagent.GraphBuilder()
    for number in range(6):
        builder.add_node(speaker(f"n{number}", ["Done."]), f"n{number}")
        builder.set_entry_point(f"n{number}")
    builder.set_session_manager(ValkeySessionManager("g", log=session_log))
    running = builder.build()
    running("Go.")
    stored = ValkeySessionManager("g", log=session_log).read_multi_agent("g", running.id)
    assert stored == running.serialize_state()
    assert session_log.verify("g").ok


def test_recording_the_state_only_leaves_nodes_out(session_log: SessionLog) -> None:
    builder = multiagent.GraphBuilder()
    builder.add_node(speaker("one", ["Done."]), "one")
    builder.set_session_manager(ValkeySessionManager("g", log=session_log, record="state"))
    builder.build()("Go.")
    assert {one.event.type for one in session_log.read("g")} == {
        "session.created",
        "multi_agent.created",
        "multi_agent.updated",
    }


def test_handoffs_of_a_swarm_are_nodes_of_their_own(session_log: SessionLog) -> None:
    hand_over: Any = [{"toolUse": {"name": "handoff_to_agent", "input": {"agent_name": "two", "message": "yours"}}}]
    swarm = multiagent.Swarm(
        [speaker("one", [hand_over, "Handed over."]), speaker("two", ["My part."])],
        session_manager=ValkeySessionManager("w", log=session_log),
    )
    swarm("Go.")
    started = [one.event.data["node"] for one in session_log.read("w", types="node.started")]
    assert started == ["one", "two"]
    agents = session_log.state("w").agents
    assert f"{swarm.id}:two" in agents


def test_a_node_of_a_swarm_that_had_to_wait_for_the_log_too_long_has_timed_out(proxy: FaultProxy) -> None:
    released = threading.Timer(0.5, proxy.release_replies)

    def hold(_: Any) -> str:
        proxy.hold_replies()
        released.start()
        return "My part."

    manager = ValkeySessionManager("w", log=SessionLog.connect(proxy.url))
    result = multiagent.Swarm([speaker("one", hold)], session_manager=manager, node_timeout=0.2)("Go.")
    released.join()
    assert result.status.value == "failed"


@pytest.mark.skipif(
    not hasattr(hook_event("BeforeNodeCallEvent"), "interrupt"), reason="this version has no interrupts of nodes"
)
def test_a_graph_that_waits_for_a_human_goes_on_in_another_process(session_log: SessionLog) -> None:
    def gated() -> Any:
        running = graph(session_log)

        def approve(event: Any) -> None:
            if event.node_id == "write" and event.interrupt("approval", reason="may I?") != "yes":
                event.cancel_node = "denied"

        running.hooks.add_callback(hook_event("BeforeNodeCallEvent"), approve)
        return running

    stopped = gated()(
        [{"text": "Tell me."}, {"document": {"format": "txt", "name": "d", "source": {"bytes": b"\x00"}}}]
    )
    assert stopped.status.value == "interrupted"
    answer = [{"interruptResponse": {"interruptId": stopped.interrupts[0].id, "response": "yes"}}]
    result = gated()(answer)
    assert result.status.value == "completed"
    assert [node.node_id for node in result.execution_order] == ["research", "write"]
    assert session_log.verify("g").ok
