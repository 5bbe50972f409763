"""Resuming sessions of every length, beside the least that loading them can cost, and beside the old manager."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from statistics import fmean, median
from typing import Any

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..old_manager import old_manager
from ..report import number
from ..rows import Cost, Pair, Row
from ..sessions import AGENT, AsWritten, Limit, agent, calm, converse, resume, transcript

COST = "resuming a session of {:,} messages"
"""As the table of what the log costs says it."""
OLD = "strands-valkey-session-manager"
_ROUNDS = 40
_LENGTHS = (1, 10, 50, 120, 200, 330, 520, 800, 1_000, 1_280, 1_777, 2_400, 3_000)
_LENGTHS_QUICK = (1, 120, 200, 330)
_SHORT = 200


def rows(run: Run) -> Iterator[Row]:
    """Three ways to load the same messages, each with an agent and without."""
    with SessionLog.connect("embedded:") as log, SessionLog.connect("embedded:") as other:
        length = run.size(1000)
        converse(ValkeySessionManager("s", log=log), length)
        converse(old_manager("s", other.client), length)
        calm(log)
        for row in run.measure(_pairs(log, other.client, f"{length:,} messages"), _ROUNDS, "resuming"):
            yield row._replace(cost=Cost(COST.format(length), OLD)) if row.target and row.better == "more" else row
    with SessionLog.connect("embedded:") as log:
        yield from _of_every_length(run, log, _LENGTHS_QUICK if run.quick else _LENGTHS)


def _of_every_length(run: Run, log: SessionLog, lengths: Sequence[int]) -> Iterator[Row]:
    """Right after writing: whatever snapshot the writer happens to have saved last is what there is."""
    for length in run.track(lengths, "sessions"):
        converse(ValkeySessionManager(f"{length}", log=log), length)
    calm(log)
    ours, limits = {}, {}
    for length in lengths:
        ours[length] = AsWritten(log, f"{length}").resumed()
        limits[length] = Limit(log.client, transcript(log, f"{length}"), f"messages-{length}").load_with_agent
    times = run.in_turn([*ours.values(), *limits.values()], _ROUNDS, "resuming sessions of every length")
    ratios = {}
    for length in lengths:
        least = median(times[limits[length]])
        ratios[length] = [one / least for one in times[ours[length]]]
    long = [length for length in lengths if length >= _SHORT]
    yield _mean(ratios, long, 1.6)
    yield _mean(ratios, lengths, None)


def _mean(ratios: dict[int, list[float]], lengths: Collection[int], target: float | None) -> Row:
    means = [fmean(round_) for round_ in zip(*(ratios[length] for length in lengths), strict=True)]
    name = (
        f"resume right after writing ÷ GET, orjson, SessionMessage and a bare Agent: mean of the ratios at "
        f"{len(lengths)} lengths from {min(lengths):,} to {max(lengths):,} messages"
    )
    note = ", ".join(f"{length:,} messages {number(median(ratios[length]))}" for length in lengths)
    return Row(name, means, [1.0] * len(means), target, unit="times", note=f"{note}.")


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
        Pair(f"{OLD} resumes {messages} ÷ ours", resumed, resumed_by_the_old, 40, "more"),
        Pair(f"the same without the Agent, {messages} ÷ ours", listed, listed_by_the_old, None, "more"),
    ]
