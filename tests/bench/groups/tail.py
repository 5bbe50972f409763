"""How soon a tail has what was appended, and what two hundred of them take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from statistics import median
from threading import Thread
from typing import Any, NamedTuple

from strands_session_log import SessionLog, events

from ..measuring import Run, seconds_of
from ..rows import Row
from ..sessions import added
from ..text import message

_ROUNDS = 1000
_TAILS = 200
_CATCH_UP = 20_000
_BATCH = 500
_BREATH = 0.001
"""Seconds after which whoever heard of an event waits for the next."""


class Latencies(NamedTuple):
    """Seconds until an event was heard of in another thread.

    Attributes:
        called: Since the append was called.
        returned: Since it returned; negative where it was heard of before.
    """

    called: list[float]
    returned: list[float]


def rows(run: Run) -> Iterator[Row]:
    """From the append to the item in the consumer's hand; catching up; connections."""
    with SessionLog.connect("embedded:") as log:
        rounds, tails = run.size(_ROUNDS), run.size(_TAILS)
        bare = _latencies(run, log, rounds, _blocked_reader(log))
        with ExitStack() as stack:
            tail = stack.enter_context(log.tail("s", after="now"))
            one = _latencies(run, log, rounds, lambda: next(tail))
            before = _connections(log)
            for number in range(tails - 1):
                stack.enter_context(log.tail(f"other-{number}"))
            many = _latencies(run, log, rounds, lambda: next(tail))
            used = _connections(log) - before
        yield _row("append, and a tail has it ÷ append, and a blocked XREAD has it", one, bare, 1.5)
        yield _row(f"append, and one of {tails} tails has it ÷ the only tail", many, one, 2)
        yield Row(f"connections of {tails} tails ÷ of one", [used + 1], [1], 3, unit="connections")
        yield _catching_up(run, log)


def _row(name: str, ours: Latencies, peer: Latencies, target: float) -> Row:
    after = " and ".join(f"{median(side.returned) * 1e6:.0f} µs" for side in (ours, peer))
    return Row(name, ours.called, peer.called, target, note=f"{after} after the append's return")


def _latencies(run: Run, log: SessionLog, rounds: int, hear: Callable[[], Any]) -> Latencies:
    heard: SimpleQueue[float] = SimpleQueue()

    def listen() -> None:
        for _ in range(rounds):
            hear()
            heard.put(time.perf_counter())

    listener = Thread(target=listen, daemon=True)
    listener.start()
    found = Latencies([], [])
    for number in run.track(range(rounds), "events heard of"):
        time.sleep(_BREATH)
        event = events.Custom("custom.said", message(number))
        called = time.perf_counter()
        log.append("s", event)
        returned = time.perf_counter()
        at = heard.get()
        found.called.append(at - called)
        found.returned.append(at - returned)
    listener.join()
    return found


def _blocked_reader(log: SessionLog) -> Callable[[], Any]:
    """The least that following takes: a connection of one's own, and nothing is checked."""
    key, last = log._events.keyspace.session("s").events, "$"

    def hear() -> None:
        nonlocal last
        reply = log.client.execute_command("XREAD", "BLOCK", 5000, "STREAMS", key, last)
        last = reply[0][1][-1][0]

    return hear


def _catching_up(run: Run, log: SessionLog) -> Row:
    """A long session from its beginning, checked link by link, beside reading it unchecked."""
    length = run.size(_CATCH_UP)
    for start in run.track(range(0, length, _BATCH), f"a session of {length:,} events"):
        log.append("long", [added(number) for number in range(start, min(start + _BATCH, length))])

    def followed() -> None:
        with log.tail("long") as tail:
            for _ in range(length):
                next(tail)

    def read() -> None:
        for _ in log.read("long"):
            pass

    name = f"a tail catches up with {length:,} events and checks every link ÷ reading them"
    times = [(seconds_of(followed), seconds_of(read)) for _ in range(2 if run.quick else 5)]
    return Row(name, [ours for ours, _ in times], [peer for _, peer in times])


def _connections(log: SessionLog) -> int:
    return len(log.client.execute_command("CLIENT LIST"))
