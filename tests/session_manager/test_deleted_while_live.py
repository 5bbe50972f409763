"""What a live agent, graph or swarm still holds of a session that was deleted: none of it comes back, in any guise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SummarizingConversationManager
from strands.session.session_manager import SessionManager
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager
from strands_session_log.lifecycle.withheld import Withheld, said_since
from strands_session_log.testing.model import ScriptedModel
from support import wait_until
from support.strands_agents import call, happened, make_agent

SECRET = "hunter2-is-my-password"


class Kept:
    """An agent whose session a recorder keeps, or a manager that deletes it, too.

    Attributes:
        agent: The agent.
    """

    def __init__(self, log: SessionLog, kind: str, script: Any, **options: Any) -> None:
        self._log, self._recorder = log, SessionRecorder(log, "s") if kind == "recorder" else None
        self.agent: Any = (
            Agent(model=ScriptedModel(script), hooks=[self._recorder], callback_handler=None, **options)
            if self._recorder
            else make_agent(log, script, **options)
        )

    def settle(self) -> None:
        assert self._recorder is None or self._recorder.flush()

    def delete(self) -> None:
        """What is said after that is certainly said after it: a deletion is as exact as its milliseconds."""
        self.settle()
        if self._recorder:
            self._log.delete("s")
            now = self._log._events.now_ms("s")
            wait_until(lambda: self._log._events.now_ms("s") > now + 2, "the clock to go on", interval=0.001)
        else:
            self.agent._session_manager.delete_session("s")


@pytest.fixture(params=["recorder", "manager"])
def keep(request: pytest.FixtureRequest, session_log: SessionLog) -> Callable[..., Kept]:
    return lambda script, **options: Kept(session_log, request.param, script, **options)


def raw(log: SessionLog) -> str:
    """The session as the server holds it."""
    return repr(list(log._events.entries("s")))


def state_of(log: SessionLog) -> Any:
    return log.state("s").agents["default"].state


def summarizing() -> Any:
    return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)


def test_a_value_of_the_state_that_grows_comes_without_what_it_held(
    session_log: SessionLog, keep: Callable[..., Kept]
) -> None:
    kept = keep(["Yes."] * 4, state={"notes": [SECRET], "user": {"told": SECRET, "turns": 1}})
    kept.agent("Hello?")
    kept.delete()
    kept.agent.state.set("notes", [SECRET, "a new one"])
    kept.agent.state.set("user", {"told": SECRET, "turns": 2})
    kept.agent("And now?")
    kept.settle()
    assert SECRET not in raw(session_log)
    assert state_of(session_log) == {"notes": ["a new one"], "user": {"turns": 2}}
    kept.delete()
    kept.agent.state.set("notes", [SECRET, "a new one", "another"])
    kept.agent("And then?")
    kept.settle()
    assert state_of(session_log) == {"notes": ["another"]}


def test_a_summary_that_is_made_after_a_deletion_goes_back_to_what_was_deleted(
    session_log: SessionLog, keep: Callable[..., Kept]
) -> None:
    script = ["One.", "Two.", "Three.", "Four.", ContextWindowOverflowException("too long"), f"He said {SECRET}."]
    kept = keep([*script, "Five.", "Six."], conversation_manager=summarizing())
    for number in range(3):
        kept.agent(f"Question {number}?")
    kept.delete()
    for number in range(3, 6):
        kept.agent(f"Question {number}?")
    kept.settle()
    assert SECRET in str(kept.agent.messages[0])
    assert SECRET not in raw(session_log)
    resumed = make_agent(session_log, ["Seven."], conversation_manager=summarizing())
    assert resumed.messages == kept.agent.messages[-len(resumed.messages) :]
    resumed("And now?")


def test_the_result_of_a_tool_that_was_called_before_belongs_to_what_was_deleted(
    session_log: SessionLog, keep: Callable[..., Kept]
) -> None:
    @tool
    def look_up() -> str:
        """Look something up."""
        return SECRET

    @tool
    def forget() -> str:
        """Forget all."""
        kept.delete()
        return "forgotten"

    kept = keep([[call("look_up"), call("forget")], "It is forgotten.", "Yes."], tools=[look_up, forget])
    kept.agent("Forget me.")
    kept.agent("Really?")
    kept.settle()
    assert SECRET not in raw(session_log)
    assert session_log.state("s").agents["default"].window == kept.agent.messages[3:]
    assert session_log.state("s").agents["default"].messages[0].message_id == 0
    assert make_agent(session_log).messages == kept.agent.messages[3:]


def test_what_waited_for_an_answer_belongs_to_what_was_deleted(
    session_log: SessionLog, keep: Callable[..., Kept]
) -> None:
    interrupts = pytest.importorskip("strands.interrupt", reason="this version of Strands has no interrupts")
    assert interrupts

    @tool
    def look_up() -> str:
        """Look something up."""
        return SECRET

    @tool(context=True)
    def ask(tool_context: Any) -> str:
        """Ask somebody."""
        return f"They say {tool_context.interrupt('which', reason=SECRET)}."

    kept = keep([[call("look_up"), call("ask")], "Blue it is.", "Yes."], tools=[look_up, ask])
    asked = kept.agent("Ask.")
    kept.delete()
    kept.agent([{"interruptResponse": {"interruptId": one.id, "response": "blue"}} for one in asked.interrupts])
    kept.agent("Really?")
    kept.settle()
    assert SECRET not in raw(session_log)
    assert session_log.state("s").agents["default"].window == kept.agent.messages[3:]
    make_agent(session_log)("And now?")


def test_a_prompt_that_went_with_its_session_needs_no_redaction(session_log: SessionLog) -> None:
    redaction = {"redactContent": {"redactUserContentMessage": "[redacted]"}}

    def answer(messages: Any) -> Any:
        if len(messages) == 3:
            agent._session_manager.delete_session("s")
            return [redaction, {"text": "No."}]
        return "Yes."

    agent = make_agent(session_log, answer)
    agent("Hello?")
    agent(SECRET)
    assert not happened(session_log, types="message.redacted")
    agent("And now?")
    assert [record.message for record in session_log.state("s").agents["default"].messages] == agent.messages[3:]
    assert session_log.verify("s").ok


@pytest.mark.parametrize(
    ("now", "then", "left"),
    [
        (1, 1, 1),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": 2}}),
        ({"a": ["x", "y"]}, {"a": ["x"]}, {"a": ["y"]}),
        ({"a": ["x"]}, {"a": ["x", "z"]}, {}),
        ({"a": []}, {"a": ["x"]}, {"a": []}),
        ([{"q": "x", "n": 2}, {"q": "y", "n": 1}], [{"q": "x", "n": 1}], [{"n": 2}, {"q": "y", "n": 1}]),
        (["y", "x"], ["x"], ["y"]),
        ({"a": "x"}, {"a": ["x"]}, {"a": "x"}),
        (("x", "y"), ["x"], ["y"]),
    ],
)
def test_what_a_value_held_is_told_from_what_came_since(now: Any, then: Any, left: Any) -> None:
    assert said_since(now, then) == left


def test_what_was_withheld_once_stays_withheld_after_another_deletion() -> None:
    first = Withheld({"state": {"notes": ["x"], "user": {"a": 1}}})
    second = Withheld({"state": {"notes": ["y"], "user": {"b": 1}}}, first)
    record = {"state": {"notes": ["x", "y", "z"], "user": {"a": 1, "b": 1, "c": 1}}}
    assert second.left_of(record)["state"] == {"notes": ["z"], "user": {"c": 1}}


@pytest.fixture
def multiagent() -> Any:
    if not hasattr(SessionManager, "sync_multi_agent"):
        pytest.skip("this version of Strands keeps no orchestrator state")
    return pytest.importorskip("strands.multiagent")


def speaker(name: str, script: Any) -> Agent:
    return Agent(name=name, agent_id=name, model=ScriptedModel(script), callback_handler=None)


def test_what_the_agents_of_a_swarm_shared_does_not_come_back_with_its_next_call(
    session_log: SessionLog, multiagent: Any
) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    handoff = call("handoff_to_agent", agent_name="two", message="Go on.", context={"told": SECRET})
    swarm = multiagent.Swarm(
        [speaker("one", [[handoff], "Passed on.", "Yes."]), speaker("two", ["Yes."])], session_manager=manager
    )
    swarm("Hello?")
    assert SECRET in raw(session_log)
    manager.delete_session("s")
    swarm("And now?")
    (state,) = session_log.state("s").multi_agents.values()
    assert (state["current_task"], state["context"]["shared_context"]) == ("And now?", {})


def test_a_swarm_that_began_anew_does_not_bring_back_what_another_process_deletes_then(
    session_log: SessionLog, multiagent: Any
) -> None:
    def answer(_: Any) -> str:
        if is_again:
            session_log.delete("s")
        return "Yes."

    is_again: list[bool] = []
    manager = ValkeySessionManager("s", log=session_log)
    swarm = multiagent.Swarm([speaker("one", answer)], session_manager=manager)
    swarm("Hello?")
    manager.delete_session("s")
    is_again.append(True)
    with pytest.raises(Exception, match="is not on the server any more"):
        swarm("And now?")
    assert session_log.sessions() == []


def test_a_graph_that_goes_on_with_what_was_deleted_says_nothing_of_it(
    session_log: SessionLog, multiagent: Any
) -> None:
    hooks = pytest.importorskip("strands.hooks.events", reason="no hooks")
    if not hasattr(hooks.BeforeNodeCallEvent, "interrupt"):
        pytest.skip("this version of Strands has no interrupts in graphs")

    def ask(event: Any) -> None:
        if event.node_id == "write":
            event.interrupt("approval", reason=SECRET)

    manager, builder = ValkeySessionManager("s", log=session_log), multiagent.GraphBuilder()
    builder.add_node(speaker("research", [f"Found {SECRET}.", "Found it."]), "research")
    builder.add_node(speaker("write", ["Written."] * 2), "write")
    builder.add_edge("research", "write")
    builder.set_entry_point("research")
    builder.set_session_manager(manager)
    graph = builder.build()
    graph.hooks.add_callback(hooks.BeforeNodeCallEvent, ask)

    def answer(result: Any) -> Any:
        answers = [{"interruptResponse": {"interruptId": one.id, "response": "yes"}} for one in result.interrupts]
        return graph(answers)

    asked = graph("Tell me.")
    manager.delete_session("s")
    answer(asked)
    assert session_log.sessions() == []
    asked = graph("Another task.")
    assert "Another task." in raw(session_log)
    answer(asked)
    assert {"node.started", "multi_agent.updated"} <= {event.type for event in happened(session_log)}
