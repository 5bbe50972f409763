"""What only newer versions of Strands keep moves in, too: interrupts, graphs, snapshots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.moving import Snapshots, SourceError
from strands_session_log.testing.model import ScriptedModel
from support.moving_agents import agent_on, assert_same, file_agent, log_agent, move_in, moved
from support.strands_agents import add, call

pytest.importorskip("strands.storage", reason="this version of Strands has no snapshots")

from strands import Agent, tool
from strands.hooks import MessageAddedEvent
from strands.multiagent import GraphBuilder
from strands.session import SnapshotSessionManager
from strands.session.file_session_manager import FileSessionManager
from strands.storage import LocalFileStorage
from strands.types.exceptions import ContextWindowOverflowException

PICTURE = b"\x89PNG\x00"
ANSWERS = [f"Answer {number}." for number in range(8)]


@tool(context=True)
def transfer(tool_context: Any, amount: int) -> str:
    """Transfer money, if somebody approves."""
    return f"{tool_context.interrupt('approval', reason=amount)}: {amount} transferred"


def snapshot_agent(place: Path, script: Any = ("Hello.",), session: str = "s", **options: Any) -> Any:
    manager = SnapshotSessionManager(session, storage=LocalFileStorage(str(place)))
    return agent_on(manager, script, **options)


def talk(agent: Any, turns: int) -> None:
    for number in range(turns):
        agent(f"Question {number}?")


def approve(result: Any) -> Any:
    return [{"interruptResponse": {"interruptId": one.id, "response": "approved"}} for one in result.interrupts]


def graph(manager: Any, second: Any = ("Written.",)) -> Any:
    def speaker(name: str, script: Any) -> Agent:
        return Agent(name=name, agent_id=name, model=ScriptedModel(script), callback_handler=None)

    builder = GraphBuilder()
    builder.add_node(speaker("research", ["Found it."]), "research")
    builder.add_node(speaker("write", second), "write")
    builder.add_edge("research", "write")
    builder.set_entry_point("research")
    builder.set_session_manager(manager)
    builder.set_max_node_executions(9)
    return builder.build()


@pytest.mark.parametrize("kind", ["file-session", "snapshots"])
def test_an_agent_that_waited_for_approval_gets_it_in_the_log(
    tmp_path: Path, session_log: SessionLog, kind: str
) -> None:
    make = file_agent if kind == "file-session" else snapshot_agent
    waiting = make(tmp_path, [[call("transfer", amount=7)]], tools=[transfer])("Transfer 7.")
    assert waiting.stop_reason == "interrupt"

    moved(tmp_path if kind == "file-session" else Snapshots(tmp_path), session_log)

    resumed = log_agent(session_log, ["Done."], tools=[transfer])
    assert_same(resumed, make(tmp_path, tools=[transfer]))
    assert resumed(approve(waiting)).stop_reason == "end_turn"
    assert "approved: 7 transferred" in str(resumed.messages)


@pytest.mark.parametrize("kind", ["file-session", "snapshots"])
def test_a_graph_that_failed_goes_on_in_the_log(tmp_path: Path, session_log: SessionLog, kind: str) -> None:
    def manager() -> Any:
        if kind == "file-session":
            return FileSessionManager("g", storage_dir=str(tmp_path))
        return SnapshotSessionManager("g", storage=LocalFileStorage(str(tmp_path)))

    task: Any = [{"text": "Tell me."}, {"image": {"format": "png", "source": {"bytes": PICTURE}}}]
    broken = graph(manager(), [RuntimeError("the model is down")])
    with pytest.raises(RuntimeError, match="the model is down"):
        broken(task)

    moved(tmp_path if kind == "file-session" else Snapshots(tmp_path), session_log)

    resumed = graph(ValkeySessionManager("g", log=session_log))
    result = resumed("This is not looked at: it goes on with its old task.")
    assert [node.node_id for node in result.execution_order] == ["research", "write"]
    assert resumed.nodes["research"].executor.model.calls == []
    assert str(PICTURE) in str(resumed.nodes["write"].executor.model.calls)
    assert result.results["write"].result.message["content"] == [{"text": "Written."}]


def test_a_snapshot_is_resumed_with_all_it_holds(tmp_path: Path, session_log: SessionLog) -> None:
    agent = snapshot_agent(tmp_path, [[call("add", a=1, b=2)], "3."], tools=[add], state={"luggage": "hand"})
    agent([{"text": "Add."}, {"image": {"format": "png", "source": {"bytes": PICTURE}}}])

    moved(Snapshots(tmp_path), session_log)

    resumed = log_agent(session_log, tools=[add])
    assert_same(resumed, snapshot_agent(tmp_path))
    assert resumed.messages == agent.messages
    resumed("And now?")
    assert log_agent(session_log).messages == resumed.messages


@pytest.mark.parametrize(
    ("manager", "script"),
    [
        (lambda: SlidingWindowConversationManager(window_size=4), ANSWERS),
        (
            lambda: SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2),
            [*ANSWERS[:4], ContextWindowOverflowException("too long"), "A summary.", *ANSWERS[4:]],
        ),
    ],
    ids=["sliding", "summarizing"],
)
def test_what_a_snapshot_does_not_hold_any_more_is_not_taken_from_what_it_does(
    tmp_path: Path, session_log: SessionLog, manager: Any, script: Any
) -> None:
    agent = snapshot_agent(tmp_path, script, conversation_manager=manager())
    talk(agent, 6)
    assert agent.conversation_manager.removed_message_count > 0

    moved(Snapshots(tmp_path), session_log)

    resumed = log_agent(session_log, ANSWERS, conversation_manager=manager())
    assert_same(resumed, snapshot_agent(tmp_path, conversation_manager=manager()))
    assert session_log.state("s").agents["default"].window == resumed.messages
    talk(resumed, 3)
    assert log_agent(session_log, conversation_manager=manager()).messages == resumed.messages


def test_a_snapshot_tells_when_it_was_taken_and_what_is_left_behind(tmp_path: Path, session_log: SessionLog) -> None:
    snapshot_agent(tmp_path, ["Aye."], system_prompt="You are a pirate.")("Who are you?")
    taken = json.loads(next(tmp_path.rglob("snapshot_latest.json")).read_text())["created_at"]

    imported = moved(Snapshots(tmp_path), session_log)

    assert ["system prompt" in warning for warning in imported.warnings] == [True]
    state = session_log.state("s")
    assert state.session is not None
    assert {state.session["created_at"], state.agents["default"].messages[0].created_at} == {taken}
    assert move_in(Snapshots(tmp_path), session_log)[0].outcome == "skipped"


def test_a_snapshot_whose_agent_has_gone_on_is_caught_up_with(tmp_path: Path, session_log: SessionLog) -> None:
    snapshot_agent(tmp_path, ["One."])("Question?")
    moved(Snapshots(tmp_path), session_log)
    before = list(session_log.read("s"))
    snapshot_agent(tmp_path, ["Two."], state={"turns": 2})("Another?")

    (caught_up,) = move_in(Snapshots(tmp_path), session_log)

    assert (caught_up.outcome, caught_up.messages) == ("completed", 2)
    assert list(session_log.read("s"))[: len(before)] == before
    assert_same(log_agent(session_log), snapshot_agent(tmp_path))
    assert [one.outcome for one in move_in(Snapshots(tmp_path), session_log)] == ["skipped"]
    assert session_log.verify("s").ok


def test_a_snapshot_that_was_taken_again_of_the_same_is_there_already(tmp_path: Path, session_log: SessionLog) -> None:
    agent = snapshot_agent(tmp_path, ["One."])
    agent("Question?")
    moved(Snapshots(tmp_path), session_log)
    path = next(tmp_path.rglob("snapshot_latest.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created_at": "2030-01-01T00:00:00+00:00"}))

    assert [one.outcome for one in move_in(Snapshots(tmp_path), session_log)] == ["skipped"]


def test_a_snapshot_whose_window_has_slid_is_caught_up_with(tmp_path: Path, session_log: SessionLog) -> None:
    manager = SlidingWindowConversationManager(window_size=4)
    agent = snapshot_agent(tmp_path, ANSWERS, conversation_manager=manager)
    said: list[Any] = []
    agent.hooks.add_callback(MessageAddedEvent, lambda event: said.append(event.message))
    for number, turns in enumerate((1, 1, 2, 1, 2)):
        talk(agent, turns)
        assert move_in(Snapshots(tmp_path), session_log)[0].outcome == ("completed" if number else "imported")
        found = session_log.state("s").agents["default"]
        assert found.window == agent.messages
        assert [record.message["content"] for record in found.messages] == [message["content"] for message in said]
    assert session_log.verify("s").ok
    resumed = log_agent(session_log, conversation_manager=SlidingWindowConversationManager(window_size=4))
    assert_same(resumed, agent)


@pytest.mark.parametrize("turns_before", [1, 6], ids=["before the first summary", "after it"])
def test_a_snapshot_whose_agent_summarised_is_caught_up_with(
    tmp_path: Path, session_log: SessionLog, turns_before: int
) -> None:
    """The summary stands in no transcript, unless it was all that the first import found of what it stands for."""

    def manager() -> Any:
        return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)

    def answer(messages: Any) -> Any:
        if "summarize" in str(messages[-1]).lower():
            return f"Summary {len(messages)}."
        if len(messages) > 7:
            raise ContextWindowOverflowException("too long")
        return f"Answer to {messages[-1]['content'][0]['text']}"

    agent = snapshot_agent(tmp_path, answer, conversation_manager=manager())
    talk(agent, turns_before)
    moved(Snapshots(tmp_path), session_log)
    said = list(agent.messages)
    agent.hooks.add_callback(MessageAddedEvent, lambda event: said.append(event.message))
    for _ in range(12):
        talk(agent, 1)
        assert move_in(Snapshots(tmp_path), session_log)[0].outcome == "completed"
        assert move_in(Snapshots(tmp_path), session_log)[0].outcome == "skipped"
        found = session_log.state("s").agents["default"]
        assert found.window == agent.messages
        assert [record.message["content"] for record in found.messages] == [message["content"] for message in said]
    assert agent.conversation_manager.removed_message_count > 8
    assert session_log.verify("s").ok
    assert_same(log_agent(session_log, conversation_manager=manager()), agent)


def test_messages_that_a_snapshot_lost_before_they_were_imported_are_named(
    tmp_path: Path, session_log: SessionLog
) -> None:
    agent = snapshot_agent(tmp_path, ANSWERS, conversation_manager=SlidingWindowConversationManager(window_size=2))
    talk(agent, 1)
    moved(Snapshots(tmp_path), session_log)
    talk(agent, 3)

    (outcome,) = move_in(Snapshots(tmp_path), session_log)

    assert outcome.outcome == "conflict"
    assert "has removed messages 2 to 5 of 'default', which were never imported: import more often" in outcome.problem
    assert session_log.verify("s").ok


def test_a_message_that_a_snapshot_has_otherwise_is_a_conflict_that_names_it(
    tmp_path: Path, session_log: SessionLog
) -> None:
    snapshot_agent(tmp_path, ["One."])("Question?")
    moved(Snapshots(tmp_path), session_log)
    snapshot_agent(tmp_path, ["Two."])("Another?")
    path = next(tmp_path.rglob("snapshot_latest.json"))
    path.write_text(path.read_text().replace("One.", "Never said."))

    (outcome,) = move_in(Snapshots(tmp_path), session_log)

    assert outcome.outcome == "conflict"
    assert "the source has changed message 1 of 'default' since it was imported" in outcome.problem
    assert "delete it from the log and import it anew" in outcome.problem


def test_a_snapshot_does_not_take_the_place_of_what_its_agent_did_in_the_log(
    tmp_path: Path, session_log: SessionLog
) -> None:
    snapshot_agent(tmp_path, ["One."])("Question?")
    moved(Snapshots(tmp_path), session_log)
    log_agent(session_log, ["Two."])("Another?")
    assert move_in(Snapshots(tmp_path), session_log)[0].outcome == "skipped"

    snapshot_agent(tmp_path, ["Three."])("And there?")
    (outcome,) = move_in(Snapshots(tmp_path), session_log)

    assert outcome.outcome == "conflict"
    assert "the log has events of its own" in outcome.problem


def test_a_storage_with_a_namespace_of_its_own_is_read_as_well(tmp_path: Path, session_log: SessionLog) -> None:
    storage = LocalFileStorage(str(tmp_path)).namespace("mine")
    agent_on(SnapshotSessionManager("s", storage=storage), ["One."])("Question?")

    moved(Snapshots(tmp_path / "mine"), session_log)

    assert len(log_agent(session_log).messages) == 2


def test_a_snapshot_of_a_later_format_is_refused_by_name(tmp_path: Path, session_log: SessionLog) -> None:
    snapshot_agent(tmp_path)("Question?")
    path = next(tmp_path.rglob("snapshot_latest.json"))
    path.write_text(path.read_text().replace('"1.0"', '"2.0"'))

    (outcome,) = move_in(Snapshots(tmp_path), session_log)

    assert (outcome.outcome, str(path) in outcome.problem) == ("failed", True)
    assert session_log.sessions() == []


def test_a_directory_of_snapshots_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: there is no such directory"):
        Snapshots(tmp_path / "nowhere")
