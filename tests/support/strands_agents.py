"""What the suites on Strands agents share."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.events import Event
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel

runs_the_demo = pytest.mark.skipif(
    signature(Agent.__call__).parameters["prompt"].default is Parameter.empty,
    reason="this version of Strands cannot go on without a prompt",
)


def make_agent(
    log: SessionLog, script: Any = ("Hello.",), manager: dict[str, Any] | None = None, **options: Any
) -> Any:
    """An agent of session "s"; `manager` holds options of its session manager."""
    session_manager = ValkeySessionManager("s", log=log, **(manager or {}))
    return Agent(model=ScriptedModel(script), session_manager=session_manager, callback_handler=None, **options)


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call of the model's."""
    return {"toolUse": {"name": name, "input": arguments}}


def happened(log: SessionLog, types: Any = None, session: str = "s") -> list[Event]:
    """The events of a session."""
    return [one.event for one in log.read(session, types=types)]


def continued(agent: Any, text: str) -> None:
    """Let a hook add something before the next model call; Strands merges it into the user's message."""
    continuation = pytest.importorskip("strands.agent._continuation", reason="this version of Strands merges nothing")

    def add(event: Any) -> None:
        if pending:
            given = continuation._ContinuationInput(args=[{"role": "user", "content": [{"text": pending.pop()}]}])
            continuation.add_input(event, given)

    pending = [text]
    agent.hooks.add_callback(hook_event("BeforeModelCallEvent"), add)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def fail(reason: str) -> str:
    """Raise an error."""
    raise ValueError(reason)
