"""Chapter 5. Two writers that do not know of each other, and a call of which nobody knows whether it has landed."""

from __future__ import annotations

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors, events
from strands_session_log.testing.model import ScriptedModel


def agent(log: SessionLog, answer: str) -> Agent:
    manager = ValkeySessionManager("s-1", log=log)
    return Agent(model=ScriptedModel([answer] * 3), session_manager=manager, callback_handler=None)


def test_of_two_processes_with_one_agent_the_second_is_refused(session_log: SessionLog) -> None:
    one, other = agent(session_log, "One."), agent(session_log, "Other.")
    one("Hello?")
    with pytest.raises(errors.ConcurrentWriteError):
        other("Hello?")
    said = [record.message["content"][0]["text"] for record in session_log.state("s-1").agents["default"].messages]
    assert said == ["Hello?", "One."]


def test_events_of_your_own_are_in_nobodys_way(session_log: SessionLog) -> None:
    talking = agent(session_log, "Yes.")
    talking("Hello?")
    session_log.append("s-1", events.Custom("custom.feedback", {"score": 5}))
    talking("Still there?")
    assert [one.event.type for one in session_log.read("s-1", types=["message.added", "custom.feedback"])] == [
        *["message.added"] * 2,
        "custom.feedback",
        *["message.added"] * 2,
    ]


def test_an_event_id_of_your_own_makes_an_append_repeatable(session_log: SessionLog) -> None:
    event = events.Custom("custom.order", {"number": 7}, event_id="0193e4a0-0000-7000-8000-000000000007")
    for _ in range(3):
        assert session_log.append("s-1", event, once=True).revision == 1
    assert len(list(session_log.read("s-1"))) == 1
