"""Several writers at once, each with a session of its own, beside XADD by as many threads of the same client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from statistics import median, quantiles
from threading import Barrier

from strands_session_log import SessionLog, ValkeySessionManager
from support.servers import ValkeyliteServer

from ..measuring import Run
from ..rows import Pair, Row
from ..sessions import agent
from ..text import message
from .append import body

_WRITERS = (1, 4, 16, 64)
_EACH = 960
"""Appends of a round, by all writers together."""
_ROUNDS = 12
_MANY = 16


def rows(run: Run) -> Iterator[Row]:
    """Threads of one process, that share a log and its client, on TCP."""
    with ValkeyliteServer() as server, SessionLog.connect(server.url) as log:
        for writers in _WRITERS:
            yield from _by(run, log, writers)


def _by(run: Run, log: SessionLog, writers: int) -> Iterator[Row]:
    names = [f"{writers}-{number}" for number in range(writers)]
    ours = _Writers([_appending(log, name) for name in names], run.size(_EACH))
    plain = _Writers([_xadding(log, name) for name in names], run.size(_EACH))
    who = f"{writers} writers" if writers > 1 else "one writer"
    target = 0.3 if writers == _MANY else None
    name = f"{who}, messages a second: ours ÷ by XADD of the same body"
    (row,) = run.measure([Pair(name, ours, plain, target, "more")], _ROUNDS, f"{who} at once")
    speeds = [ours.total / median(side) for side in (row.ours, row.peer)]
    yield row._replace(note=f"{speeds[0]:,.0f} a second, and {speeds[1]:,.0f} by XADD.")
    for part, said in ((49, "median"), (98, "99th percentile")):
        timed, beside = (side.quantile(part)[-len(row.ours) :] for side in (ours, plain))
        yield Row(f"{who}, an append's {said} ÷ XADD's", timed, beside)
    ours.close()
    plain.close()


class _Writers:
    """Threads that begin at once; each call has all of them write."""

    def __init__(self, calls: Sequence[Callable[[], object]], total: int) -> None:
        self.total = total // len(calls) * len(calls)
        self._calls, self._threads = calls, ThreadPoolExecutor(len(calls))
        self._taken: list[list[float]] = []

    def __call__(self) -> None:
        together = Barrier(len(self._calls))
        write = partial(_write, together, self.total // len(self._calls))
        self._taken.append([one for taken in self._threads.map(write, self._calls) for one in taken])

    def quantile(self, part: int) -> list[float]:
        """Of the seconds of an append, round by round."""
        return [quantiles(taken, n=100, method="inclusive")[part] for taken in self._taken]

    def close(self) -> None:
        self._threads.shutdown()


def _write(together: Barrier, times: int, call: Callable[[], object]) -> list[float]:
    together.wait()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


def _appending(log: SessionLog, name: str) -> Callable[[], object]:
    manager, said = ValkeySessionManager(name, log=log), count()
    living = agent(manager)
    return lambda: manager.append_message(message(next(said)), living)


def _xadding(log: SessionLog, name: str) -> Callable[[], object]:
    bodies, said = [body(index) for index in range(100)], count()
    return lambda: log.client.execute_command("XADD", f"plain-{name}", "*", "body", bodies[next(said) % len(bodies)])
