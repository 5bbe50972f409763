"""A session of 100,000 events of an agent with a sliding window: resumed, replayed, looked back in, forked, rewound."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson

from strands_session_log import SessionLog
from strands_session_log.errors import SessionNotFoundError

from ..measuring import Prepared, Run, seconds_of
from ..rows import Pair, Row
from ..sessions import AGENT, WINDOW, fill, fresh, resume, told, windowed

_ROUNDS = 40
_REPLAYS = 7
_FORKS, _REWINDS = 3, 9
_SOON, _STEPS = 0.050, 10
_PAGE = 1000


def rows(run: Run) -> Iterator[Row]:
    """One long session, and a short one of the same kind."""
    with SessionLog.connect("embedded:") as log:
        short, long = run.size(1000), run.size(100_000)
        for length in (short, long):
            fill(run, log, f"{length}", windowed(f"{length}", length), length)
        yield from run.measure([_resuming(log, short, long)], _ROUNDS, "resuming with a window")
        yield from run.measure(_replaying(log, long), _REPLAYS, "replaying", seconds=60)
        yield from run.measure([_forking(log, f"{long}", long)], _FORKS, "forking", seconds=20)
        fill(run, log, "told", told("told", long), long)
        yield from run.measure([_forking(log, "told", long, ", mostly facts")], _FORKS, "forking facts", seconds=20)
        yield _rewinding(run, log, long)


def _resuming(log: SessionLog, short: int, long: int) -> Pair:
    def the_long() -> Any:
        return resume(log, f"{long}", WINDOW)

    def the_short() -> Any:
        return resume(log, f"{short}", WINDOW)

    return Pair(f"resume {long:,} events with a window of {WINDOW} ÷ {short:,} events", the_long, the_short, 1.5)


def _replaying(log: SessionLog, length: int) -> list[Pair]:
    def replay() -> Any:
        return fresh(log)._replay.from_log(f"{length}")

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


def _forking(log: SessionLog, session_id: str, length: int, which: str = "") -> Pair:
    def forget() -> None:
        with suppress(SessionNotFoundError):
            log.delete("fork")

    def fork() -> Any:
        return log.fork(session_id, at=length, into="fork")

    def read() -> None:
        for _ in log.read(session_id):
            pass

    return Pair(f"fork {length:,} events{which} ÷ reading them", Prepared(forget, fork), read, 2)


def _rewinding(run: Run, log: SessionLog, length: int) -> Row:
    """Each goes back from where the one before went back to, and is an event itself."""

    def rewind() -> Any:
        reader = fresh(log)
        return reader.rewind(f"{length}", to=reader.head(f"{length}").revision - _STEPS)

    times = [seconds_of(rewind) for _ in run.track(range(2 if run.quick else _REWINDS), "rewinding")]
    return Row(f"rewind {length:,} events by {_STEPS} ÷ 50 ms", times, [_SOON] * len(times), 1)
