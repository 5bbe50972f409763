"""Chapter 4. The state of a session is its events, folded; so there is one for every point."""

from __future__ import annotations

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support.clients import client_of


@pytest.fixture
def log(session_log: SessionLog) -> SessionLog:
    manager = ValkeySessionManager("s-1", log=session_log)
    agent = Agent(model=ScriptedModel(["One.", "Two."]), session_manager=manager, callback_handler=None)
    agent("First?")
    agent.state.set("topic", "numbers")
    agent("Second?")
    return session_log


def test_what_an_agent_holds_now(log: SessionLog) -> None:
    agent = log.state("s-1").agents["default"]
    assert [record.message["role"] for record in agent.messages] == ["user", "assistant"] * 2
    assert agent.record is not None
    assert agent.record["state"] == {"topic": "numbers"}


def test_what_it_held_at_any_point_before(log: SessionLog) -> None:
    for recorded in log.read("s-1", types="message.added"):
        then = log.state("s-1", at=recorded.id)
        assert then.revision == recorded.id.revision
        assert len(then.agents["default"].messages) == recorded.event.data["message_id"] + 1


def test_the_state_is_cached_and_the_cache_may_go(log: SessionLog) -> None:
    now = log.state("s-1")
    client_of(log).delete(*client_of(log).keys(f"{log.namespace}:*snapshot*") or ["nothing"])
    assert log.state("s-1") == now
