"""Chapter 6. Every revision is a point to compare with, to begin another session from, or to go on from."""

from __future__ import annotations

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel


def agent(log: SessionLog, session_id: str, *answers: str) -> Agent:
    manager = ValkeySessionManager(session_id, log=log)
    return Agent(model=ScriptedModel(answers), session_manager=manager, callback_handler=None)


@pytest.fixture
def log(session_log: SessionLog) -> SessionLog:
    talking = agent(session_log, "s-1", "One.", "Two.")
    talking("First?")
    talking("Second?")
    return session_log


def after_the_first_answer(log: SessionLog) -> int:
    return [recorded.id.revision for recorded in log.read("s-1", types="message.added")][1]


def test_what_has_changed_since(log: SessionLog) -> None:
    since = log.diff("s-1", after_the_first_answer(log))
    added = [change.after.message["content"][0]["text"] for change in since.agents["default"].added if change.after]
    assert added == ["Second?", "Two."]


def test_a_fork_is_a_session_of_its_own(log: SessionLog) -> None:
    log.fork("s-1", at=after_the_first_answer(log), into="s-2")
    agent(log, "s-2", "Another answer.")("Something else?")
    assert len(agent(log, "s-1").messages) == len(agent(log, "s-2").messages) == 4
    assert log.verify("s-2").ok


def test_a_rewind_deletes_nothing_and_can_be_undone(log: SessionLog) -> None:
    before = log.state("s-1").revision
    log.rewind("s-1", after_the_first_answer(log))
    assert len(agent(log, "s-1").messages) == 2
    log.rewind("s-1", before)
    assert len(agent(log, "s-1").messages) == 4
