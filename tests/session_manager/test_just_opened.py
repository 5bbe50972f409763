"""An agent that is made with its manager resumes from what the manager's constructor has read: one look, not two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors
from strands_session_log.session_manager import repository
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import happened, make_agent


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is."""
    monkeypatch.setattr(repository, "_JUST_READ", 60.0)


def agent_of(manager: ValkeySessionManager, **options: Any) -> Any:
    return Agent(model=ScriptedModel("Hello."), session_manager=manager, callback_handler=None, **options)


def texts(agent: Any) -> list[str]:
    return [block["text"] for message in agent.messages for block in message["content"]]


@pytest.fixture
def elsewhere(log: SessionLog, make_client: Callable[..., Any]) -> SessionLog:
    """The log of another process."""
    return SessionLog(make_client(), log.namespace)


def test_what_this_process_has_written_since_is_seen(log: SessionLog) -> None:
    make_agent(log)("Hi.")
    opened = ValkeySessionManager("s", log=log)
    make_agent(log)("And again.")
    assert texts(agent_of(opened)) == ["Hi.", "Hello.", "And again.", "Hello."]


def test_what_is_read_once_counts_for_one_agent(log: SessionLog, elsewhere: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=log)
    agent_of(manager, agent_id="one")
    agent_of(ValkeySessionManager("s", log=elsewhere), agent_id="two")("Hi.")
    assert texts(agent_of(manager, agent_id="two")) == ["Hi.", "Hello."]


def test_two_processes_that_create_an_agent_at_once_resume_the_same_one(log: SessionLog, elsewhere: SessionLog) -> None:
    ValkeySessionManager("s", log=log)
    late, early = ValkeySessionManager("s", log=log), ValkeySessionManager("s", log=elsewhere)
    agent_of(early)("Hi.")
    resumed = agent_of(late, messages=[{"role": "user", "content": [{"text": "mine"}]}])
    assert texts(resumed) == ["Hi.", "Hello."]
    resumed("And now?")
    assert [event.type for event in happened(log)].count("agent.created") == 1


def test_what_was_read_a_while_ago_is_read_again(
    log: SessionLog, elsewhere: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_agent(log)("Hi.")
    opened = ValkeySessionManager("s", log=log)
    make_agent(elsewhere)("And again.")
    monkeypatch.setattr(repository, "_JUST_READ", 0.0)
    assert texts(agent_of(opened)) == ["Hi.", "Hello.", "And again.", "Hello."]


def test_an_agent_that_others_have_moved_meanwhile_is_refused_and_writes_over_nothing(
    log: SessionLog, elsewhere: SessionLog
) -> None:
    make_agent(log)("Hi.")
    opened = ValkeySessionManager("s", log=log)
    make_agent(elsewhere)("And again.")
    resumed = agent_of(opened)
    with pytest.raises(Exception) as refused:
        resumed("Too late.")
    assert isinstance(refused.value.__cause__ or refused.value, errors.ConcurrentWriteError)
    said = [event.data["message"]["content"][0]["text"] for event in happened(log, ["message.added"])]
    assert said == ["Hi.", "Hello.", "And again.", "Hello."]


def test_a_restored_message_is_redacted_where_it_stands(log: SessionLog) -> None:
    make_agent(log)("4711-0815")
    resumed = make_agent(log)
    message = resumed.messages[-1]
    message["content"] = [{"text": "[redacted]"}]
    resumed._session_manager.redact_latest_message(message, resumed)
    window = log.state("s").agents["default"].window
    assert [shown["content"][0]["text"] for shown in window] == ["4711-0815", "[redacted]"]
