"""What ran within what is known of each event: agents that tools call, nodes of graphs, and what runs within those."""

from __future__ import annotations

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer.conversation.notes import Item, Note
from strands_session_log_consumers.viewer.conversation.talk import items_of
from strands_session_log_consumers.viewer.conversation.window import nodes_of
from support.command_line import message


def items(log: SessionLog, *written: events.Event) -> dict[int, Item]:
    for event in written:
        log.append("s", event)
    return {one.revision: one for one in items_of(log.read("s"), 1, log.head("s").revision, {})}


def created(agent: str) -> events.Event:
    return events.AgentCreated({"agent_id": agent, "state": {}}, agent)


def started(use: str, agent: str = "default") -> events.Event:
    return events.ToolStarted({"name": f"ask_{use}", "tool_use_id": use}, agent)


def test_an_agent_that_a_tool_calls_runs_within_the_call(log: SessionLog) -> None:
    found = items(
        log,
        created("default"),
        created("research"),
        started("research"),
        events.InvocationStarted({}, "research"),
        message(0, "assistant", "Found.", agent="research"),
        events.InvocationCompleted({}, "research"),
        events.ToolCompleted({"name": "ask_research", "tool_use_id": "research"}, "default"),
        events.InvocationStarted({}, "research"),
    )
    begins = found[4]
    assert isinstance(begins, Note)
    assert (begins.opens, begins.density, begins.within.depth) == (True, 1, 0)
    assert begins.text == "turn begins, called by ask_research"
    assert [found[at].within[:2] for at in (5, 6)] == [(4, 1), (4, 1)]
    # Called by itself, it runs within nothing.
    assert (found[8].opens, found[8].within.revision) == (False, 0)


def test_what_is_called_within_is_deeper(log: SessionLog) -> None:
    found = items(
        log,
        created("default"),
        started("research"),
        events.InvocationStarted({}, "research"),
        started("web", "research"),
        events.InvocationStarted({}, "reader"),
        message(0, "assistant", "Read.", agent="reader"),
    )
    assert (found[5].within[:2], found[6].within[:2]) == ((3, 1), (5, 2))


def test_a_call_whose_end_is_not_known_ends_with_its_agent(log: SessionLog) -> None:
    found = items(
        log,
        created("default"),
        events.InvocationStarted({}, "default"),
        started("lost"),
        events.InvocationFailed({"error": "Killed"}, "default"),
        events.InvocationStarted({}, "research"),
    )
    assert not found[5].opens


def test_nodes_run_within_their_graph_also_at_the_same_time(log: SessionLog) -> None:
    found = items(
        log,
        events.MultiAgentCreated({"id": "papers"}, "papers"),
        events.NodeStarted({"node": "read"}, "papers"),
        events.NodeStarted({"node": "sum"}, "papers"),
        message(0, "assistant", "Read.", agent="papers:read"),
        message(0, "assistant", "Summed up.", agent="papers:sum"),
        events.NodeCompleted({"node": "read"}, "papers"),
        message(1, "assistant", "Late.", agent="papers:read"),
    )
    assert [found[at].opens for at in (2, 3)] == [True, True]
    assert [found[at].within.revision for at in (4, 5, 6, 7)] == [2, 3, 0, 0]


def test_how_nodes_stand_is_told_in_words() -> None:
    graph = {"completed_nodes": ["a"], "failed_nodes": ["b"], "interrupted_nodes": [], "next_nodes_to_execute": ["c"]}
    assert nodes_of(graph) == [("a", "completed"), ("b", "failed"), ("c", "next")]
    assert nodes_of({"completed_nodes": "junk"}) == []
