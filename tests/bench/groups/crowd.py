"""Does a session resume slower when 50,000 others are on the server?"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from strands_session_log import SessionLog, ValkeySessionManager

from ..measuring import Run
from ..rows import Pair, Row
from ..sessions import added, calm, converse, created, resume

_ROUNDS = 60
_SLICE = 100


def rows(run: Run) -> Iterator[Row]:
    """The same session on a server of its own and among others."""
    with SessionLog.connect("embedded:") as alone, SessionLog.connect("embedded:") as crowded:
        length, others = run.size(1000), run.size(50_000)
        _fill(run, crowded, others)
        for log in (alone, crowded):
            converse(ValkeySessionManager("s", log=log), length)
            calm(log)

        def among_others() -> Any:
            return resume(crowded, "s")

        def by_itself() -> Any:
            return resume(alone, "s")

        name = f"resume {length:,} messages with {others:,} other sessions on the server ÷ with none"
        yield from run.measure([Pair(name, among_others, by_itself, 1.1)], _ROUNDS, "resuming among others")


def _fill(run: Run, log: SessionLog, others: int) -> None:
    """Each of the others began, has an agent, and said something."""
    beginning = [*created("other"), added(0)]
    kinds: list[tuple[Any, ...]] = [(type(event), event.data, event.agent) for event in beginning]

    def write(start: int) -> None:
        for number in range(start, min(start + _SLICE, others)):
            log.append(f"other-{number}", [kind(data, agent) for kind, data, agent in kinds])

    with ThreadPoolExecutor(max_workers=4) as threads:
        starts = range(0, others, _SLICE)
        written = threads.map(write, starts)
        for _ in run.track(starts, f"{others:,} other sessions"):
            next(written)
