"""Agents that answer whatever they are asked, beside the same agent without a session manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from strands import Agent, tool

from strands_session_log.testing.model import ScriptedModel

from .sessions import agent, converse
from .text import said

THOUGHT = 0.010
"""Seconds until a model that takes a while answers."""


@tool
def look_up(word: str) -> str:
    """Look a word up.

    Args:
        word: Which.
    """
    return said(len(word))


@dataclass(eq=False)
class Turn:
    """One question and its answer, a kilobyte each, asked of an agent again and again.

    Attributes:
        agent: Whom.
        ask: Asks it.
    """

    agent: Agent
    ask: Callable[[Agent, str], object]

    def __call__(self) -> None:
        """Ask it once."""
        self.ask(self.agent, said(2 * next(_asked)))
        cast(ScriptedModel, self.agent.model).calls.clear()


def answering(manager: Any, held: int, with_tool: bool = False, length: int | None = None, script: Any = None) -> Agent:
    """An agent whose sliding window is full, with so many messages, or those, that its manager has written."""
    script = script or (_look_up_and_answer if with_tool else answer)
    return converse(manager, length or held, agent(manager, held, script, [look_up] if with_tool else None))


def ask(living: Agent, prompt: str) -> object:
    """As programs do that have no event loop."""
    return living(prompt)


def asker(loop: asyncio.AbstractEventLoop) -> Callable[[Agent, str], object]:
    """As programs do that have one."""

    def ask_async(living: Agent, prompt: str) -> object:
        return loop.run_until_complete(living.invoke_async(prompt))

    return ask_async


def more(times: Mapping[Any, Sequence[float]], one: object, none: object) -> list[float]:
    """What it took more than without, round by round."""
    return [with_it - without for with_it, without in zip(times[one], times[none], strict=True)]


_asked, _answered = count(), count()


def answer(_: object) -> str:
    """What a model says to anything."""
    return said(2 * next(_answered) + 1)


async def think_and_answer(messages: object) -> str:
    """What a model says that takes a while."""
    await asyncio.sleep(THOUGHT)
    return answer(messages)


def _look_up_and_answer(messages: Sequence[Mapping[str, Any]]) -> Any:
    if "toolResult" in messages[-1]["content"][0]:
        return answer(messages)
    return [{"toolUse": {"name": "look_up", "input": {"word": "w" * (next(_answered) % 100)}}}]
