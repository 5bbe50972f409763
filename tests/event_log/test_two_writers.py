"""Two who write one session: nobody's words are lost, and whoever is told "no" can go on."""

from __future__ import annotations

from typing import Any

import pytest
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from strands_session_log import AgentAt, SessionLog, ValkeySessionManager, errors, events
from strands_session_log.testing.model import ScriptedModel
from support.programs import run
from support.strands_agents import make_agent


def said(index: int, text: str = "hi") -> SessionMessage:
    return SessionMessage({"role": "user", "content": [{"text": text}]}, index)


def test_a_manager_made_before_another_process_wrote_restores_what_that_one_wrote(session_log: SessionLog) -> None:
    from strands import Agent

    early = ValkeySessionManager("s", log=session_log)
    other = make_agent(session_log, ["Hi."], state={"kept": 1})
    other("Hello")
    agent: Any = Agent(model=ScriptedModel(["Go on."]), session_manager=early, callback_handler=None)
    assert agent.messages == other.messages
    assert agent.state.get() == {"kept": 1}


OTHER_PROCESS = """
import sys
from strands import Agent
from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support.programs import run
manager = ValkeySessionManager("s", log=SessionLog.connect(*sys.argv[1:]))
agent = Agent(model=ScriptedModel(["From the other process."]), session_manager=manager, callback_handler=None)
agent("I was quicker.")
"""


def test_of_two_processes_running_one_agent_the_second_to_write_is_refused(
    session_log: SessionLog, server_url: str
) -> None:
    agent = make_agent(session_log, ["One.", "Never written."])
    agent("First")
    run(["-c", OTHER_PROCESS, server_url, session_log.namespace]).check_returncode()
    before = list(session_log.read("s"))
    with pytest.raises(SessionException) as refusal:
        agent("Second")
    assert isinstance(refusal.value, errors.ConcurrentWriteError)
    assert list(session_log.read("s")) == before
    assert "From the other process." in str(session_log.state("s").agents["default"].window[-1])


def keys_of(log: SessionLog) -> list[Any]:
    keys = log._events.keyspace.session("s")
    return [keys.events, keys.head, keys.feed, keys.sessions]


def test_a_history_replaced_in_a_failover_is_not_continued_by_who_knew_the_lost_one(session_log: SessionLog) -> None:
    """The server goes back to an earlier state, as after the loss of a primary; revisions are the same again."""
    first = make_agent(session_log, [f"A{number}." for number in range(5)])
    first("Q0")
    execute = session_log.client.execute_command
    backup = {key: execute("DUMP", key, NEVER_DECODE=True) for key in keys_of(session_log)}
    first("Q1, which gets lost")
    for key, dump in backup.items():
        execute("RESTORE", key, 0, dump, "REPLACE")
    second = make_agent(session_log, ["B1."])
    second("Another question")
    with pytest.raises(SessionException, match="written by someone else"):
        first("Q2")
    assert "Q2" not in str(session_log.state("s").agents["default"].messages)
    assert session_log.verify("s").ok


def test_a_bare_revision_still_fences_for_those_who_know_no_more(session_log: SessionLog) -> None:
    moved = session_log.append("s", events.AgentUpdated({}, "a"))
    session_log.append("s", events.AgentUpdated({}, "a"), expected=AgentAt("a", revision=moved.revision))
    with pytest.raises(errors.ConcurrentWriteError) as refusal:
        session_log.append("s", events.AgentUpdated({}, "a"), expected=AgentAt("a", revision=moved))
    assert refusal.value.expected == {"agent": "a", "moved": str(moved)}


def test_a_refused_repository_call_does_not_stop_the_agent_beside_it(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("First")
    with pytest.raises(errors.ConcurrentWriteError):
        agent._session_manager.create_message("s", "default", said(0))
    agent("Second")
    assert make_agent(session_log).messages == agent.messages


def test_a_repository_call_that_failed_leaves_nothing_behind(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("First")
    manager = agent._session_manager

    def full(*_: Any, **__: Any) -> Any:
        raise errors.OutOfMemoryError("full")

    with monkeypatch.context() as without_memory:
        without_memory.setattr(session_log._events, "append", full)
        with pytest.raises(SessionException, match="full"):
            manager.create_message("s", "default", said(2, "note"))
    manager.create_message("s", "default", said(2, "note"))
    agent("Second")
    assert [record.message_id for record in manager.list_messages("s", "default")] == [0, 1, 2, 3, 4]


def test_an_agent_goes_on_without_what_was_deleted_with_its_session(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("Before that")
    manager = agent._session_manager
    manager.delete_session("s")
    manager.create_session(Session("s", SessionType.AGENT))
    manager.create_agent("s", SessionAgent("default", {}, {}))
    agent("Second")
    assert make_agent(session_log).messages == agent.messages[2:]
    assert "Before that" not in str(list(session_log._events.entries("s")))
    assert session_log.verify("s").ok


def test_a_batch_about_a_thousand_agents_lands_whole(session_log: SessionLog) -> None:
    session_log.append("s", [events.AgentCreated({}, f"agent-{number}") for number in range(1000)])
    assert len(session_log.state("s").agents) == 1000
    assert session_log.verify("s").ok


def test_appending_goes_on_after_the_newest_envelope_of_the_feed_was_deleted(session_log: SessionLog) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    keyspace = session_log._events.keyspace
    feed = keyspace.feed(keyspace.partition("s"))
    session_log.client.execute_command("XADD", feed, "99999999999999-7", "session", "x")
    session_log.client.execute_command("XDEL", feed, "99999999999999-7")
    session_log.append("s", events.Custom("custom.note", {}))
    newest = session_log.client.execute_command("XREVRANGE", feed, "+", "-", "COUNT", 1)[0][0]
    assert newest == b"99999999999999-8"
    assert session_log.verify("s").ok


def test_a_repository_call_from_another_thread_waits_for_an_agent_that_is_being_made(session_log: SessionLog) -> None:
    from threading import Event, Thread

    from strands import Agent
    from strands.agent.conversation_manager import SlidingWindowConversationManager

    manager = ValkeySessionManager("s", log=session_log)
    manager.create_agent("s", SessionAgent("default", {}, SlidingWindowConversationManager().get_state()))
    restoring, go_on = Event(), Event()

    class Slow(SlidingWindowConversationManager):
        def restore_from_session(self, state: Any) -> Any:
            restoring.set()
            go_on.wait(timeout=10)
            raise RuntimeError("this agent cannot be made")

    def make() -> None:
        with pytest.raises(RuntimeError, match="cannot be made"):
            Agent(model=ScriptedModel([]), session_manager=manager, conversation_manager=Slow())

    making = Thread(target=make)
    making.start()
    assert restoring.wait(timeout=10)
    writing = Thread(target=manager.create_message, args=("s", "other", said(0)))
    writing.start()
    go_on.set()
    making.join()
    writing.join()
    assert len(manager.list_messages("s", "other")) == 1
