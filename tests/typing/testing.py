"""What is for tests as users type it; checked, not executed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from strands import Agent

from strands_session_log import Deliveries, SessionLog, Subscriber, SyncDeliveries, ValkeySessionManager
from strands_session_log.testing import (
    Clock,
    Rerun,
    RerunTurn,
    ScriptedModel,
    crash,
    play_again,
    recorded_messages,
    recorded_prompts,
    recorded_replies,
    rerun,
    stand_in,
    write_history,
)

log = SessionLog.connect("valkey://localhost")
model = ScriptedModel("Hello.", [{"text": "And"}], chunk=5)
messages: list[dict[str, Any]] = recorded_messages(log, "s-42", at=7)
differences: list[str] = play_again(lambda model: Agent(model), messages, run_tools=True)
said = ScriptedModel(*recorded_replies(log, "s-42", "critic"))
asked = [list(one) for one in recorded_prompts(log, "s-42")]


def make_agent(session_manager: ValkeySessionManager) -> Agent:
    return Agent(model, session_manager=session_manager)


found: Rerun = rerun(log, "s-42", "-1h", make_agent, into="t", agent="critic", turns=2, run_tools=True, by="ada")
again: Rerun = rerun(log, "s-42", None, stand_in(log, "s-42", model))
turn: RerunTurn = found.turns[0]
lines: tuple[str, ...] = turn.differences
same: bool = found.is_same
told: dict[str, Any] = found.to_json()

history: dict[str, list[str]] = write_history(log, 20, timedelta(days=30), seed=1)
clock = Clock(log, ago="90d")
with clock.writing() as past:
    revision: int = past.head("s-42").revision
    later: datetime = clock.advance("2h")
    now: datetime = clock.now

with Subscriber(log, "audit") as deliveries:
    crash(deliveries)


def end(sync: SyncDeliveries, other: Deliveries) -> None:
    crash(sync)
    crash(other)
