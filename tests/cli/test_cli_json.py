"""What `--json` prints is what `to_json` gives in Python: programs need learn one of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import AgentActivity, SessionLog, ValkeySessionManager, events
from strands_session_log.testing import ScriptedModel
from support.command_line import Run
from support.strands_agents import call


@tool
def refund(order: str) -> str:
    """Refund an order."""
    raise ValueError(f"{order} is unknown")


@pytest.fixture
def told(log: SessionLog) -> SessionLog:
    """A log with a conversation, its fork, and a call that has not ended."""
    manager = ValkeySessionManager("talk", log=log)
    model = ScriptedModel([call("refund", order="881")], "It failed.", "Anything else?")
    agent = Agent(model=model, session_manager=manager, tools=[refund], callback_handler=None, state={"city": "Oslo"})
    agent("Refund it.")
    agent("And now?")
    log.append("talk", events.SessionAnnotated({"team": "billing"}))
    log.fork("talk", at=5, into="fork", allow_unanswered=True)
    log.append("runs", [events.SessionCreated({}), events.InvocationStarted({}, "default")])
    return log


def printed(run: Run, *arguments: str) -> list[Any]:
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


def plain(value: Any) -> Any:
    """It is plain JSON: nothing in it needs a word from us."""
    return json.loads(json.dumps(value))


def test_sessions_prints_the_lines_of_the_directory(told: SessionLog, run: Run) -> None:
    assert printed(run, "sessions") == [plain(info.to_json()) for info in told.sessions(last_message=True)]


@pytest.mark.parametrize("last", [None, 0, 2, 99])
def test_show_prints_the_state(told: SessionLog, run: Run, last: int | None) -> None:
    (found,) = printed(run, "show", "talk", *(() if last is None else ("--last", str(last))))
    expected = plain(told.state("talk").to_json(last))
    # The events that asked stand there, where the state knows only what is open.
    assert {name: found[name] for name in expected if name != "interrupts"} == {
        name: value for name, value in expected.items() if name != "interrupts"
    }
    agent = found["agents"]["default"]
    assert (len(agent["messages"]), agent["message_count"]) == (min(6, 99 if last is None else last), 6)
    assert agent["window"] == [[0, 6]]


def test_diff_prints_the_difference(told: SessionLog, run: Run) -> None:
    (found,) = printed(run, "diff", "talk", "3")
    assert found == {"session_id": "talk", **plain(told.diff("talk", 3).to_json())}
    assert found["labels"] == [{"path": ["team"], "kind": "added", "before": None, "after": "billing"}]


@pytest.mark.parametrize("session_id", ["talk", "fork"])
def test_verify_prints_the_verification(told: SessionLog, run: Run, session_id: str) -> None:
    (found,) = printed(run, "verify", session_id)
    assert found == {"session_id": session_id, **plain(told.verify(session_id).to_json())}
    assert found.get("parent", {}).get("session_id") == ("talk" if session_id == "fork" else None)


def test_a_session_that_was_there_before_is_told_with_its_tombstone(told: SessionLog, run: Run) -> None:
    told.delete("talk", reason="a test", by="Ada")
    told.append("talk", events.SessionCreated({}))
    (found,) = printed(run, "verify", "talk")
    (life,) = found["deleted"]
    assert life == plain(next(told.tombstones("talk")).to_json())
    assert (life["by"], life["reason"]) == ("Ada", "a test")


def test_an_agent_that_was_not_heard_of_for_ten_minutes_is_silent(told: SessionLog) -> None:
    activity = told.session("runs").activity
    assert isinstance(activity, AgentActivity)
    assert not activity.is_silent
    assert plain(activity.to_json())["silent"] is False
