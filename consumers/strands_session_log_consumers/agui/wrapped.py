"""Agents that speak AG-UI themselves, as `StrandsAgent` of `ag-ui-strands` does: what they tell beside messages.

Their messages are in the log, and what is being said in the live stream, so those are not taken from what they tell.
The rest, state and steps and what an application tells of its own, is in no log but ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

from ag_ui.core import (
    BaseEvent,
    EventType,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    StateSnapshotEvent,
)

TOLD: Final = frozenset(
    {
        EventType.ACTIVITY_DELTA,
        EventType.ACTIVITY_SNAPSHOT,
        EventType.CUSTOM,
        EventType.STATE_DELTA,
        EventType.STATE_SNAPSHOT,
        EventType.STEP_FINISHED,
        EventType.STEP_STARTED,
    }
)
"""What followers are told as such an agent tells it."""
Tell = Callable[[BaseEvent], Awaitable[None]]


@runtime_checkable
class SpeaksAgui(Protocol):
    """An agent that speaks AG-UI itself."""

    def run(self, input_data: RunAgentInput, /) -> AsyncIterator[Any]:
        """Run, and tell of it."""


async def run_wrapped(agent: SpeaksAgui, asked: RunAgentInput, tell: Tell) -> Mapping[str, Any]:
    """Have such an agent run.

    Args:
        agent: The agent.
        asked: What the front end asks.
        tell: Given what followers are to be told.

    Returns:
        How it ended, as it is written down.
    """
    state, ended = None, dict[str, Any]()
    async for event in agent.run(asked):
        if isinstance(event, RunFinishedEvent | RunErrorEvent):
            ended = _finished(event) if isinstance(event, RunFinishedEvent) else _failed(event)
        elif event.type in TOLD and not (isinstance(event, StateSnapshotEvent) and event == state):
            state = event if event.type == EventType.STATE_SNAPSHOT else None if _changes(event) else state
            await tell(event)
    return ended or {"outcome": "failed", "error": "it did not end", "code": "FAILED"}


def _changes(event: BaseEvent) -> bool:
    return event.type == EventType.STATE_DELTA


def as_told(event: BaseEvent) -> dict[str, Any]:
    """An event, or a part of one, as it is written down."""
    return event.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"raw_event"})


def _finished(event: RunFinishedEvent) -> dict[str, Any]:
    more = as_told(event)
    found: dict[str, Any] = {"outcome": "success", **{key: more[key] for key in ("result", "usage") if key in more}}
    if isinstance(event.outcome, RunFinishedInterruptOutcome):
        found |= {"outcome": "interrupt", "interrupts": more["outcome"]["interrupts"]}
    return found


def _failed(event: RunErrorEvent) -> dict[str, Any]:
    # What it says may be what was raised; its code is of those that `ag-ui-strands` has.
    code = event.code or "FAILED"
    return {"outcome": "failed", "error": code, "code": code}
