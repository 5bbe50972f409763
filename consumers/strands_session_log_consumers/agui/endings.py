"""How a run ended, as front ends are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ag_ui.core import (
    BaseEvent,
    Interrupt,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunFinishedSuccessOutcome,
)

_TOLD: Final = {
    "failed": "the run failed: {}",
    "lost": "the worker of the run was lost; what was said is kept, and the thread can go on with another run",
}


def closing(ended: Mapping[str, Any], thread_id: str) -> BaseEvent:
    """What is told at the end of a run.

    Args:
        ended: As it is written down; empty where there was no run.
        thread_id: Its thread.
    """
    outcome, run = ended.get("outcome"), ended.get("run") or thread_id
    match outcome:
        case "failed" | "lost":
            code = ended.get("code") or outcome.upper()
            return RunErrorEvent(message=_TOLD[outcome].format(ended.get("error")), code=code)
        case "interrupt":
            asked = [_interrupt(one) for one in ended.get("interrupts") or ()]
            finished: Any = RunFinishedInterruptOutcome(interrupts=asked)
        case "cancelled":
            finished = RunFinishedCancelledOutcome()
        case _:
            finished = RunFinishedSuccessOutcome()
    result, usage = ended.get("result"), ended.get("usage")
    return RunFinishedEvent(thread_id=thread_id, run_id=run, outcome=finished, result=result, usage=usage)


def _interrupt(asked: Mapping[str, Any]) -> Interrupt:
    if "name" not in asked:
        return Interrupt.model_validate(asked)
    reason = asked.get("reason")
    return Interrupt(
        id=str(asked.get("id")),
        reason=str(asked.get("name")),
        message=reason if isinstance(reason, str) else None,
        metadata={"reason": reason},
    )
