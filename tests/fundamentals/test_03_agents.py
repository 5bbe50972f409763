"""Chapter 3. A session manager writes what an agent does; another agent of the session goes on where it was."""

from __future__ import annotations

from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel


def agent(log: SessionLog, *answers: str) -> Agent:
    """An agent with a model that says what it is told to; yours has a real one."""
    manager = ValkeySessionManager("s-1", log=log)
    return Agent(model=ScriptedModel(answers), session_manager=manager, callback_handler=None)


def test_a_turn_is_in_the_log_when_the_call_returns(session_log: SessionLog) -> None:
    agent(session_log, "Hello, Ada.")("My name is Ada.")
    types = [recorded.event.type for recorded in session_log.read("s-1")]
    assert types[:2] == ["session.created", "agent.created"]
    assert types.count("message.added") == 2
    assert types[-1] == "invocation.completed"


def test_an_agent_in_another_process_holds_what_the_first_one_held(session_log: SessionLog) -> None:
    first = agent(session_log, "Hello, Ada.")
    first("My name is Ada.")
    second = agent(session_log, "Ada.")
    assert [message["content"] for message in second.messages] == [message["content"] for message in first.messages]
    second("What is my name?")
    assert len(session_log.state("s-1").agents["default"].messages) == 4
