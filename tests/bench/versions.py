"""What one version of the log takes for what users do: a program for `against.py`, which runs it twice."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from strands_session_log import SessionLog, Subscriber, ValkeySessionManager

from .measuring import Run, no_collector, seconds_of
from .processes import serve
from .sessions import WINDOW, AsWritten, added, agent, calm, converse, created, resume
from .text import message
from .turns import Turn, answering, ask, asker

_APPENDS, _BATCH = 20, 100
_LENGTHS = (200, 1_000, 3_000)


def main(run: Run) -> None:
    """Serve them on one server."""
    loop = asyncio.new_event_loop()
    with SessionLog.connect("embedded:") as log:
        works = _turns(run, log, loop) | _appends(log) | _resumes(run, log) | _consumers(run, log, loop)
        calm(log)
        with no_collector():
            serve({name: partial(_once, work) for name, work in works.items()})
    loop.close()


def _once(work: Callable[[], Any]) -> float:
    gc.collect()
    return seconds_of(work)


def _turns(run: Run, log: SessionLog, loop: asyncio.AbstractEventLoop) -> dict[str, Callable[[], Any]]:
    def turn(session_id: str, held: int = WINDOW, with_tool: bool = False, how: Any = ask) -> Turn:
        return Turn(answering(ValkeySessionManager(session_id, log=log), held, with_tool), how)

    many = run.size(2_000)
    return {
        f"a whole turn, {WINDOW} messages held": turn("turn"),
        f"a whole turn by `invoke_async`, {WINDOW} messages held": turn("async", how=asker(loop)),
        f"a whole turn with a tool, {WINDOW} messages held": turn("tool", with_tool=True),
        f"a whole turn, {many:,} messages held": turn("long", many),
        f"a whole turn without a session manager, {WINDOW} messages held": Turn(answering(None, WINDOW), ask),
    }


def _appends(log: SessionLog) -> dict[str, Callable[[], Any]]:
    manager, said, logged = ValkeySessionManager("manager", log=log), count(), count()
    living = agent(manager)
    log.append("log", created("log"))

    def through_the_manager() -> None:
        for _ in range(_APPENDS):
            manager.append_message(message(next(said)), living)

    def through_the_log() -> None:
        for _ in range(_APPENDS):
            log.append("log", added(next(logged)))

    return {
        f"{_APPENDS} appends through the manager": through_the_manager,
        f"{_APPENDS} appends through `SessionLog.append`": through_the_log,
    }


def _resumes(run: Run, log: SessionLog) -> dict[str, Callable[[], Any]]:
    works: dict[str, Callable[[], Any]] = {}
    for length in sorted({run.size(one) for one in _LENGTHS}):
        converse(ValkeySessionManager(f"resumed-{length}", log=log), length)
        calm(log)
        works[f"resume {length:,} messages right after writing"] = AsWritten(log, f"resumed-{length}").resumed()
    works["resume the same with a window"] = lambda: resume(log, f"resumed-{run.size(_LENGTHS[-1])}", WINDOW)
    return works


def _consumers(run: Run, log: SessionLog, loop: asyncio.AbstractEventLoop) -> dict[str, Callable[[], Any]]:
    events, groups = run.size(10_000), count()

    def consume(bodies: bool) -> Callable[[], Any]:
        return lambda: loop.run_until_complete(_consume(log, f"g-{next(groups)}", events, bodies))

    for start in range(0, events, _BATCH):
        log.append(f"fed-{start // _BATCH % 20}", [added(number) for number in range(start, start + _BATCH)])
    return {f"{events:,} envelopes": consume(False), f"{events:,} envelopes with their bodies": consume(True)}


async def _consume(log: SessionLog, group: str, events: int, bodies: bool) -> None:
    async with Subscriber(log, group, batch=_BATCH, bodies=bodies) as deliveries:
        async for delivery in deliveries:
            await delivery.ack()
            events -= 1
            if not events:
                break


if __name__ == "__main__":
    main(Run(quick="--quick" in sys.argv))
