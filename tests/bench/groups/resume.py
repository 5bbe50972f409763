"""Resuming 1,000 messages, beside the least that loading them can cost, and beside the old manager."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..old_manager import old_manager
from ..rows import Pair, Row
from ..sessions import AGENT, Limit, agent, calm, converse, resume, transcript

_ROUNDS = 40


def rows(run: Run) -> Iterator[Row]:
    """Three ways to load the same messages, each with an agent and without."""
    with SessionLog.connect("embedded:") as log, SessionLog.connect("embedded:") as other:
        length = run.size(1000)
        converse(ValkeySessionManager("s", log=log), length)
        converse(old_manager("s", other.client), length)
        calm(log)
        yield from run.measure(_pairs(log, other.client, f"{length:,} messages"), _ROUNDS, "resuming")


def _pairs(log: SessionLog, other: Any, messages: str) -> list[Pair]:
    limit = Limit(log.client, transcript(log, "s"))

    def listed() -> Any:
        return transcript(log, "s")

    def resumed() -> Any:
        return resume(log, "s")

    def listed_by_the_old() -> Any:
        return old_manager("s", other).list_messages("s", AGENT)

    def resumed_by_the_old() -> Any:
        return agent(old_manager("s", other))

    return [
        Pair(f"resume {messages}: manager and its messages ÷ GET, orjson and SessionMessage", listed, limit.load, 2),
        Pair(f"resume {messages}: manager and Agent ÷ the same and a bare Agent", resumed, limit.load_with_agent, 2),
        Pair(f"strands-valkey-session-manager resumes {messages} ÷ ours", resumed, resumed_by_the_old, 100, "more"),
        Pair(f"the same without the Agent, {messages} ÷ ours", listed, listed_by_the_old, None, "more"),
    ]
