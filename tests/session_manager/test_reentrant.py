"""Agents that are called while they run, which Strands allows to those who ask for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from strands import Agent
from strands.types.exceptions import SessionException
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, errors
from strands_session_log.lifecycle import Outbox
from support.clients import client_of
from support.strands_agents import make_agent

THREADS, TURNS = 8, 5


def reentrant(log: SessionLog, script: Any, **options: Any) -> Any:
    try:
        return make_agent(log, script, concurrent_invocation_mode="unsafe_reentrant", **options)
    except TypeError:
        pytest.skip("this version of Strands does not let an agent be called while it runs")


def at_once(*calls: Callable[[], Any]) -> list[BaseException]:
    """Run calls in threads of their own; returns what they raised."""
    raised: list[BaseException] = []
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        try:
            ready.wait(10)
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


def contents(agent: Any) -> list[dict[str, Any]]:
    """What an agent holds; of two messages that are the same in all but their name, either may come first."""
    return [{name: value for name, value in one.items() if name != "tracking_id"} for one in agent.messages]


def texts(log: SessionLog) -> list[str]:
    return [record.shown["content"][0]["text"] for record in log.state("s").agents["default"].messages]


@pytest.mark.parametrize("hold", [False, True])
def test_what_is_said_in_threads_at_once_is_all_in_the_transcript(session_log: SessionLog, hold: bool) -> None:
    agent = reentrant(session_log, lambda _: "Fine.", manager={"hold_user_messages": hold})

    def talk(name: str) -> Callable[[], object]:
        return lambda: [agent(f"{name} {number}") for number in range(TURNS)]

    assert at_once(*(talk(f"thread {number}") for number in range(THREADS))) == []
    agent("At last.")
    said = texts(session_log)
    expected = [f"thread {name} {number}" for name in range(THREADS) for number in range(TURNS)]
    assert sorted(text for text in said if text.startswith("thread")) == sorted(expected)
    assert len(said) == 2 * THREADS * TURNS + 2
    assert contents(make_agent(session_log)) == contents(agent)
    assert session_log.verify("s").ok


def test_two_messages_said_at_once_have_an_index_each(session_log: SessionLog) -> None:
    agent = make_agent(session_log)
    manager = agent._session_manager

    def append(name: int) -> Callable[[], object]:
        said: list[Any] = [{"role": "user", "content": [{"text": f"{name} {number}"}]} for number in range(50)]
        return lambda: [manager.append_message(message, agent) for message in said]

    assert at_once(*map(append, range(4))) == []
    records = list(session_log.state("s").agents["default"].messages)
    assert [record.message_id for record in records] == list(range(200))
    for name in range(4):
        mine = [text for text in texts(session_log) if text.startswith(f"{name} ")]
        assert mine == [f"{name} {number}" for number in range(50)]


def test_a_message_that_a_repository_puts_where_one_is_held_back_is_refused(session_log: SessionLog) -> None:
    agent = make_agent(session_log, manager={"hold_user_messages": True})
    manager = agent._session_manager
    note = SessionMessage({"role": "user", "content": [{"text": "A note."}]}, 0)

    def meddle(_: Any) -> str:
        with pytest.raises(errors.ConcurrentWriteError):
            manager.create_message("s", "default", note)
        return "Fine."

    agent.model._respond = meddle
    agent("Hello.")
    assert texts(session_log) == ["Hello.", "Fine."]


def test_a_message_that_can_never_be_written_is_given_up_with_an_error_and_others_go_on(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, ["One.", "Two.", "Three."])
    agent("First.")
    journal: Outbox = agent._session_manager._live(agent).outbox
    # As if somebody's hands had been in the head: an index is in use, though the agent did not move.
    head = session_log._events.keyspace.session("s").head
    client_of(session_log).hset(head, "agent:default:messages", "0-2")
    with pytest.raises(Exception, match="written by someone else") as refused:
        agent("Second.")
    assert "message" in str(refused.value)
    assert not journal.has_waiting
    agent("Third.")
    assert texts(session_log)[:2] == ["First.", "One."]
    assert texts(session_log)[-2:] == ["Third.", agent.messages[-1]["content"][0]["text"]]
    resumed = make_agent(session_log)
    assert resumed.messages == agent.messages


def test_what_came_with_a_message_that_is_given_up_is_written(session_log: SessionLog) -> None:
    agent: Agent = make_agent(session_log, ["One.", "Two."])
    agent("First.")
    manager: Any = agent._session_manager
    head = session_log._events.keyspace.session("s").head
    client_of(session_log).hset(head, "agent:default:messages", "0-2")
    agent.state.set("kept", True)
    with pytest.raises(SessionException):
        manager.append_message({"role": "user", "content": [{"text": "Lost."}]}, agent)
    manager.sync_agent(agent)
    assert session_log.state("s").agents["default"].state == {"kept": True}
    manager.append_message({"role": "user", "content": [{"text": "Said."}]}, agent)
    assert texts(session_log) == ["First.", "One.", "Said."]
