"""Consumer groups: how soon a handler starts, how many envelopes one process takes, and what consumers cost writers."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from statistics import median
from typing import Any

from strands_session_log import SessionLog, Subscriber
from support.clients import client_of

from ..measuring import Run
from ..rows import Cost, Pair, Row
from ..sessions import added, created

_ENVELOPES = 50_000
_BATCH = 100
_ROUNDS = 9
_APPENDS = 1_000
_SOON = 0.005
_BREATH = 0.002


def rows(run: Run) -> Iterator[Row]:
    """Idle, at full speed, and beside writers."""
    with SessionLog.connect("embedded:") as log:
        yield _idle(run, log)
    with SessionLog.connect("embedded:") as log:
        yield from _throughput(run, log)
    yield _writers(run)


def _idle(run: Run, log: SessionLog) -> Row:
    """From the append's return to the first line of the handler."""
    started: list[float] = []
    returned: list[float] = []

    async def go() -> None:
        async with Subscriber(log, "idle", start="now") as deliveries:
            await asyncio.sleep(0.1)
            for number in run.track(range(run.size(500)), "appends to an idle subscriber"):
                await asyncio.sleep(_BREATH)
                await asyncio.to_thread(_append, log, number, returned)
                delivery = await anext(deliveries)
                started.append(time.perf_counter())
                await delivery.ack()

    asyncio.run(go())
    waits = [max(0.0, start - end) for start, end in zip(started, returned, strict=True)]
    return Row("an idle subscriber's handler starts, after the append's return ÷ 5 ms", waits, [_SOON], 1)


def _append(log: SessionLog, number: int, returned: list[float]) -> None:
    log.append("s", added(number))
    returned.append(time.perf_counter())


def _throughput(run: Run, log: SessionLog) -> Iterator[Row]:
    count = run.size(_ENVELOPES)
    for start in run.track(range(0, count, 50), f"{count:,} envelopes"):
        log.append(f"s-{start // 50 % 40}", [added(number) for number in range(start, start + 50)])
    groups = iter(f"g-{number}" for number in range(10_000))
    feeds = [log._events.keyspace.feed(partition) for partition in range(log._events.keyspace.partitions)]

    def bare() -> None:
        _bare_loop(log.client, feeds, next(groups))

    def envelopes() -> None:
        asyncio.run(_consume(log, next(groups), count))

    def bodies() -> None:
        asyncio.run(_consume(log, next(groups), count, bodies=True))

    def decoded() -> None:
        asyncio.run(_consume(log, next(groups), count, bodies=True, look=True))

    name = f"{{}} a second, one process, batches of {_BATCH} ÷ of a bare XREADGROUP and XACK loop"
    pairs = [
        Pair(name.format("envelopes"), envelopes, bare, 0.75, "more"),
        Pair(name.format("envelopes with their bodies"), bodies, bare, 0.5, "more"),
        Pair(name.format("the same, each event looked at,"), decoded, bare, None, "more"),
    ]
    costs = ("handling an event in a consumer", "handling an event in a consumer, with its body")
    for row, what in zip_longest(run.measure(pairs, _ROUNDS, "consuming"), costs):
        speeds = [count / median(side) for side in (row.ours, row.peer)]
        note = f"{speeds[0]:,.0f} a second, and {speeds[1]:,.0f}."
        cost = Cost(what, "a bare XREADGROUP and XACK loop", count) if what else None
        yield row._replace(note=note, cost=cost)


def _bare_loop(client: Any, feeds: list[str], group: str) -> None:
    """The least there is: nothing is checked, claimed or parked, and nobody handles anything."""
    for feed in feeds:
        client.execute_command("XGROUP", "CREATE", feed, group, "0", "MKSTREAM")
        while found := client.xreadgroup(group, "c", {feed: ">"}, count=_BATCH):
            client.xack(feed, group, *[id_ for id_, _ in found[0][1]])
        client.execute_command("XGROUP", "DESTROY", feed, group)


async def _consume(log: SessionLog, group: str, count: int, bodies: bool = False, look: bool = False) -> None:
    async with Subscriber(log, group, batch=_BATCH, bodies=bodies) as deliveries:
        async for delivery in deliveries:
            if look:
                assert delivery.event
            await delivery.ack()
            count -= 1
            if not count:
                break


def _writers(run: Run) -> Row:
    """The same appends on two servers; on one of them, four groups of other processes read along."""
    with ExitStack() as stack:
        alone, followed = (stack.enter_context(SessionLog.connect("embedded:")) for _ in range(2))
        for log in (alone, followed):
            log.append("s", created("s"))
        consumers = [_Consumer(followed, f"g-{number}") for number in range(4)]
        for consumer in consumers:
            stack.callback(consumer.stop)
        numbers = iter(range(10_000_000))

        def beside_consumers() -> None:
            followed.append("s", added(next(numbers)))

        def by_itself() -> None:
            alone.append("s", added(next(numbers)))

        name = "append with four busy groups, each of a process of its own ÷ with none"
        (row,) = run.measure([Pair(name, beside_consumers, by_itself, 1.2)], _APPENDS, "appending beside consumers")
        return row


class _Consumer:
    """A consumer in a process of its own."""

    def __init__(self, log: SessionLog, group: str) -> None:
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        path = client_of(log).connection_pool.connection_kwargs["path"]
        self._process = context.Process(target=_handle_all, args=(f"unix://{path}", group, ready), daemon=True)
        self._process.start()
        ready.wait(30)

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


def _handle_all(url: str, group: str, ready: Any) -> None:
    with SessionLog.connect(url) as log, Subscriber(log, group) as deliveries:
        ready.set()
        for delivery in deliveries:
            delivery.ack()
