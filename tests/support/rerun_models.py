"""Models and agents as `session-log rerun` is told to import them."""

from __future__ import annotations

from typing import Any

from strands import Agent, tool

from strands_session_log.testing import ScriptedModel

LOOKS = [{"toolUse": {"toolUseId": "now-1", "name": "forecast", "input": {"city": "Lisbon"}}}]
GUESSES = [{"toolUse": {"toolUseId": "now-1", "name": "forecast", "input": {"city": "Porto"}}}]
RAN: list[str] = []


@tool
def forecast(city: str) -> str:
    """Tell the weather."""
    RAN.append(city)
    return f"7 °C in {city}"


def the_same() -> ScriptedModel:
    """Says what was said in the session that the tests record."""
    return ScriptedModel(LOOKS, "A light jacket.", "You are welcome.")


def another() -> ScriptedModel:
    """Looks for another city, and does not find it."""
    return ScriptedModel(GUESSES, "A heavy coat.", "You are welcome.")


def failing() -> ScriptedModel:
    """Answers once, and then nothing."""
    return ScriptedModel(LOOKS, "A light jacket.", RuntimeError("no tokens left"))


def make_agent(model: Any, session_manager: Any) -> Agent:
    """With a tool of its own."""
    return Agent(model, tools=[forecast], session_manager=session_manager, callback_handler=None)


def make_stranger(model: Any, session_manager: Any) -> Agent:
    """Another agent than the session has."""
    return Agent(model, agent_id="stranger", session_manager=session_manager, callback_handler=None)


def make_nothing(model: Any, session_manager: Any) -> Agent:
    """It is not finished."""
    raise NotImplementedError("later")
