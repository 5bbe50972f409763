"""What happens in the nodes of graphs and swarms."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

multiagent = pytest.importorskip("strands.multiagent", reason="this version of Strands has no multi-agent persistence")

from strands import Agent  # noqa: E402
from strands.session.session_manager import SessionManager  # noqa: E402
from strands.types.exceptions import SessionException  # noqa: E402

from strands_session_log import SessionLog, ValkeySessionManager, errors, events  # noqa: E402
from strands_session_log.lifecycle import AgentOutbox  # noqa: E402
from strands_session_log.lifecycle.compat import hook_event  # noqa: E402
from strands_session_log.state import AgentState  # noqa: E402
from strands_session_log.testing.model import ScriptedModel  # noqa: E402
from support.strands_agents import add, call, happened  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        not hasattr(SessionManager, "sync_multi_agent"), reason="this version of Strands keeps no orchestrator state"
    ),
    pytest.mark.filterwarnings("ignore:graph has no max_node_executions"),
]
has_interrupts = pytest.mark.skipif(
    not hasattr(hook_event("BeforeNodeCallEvent"), "interrupt"), reason="this version has no interrupts of nodes"
)
SECRET = "hunter2-is-my-password"
GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


def speaker(name: str, *script: Any, **options: Any) -> Any:
    return Agent(name=name, agent_id=name, model=ScriptedModel(script), callback_handler=None, **options)


def graph(log: SessionLog | None, nodes: dict[str, Any], manager: Any = None) -> Any:
    """A graph whose nodes follow each other; one without a log keeps nothing."""
    builder = multiagent.GraphBuilder()
    names = list(nodes)
    for name, executor in nodes.items():
        builder.add_node(executor, name)
    for before, after in pairwise(names):
        builder.add_edge(before, after)
    builder.set_entry_point(names[0])
    builder.set_graph_id("g")
    if log is not None:
        builder.set_session_manager(manager or ValkeySessionManager("s", log=log))
    return builder.build()


def said(log: SessionLog, name: str) -> list[str]:
    return [record.shown["content"][0]["text"] for record in log.state("s").agents[name].messages]


def of_nodes(log: SessionLog) -> str:
    """What the server holds of the session, but for the state of its orchestrators."""
    entries = [entry for _, entry in log._events.entries("s")]
    return repr([entry for entry in entries if "multi_agent" not in repr(entry)])


def gated(log: SessionLog, make: Any) -> Any:
    running = make(log)

    def approve(event: Any) -> None:
        if event.node_id == "write" and event.interrupt("approval", reason="may I?") != "yes":
            event.cancel_node = "denied"

    running.hooks.add_callback(hook_event("BeforeNodeCallEvent"), approve)
    return running


def two_in_a_graph(log: SessionLog) -> Any:
    return graph(log, {"research": speaker("research", "Found."), "write": speaker("write", "Written.")})


def one_in_a_swarm(log: SessionLog) -> Any:
    nodes = [speaker("write", "Written.")]
    return multiagent.Swarm(nodes, session_manager=ValkeySessionManager("s", log=log), id="g")


def interrupts(log: SessionLog) -> list[tuple[str, str, str]]:
    return [(event.type, event.agent, event.data["name"]) for event in happened(log, types="interrupt.*")]


@has_interrupts
@pytest.mark.parametrize("make", [two_in_a_graph, one_in_a_swarm])
def test_an_interrupt_before_a_node_is_told_and_so_is_its_answer_in_another_process(
    session_log: SessionLog, make: Any
) -> None:
    stopped = gated(session_log, make)("Tell me.")
    assert interrupts(session_log) == [("interrupt.raised", "g", "approval")]
    answer = [{"interruptResponse": {"interruptId": stopped.interrupts[0].id, "response": "yes"}}]
    assert gated(session_log, make)(answer).status.value == "completed"
    assert interrupts(session_log) == [("interrupt.raised", "g", "approval"), ("interrupt.answered", "g", "approval")]


@has_interrupts
def test_an_interrupt_within_a_node_is_told_once_by_its_agent(session_log: SessionLog) -> None:
    from strands import tool

    @tool(context=True)
    def ask(tool_context: Any) -> str:
        """Ask a human."""
        return str(tool_context.interrupt("approval", reason="may I?"))

    running = graph(session_log, {"write": speaker("write", [call("ask")], "Written.", tools=[ask])})
    stopped = running("Tell me.")
    assert interrupts(session_log) == [("interrupt.raised", "g:write", "approval")]
    running([{"interruptResponse": {"interruptId": stopped.interrupts[0].id, "response": "yes"}}])
    assert interrupts(session_log)[1:] == [("interrupt.answered", "g:write", "approval")]


def test_the_agents_of_a_graph_within_a_graph_are_listened_to(session_log: SessionLog) -> None:
    innermost = multiagent.Swarm([speaker("deep", "From the deep.")])
    inner = graph(None, {"one": speaker("one", "From within."), "two": innermost})
    graph(session_log, {"outer": inner, "last": speaker("last", "From without.")})("Go.")
    assert sorted(session_log.state("s").agents) == ["g:last", "g:outer:one", "g:outer:two:deep"]
    assert said(session_log, "g:outer:one")[-1] == "From within."
    assert said(session_log, "g:outer:two:deep")[-1] == "From the deep."


def test_a_node_may_have_a_slash_in_its_name(session_log: SessionLog) -> None:
    graph(session_log, {"team/writer": speaker("writer", "Written.")})("Go.")
    assert said(session_log, "g:team/writer")[-1] == "Written."


def test_a_prompt_that_a_guardrail_redacts_is_gone_from_the_transcript_of_its_node(session_log: SessionLog) -> None:
    running = graph(session_log, {"one": speaker("one", GUARDRAIL, "Fine.")})
    running(SECRET)
    assert said(session_log, "g:one") == ["[redacted]", "I cannot help with that."]
    assert SECRET not in of_nodes(session_log)
    running("Hello")
    assert said(session_log, "g:one")[2:] == ["Hello", "Fine."]
    assert session_log.verify("s").ok


def test_an_original_that_could_not_be_erased_is_with_the_next_append(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, erase = graph(session_log, {"one": speaker("one", GUARDRAIL, "Fine.")}), session_log._events.erase

    def fail(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(session_log._events, "erase", erase)
        raise errors.ServerUnavailableError("away")

    monkeypatch.setattr(session_log._events, "erase", fail)
    with pytest.raises(SessionException, match="away"):
        running(SECRET)
    assert SECRET not in of_nodes(session_log)
    assert len(happened(session_log, types="message.redacted")) == 1


def test_a_graph_whose_manager_is_older_than_what_another_process_wrote_goes_on_from_there(
    session_log: SessionLog,
) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    broken = {"research": speaker("research", "Found."), "write": speaker("write", RuntimeError("down"))}
    with pytest.raises(RuntimeError, match="down"):
        graph(session_log, broken)("Tell me.")
    nodes = {"research": speaker("research"), "write": speaker("write", "Written.")}
    graph(session_log, nodes, manager)("Tell me.")
    started = [event.data["node"] for event in happened(session_log, types="node.started")]
    assert started == ["research", "write", "write"]


def deleting(log: SessionLog, delete: Any) -> Any:
    """A graph between whose two nodes its session is deleted."""
    running = graph(log, {"research": speaker("research", SECRET), "write": speaker("write", "Written.", "More.")})

    def between(event: Any) -> None:
        if event.node_id == "write" and not deleted:
            deleted.append(event.node_id)
            delete(running)

    deleted: list[str] = []
    running.hooks.add_callback(hook_event("BeforeNodeCallEvent"), between)
    return running


def test_a_graph_whose_session_is_deleted_under_it_fails_and_brings_nothing_back(session_log: SessionLog) -> None:
    running = deleting(session_log, lambda _: session_log.delete("s"))
    with pytest.raises(Exception, match="is not on the server any more"):
        running(SECRET)
    assert session_log.sessions() == []


def test_a_graph_does_not_go_on_in_a_session_that_somebody_else_began(session_log: SessionLog) -> None:
    def replace(_: Any) -> None:
        session_log.delete("s")
        session_log.append("s", [events.Custom("custom.note", {"n": number}) for number in range(60)])

    with pytest.raises(Exception, match="is not on the server any more"):
        deleting(session_log, replace)(SECRET)
    assert {event.type for event in happened(session_log)} == {"custom.note"}


def test_a_graph_whose_own_manager_deletes_its_session_goes_on_without_what_was_said(session_log: SessionLog) -> None:
    running = deleting(session_log, lambda graph: graph.session_manager.delete_session("s"))
    running("Research " + SECRET)
    assert session_log.sessions() == []
    running("Once more.")
    assert said(session_log, "g:write")[-1] == "More."
    assert SECRET not in str(list(session_log._events.entries("s")))
    assert happened(session_log, types="multi_agent.updated")


def holding(log: SessionLog) -> ValkeySessionManager:
    return ValkeySessionManager("s", log=log, hold_user_messages=True)


def test_the_prompt_of_a_node_is_held_back_until_its_model_call_has_settled(session_log: SessionLog) -> None:
    stored: list[bool] = []

    def look(_: Any) -> str:
        stored.append(SECRET in str(list(session_log._events.entries("s"))))
        return "Fine."

    within = graph(None, {"deep": speaker("deep", "Deep.")})
    nodes = {"one": speaker("one"), "inner": within, "two": speaker("two", "Written.")}
    nodes["one"].model._respond = look
    running = graph(session_log, nodes, holding(session_log))
    running(SECRET)
    assert stored == [False]
    assert said(session_log, "g:one") == [SECRET, "Fine."]
    assert said(session_log, "g:inner:deep")[-1] == "Deep."
    assert said(session_log, "g:two")[-1] == "Written."
    assert session_log.verify("s").ok


def test_a_held_prompt_of_a_node_that_is_redacted_was_never_in_its_transcript(session_log: SessionLog) -> None:
    running = graph(session_log, {"one": speaker("one", GUARDRAIL, "Fine.")}, holding(session_log))
    running(SECRET)
    running("Hello")
    assert said(session_log, "g:one") == ["[redacted]", "I cannot help with that.", "Hello", "Fine."]
    assert not happened(session_log, types=["message.redacted", "payload.erased"])
    assert SECRET not in of_nodes(session_log)


def test_a_held_prompt_of_a_node_survives_a_model_that_fails(session_log: SessionLog) -> None:
    running = graph(session_log, {"one": speaker("one", RuntimeError("down"))}, holding(session_log))
    with pytest.raises(RuntimeError, match="down"):
        running("Hello")
    assert said(session_log, "g:one") == ["Hello"]


def test_what_a_tool_of_a_node_answers_is_not_held_back(session_log: SessionLog) -> None:
    seen: list[int] = []

    def look(messages: Any) -> Any:
        known = session_log.state("s").agents.get("g:one")
        seen.append(len(known.messages) if known else 0)
        return [call("add", a=1, b=2)] if len(messages) == 1 else "It is 3."

    one = speaker("one", tools=[add])
    one.model._respond = look
    graph(session_log, {"one": one}, holding(session_log))("Add.")
    assert seen == [0, 3]


def test_a_node_that_runs_twice_at_once_releases_each_prompt_with_its_own_call(session_log: SessionLog) -> None:
    """The answer of one run must not bring the prompt of the other into the log."""
    manager, stored = holding(session_log), list[bool]()
    asked, answered = threading.Event(), threading.Event()

    def wait(_: Any) -> str:
        asked.set()
        assert answered.wait(10)
        stored.append(SECRET in str(list(session_log._events.entries("s"))))
        return "Late."

    slow, quick = speaker("slow"), speaker("quick", "Early.")
    slow.model._respond = wait
    slow_graph = graph(session_log, {"one": slow}, manager)

    def run() -> None:
        # Of two runs at once, the state of one is kept.
        with suppress(errors.ConcurrentWriteError):
            slow_graph(SECRET)

    running = threading.Thread(target=run)
    running.start()
    assert asked.wait(10)
    graph(session_log, {"one": quick}, manager)("Hello")
    answered.set()
    running.join(10)
    assert stored == [False]
    assert sorted(said(session_log, "g:one")) == sorted([SECRET, "Late.", "Hello", "Early."])
    assert session_log.verify("s").ok


def test_what_has_landed_keeps_its_index_when_what_is_held_back_before_it_gets_another(
    session_log: SessionLog,
) -> None:
    outbox = AgentOutbox(session_log._events, "s", AgentState("n"), fenced="")
    late: Any = {"role": "user", "content": [{"text": "Late."}], "tracking_id": "late."}
    early: Any = {"role": "user", "content": [{"text": "Early."}], "tracking_id": "early."}
    assert outbox.say(late, [late], hold_for="a run").message_id == 0
    assert outbox.say(early, [early]).message_id == 1
    outbox.flush()
    assert outbox.renumber(2) == {0: 2}
    assert [outbox.tracked(name)[0] for name in ("late.", "early.")] == [2, 1]  # type: ignore[index]
    outbox.release("a run")
    outbox.flush()
    assert outbox.next_index == 3
    messages = session_log.state("s").agents["n"].messages
    assert [(one.message_id, one.shown["content"][0]["text"]) for one in messages] == [(1, "Early."), (2, "Late.")]
