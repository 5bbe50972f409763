"""What is said in the demo: an agent with two tools and a model that always answers the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from strands import Agent, tool

from ..session_manager import ValkeySessionManager
from ..testing.model import Reply, ScriptedModel

QUESTION = "I fly to Lisbon on Friday. What should I pack?"
FOLLOW_UP = "Good. Please remember that I travel with hand luggage only."
ADVICE = "Pack a light rain jacket and shoes that may get wet: 19 °C, with showers in the afternoon."
CONFIRMATION = "I will remember: hand luggage only. Then wear the jacket instead of packing it."

_FORECASTS = {"Lisbon": "19 °C, showers in the afternoon"}


@tool
def forecast(city: str) -> str:
    """Look up Friday's weather.

    Args:
        city: Where.
    """
    return f"Friday in {city}: {_FORECASTS[city]}"


def make_agent(manager: ValkeySessionManager, before_advice: Callable[[], None]) -> Agent:
    """The agent of both processes: with a session that exists, it goes on where that one ends.

    Args:
        manager: Keeps its session.
        before_advice: Called when the model is asked for its first conclusion.
    """

    def respond(messages: Sequence[Mapping[str, Any]]) -> Reply:
        reply = _reply(messages[-1]["content"][0])
        if reply == ADVICE:
            before_advice()
        return reply

    @tool
    def remember(note: str) -> str:
        """Keep a note about the traveller.

        Args:
            note: What to remember.
        """
        agent.state.set("note", note)
        return "noted"

    agent = Agent(
        model=ScriptedModel(respond),
        tools=[forecast, remember],
        system_prompt="You help people pack.",
        session_manager=manager,
        callback_handler=None,
    )
    return agent


def _reply(block: Mapping[str, Any]) -> Reply:
    """What the model says to what was said last."""
    match block:
        case {"text": str(text)} if text == QUESTION:
            return [{"text": "Let me look at the forecast."}, _call("forecast", city="Lisbon")]
        case {"text": str(text)} if text == FOLLOW_UP:
            return [_call("remember", note="hand luggage only")]
        case {"toolResult": {"content": [{"text": "noted"}]}}:
            return CONFIRMATION
        case {"toolResult": _}:
            return ADVICE
    return "I have nothing to say to that."


def _call(name: str, **arguments: str) -> dict[str, Any]:
    # One id for each call, in whichever process it is made.
    return {"toolUse": {"toolUseId": f"call-{name}", "name": name, "input": arguments}}
