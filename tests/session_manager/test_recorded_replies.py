"""A test plays a recorded session again: the model says what it said, and the agent is asked what it was asked."""

from __future__ import annotations

from typing import Any

from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel, recorded_prompts, recorded_replies


@tool
def forecast(city: str) -> str:
    """Tell the weather."""
    return f"19 °C in {city}"


def contents(agent: Agent) -> list[Any]:
    return [one["content"] for one in agent.messages]


def test_an_agent_given_the_recorded_replies_and_prompts_says_and_does_the_same(session_log: SessionLog) -> None:
    called = [{"toolUse": {"toolUseId": "t1", "name": "forecast", "input": {"city": "Lisbon"}}}]
    model = ScriptedModel(called, "A light jacket.", "You are welcome.")
    manager = ValkeySessionManager("s", log=session_log)
    first = Agent(model, tools=[forecast], session_manager=manager, callback_handler=None)
    first("What should I pack?")
    first("Thanks")
    again = Agent(ScriptedModel(*recorded_replies(session_log, "s")), tools=[forecast], callback_handler=None)
    for prompt in recorded_prompts(session_log, "s"):
        again(prompt)  # type: ignore[arg-type]
    assert contents(again) == contents(first)
    assert len(contents(again)) == 6
