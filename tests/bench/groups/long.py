"""A session of 100,000 events of an agent with a sliding window: resuming it, replaying it, looking back in it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import orjson

from strands_session_log import SessionLog

from ..measuring import Run
from ..rows import Pair, Row
from ..sessions import AGENT, WINDOW, fill, fresh, resume, windowed

_ROUNDS = 40
_REPLAYS = 7
_PAGE = 1000


def rows(run: Run) -> Iterator[Row]:
    """One long session, and a short one of the same kind."""
    with SessionLog.connect("embedded:") as log:
        short, long = run.size(1000), run.size(100_000)
        for length in (short, long):
            fill(run, log, f"{length}", windowed(f"{length}", length), length)
        yield from run.measure([_resuming(log, short, long)], _ROUNDS, "resuming with a window")
        yield from run.measure(_replaying(log, long), _REPLAYS, "replaying", seconds=100)
        yield from run.measure(_going_back(log, long), _REPLAYS, "forking and rewinding", seconds=100)


def _resuming(log: SessionLog, short: int, long: int) -> Pair:
    def the_long() -> Any:
        return resume(log, f"{long}", WINDOW)

    def the_short() -> Any:
        return resume(log, f"{short}", WINDOW)

    return Pair(f"resume {long:,} events with a window of {WINDOW} ÷ {short:,} events", the_long, the_short, 1.5)


def _replaying(log: SessionLog, length: int) -> list[Pair]:
    def replay() -> Any:
        return _from_the_beginning(fresh(log))(f"{length}")

    def pages() -> Any:
        return _raw(log, f"{length}")

    window, transcript = _looking_back(log, length)
    return [
        Pair(f"full replay of {length:,} events ÷ XRANGE in pages of {_PAGE:,} and orjson", replay, pages, 1.5),
        Pair(
            f"state at a random point of {length:,} events, the agent's window read ÷ full replay", window, replay, 0.1
        ),
        Pair("the same, the whole transcript read ÷ full replay", transcript, replay),
    ]


def _going_back(log: SessionLog, length: int) -> list[Pair]:
    numbers = count()

    def fork() -> Any:
        into = f"fork {next(numbers)}"
        made = fresh(log).fork(f"{length}", length, into)
        log.delete(into)
        return made

    def read() -> Any:
        for recorded in fresh(log).read(f"{length}"):
            last = recorded
        return last

    def rewind() -> Any:
        return fresh(log).rewind(f"{length}", log.head(f"{length}").revision - 10, allow_unanswered=True)

    return [
        Pair(f"fork {length:,} events ÷ reading them", fork, read, 2),
        Pair(f"rewind by 10 of {length:,} events ÷ reading them", rewind, read, 0.02),
    ]


def _from_the_beginning(log: SessionLog) -> Callable[[str], Any]:
    """Folding the log without any snapshot."""
    replay: Any = getattr(log, "replay", None)
    return getattr(replay, "from_log", None) or log.state


def _raw(log: SessionLog, session_id: str) -> list[Any]:
    key, start, bodies = log._events.keyspace.session(session_id).events, "-", list[Any]()
    while page := log.client.execute_command("XRANGE", key, start, "+", "COUNT", _PAGE):
        bodies += [orjson.loads(fields[b"body"]) for _, fields in page]
        start = f"({page[-1][0].decode()}"
    return bodies


def _looking_back(log: SessionLog, length: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Both look at points all over the session, in the same random order."""
    points = [length * (2 * part + 1) // (2 * _REPLAYS) for part in range(_REPLAYS)]
    random.Random(1).shuffle(points)

    def over_and_over() -> Iterator[int]:
        while True:
            yield from points

    of_windows, of_transcripts = over_and_over(), over_and_over()

    def window() -> Any:
        return fresh(log).state(f"{length}", at=next(of_windows)).agents[AGENT].window

    def transcript() -> Any:
        return list(fresh(log).state(f"{length}", at=next(of_transcripts)).agents[AGENT].messages)

    return window, transcript
