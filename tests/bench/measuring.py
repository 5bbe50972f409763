"""Taking turns: A B A B …, with the garbage collector out of the way."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .rows import Call, Pair, Row

_MIN_ROUNDS = 5
_SECONDS = 40.0
_SHOW_EVERY = 0.2
T = TypeVar("T")


@runtime_checkable
class Timed(Protocol):
    """A call that takes its own time."""

    def seconds(self) -> float:
        """Do it once, and say how long what matters took."""


class Run:
    """One run of the benchmarks.

    Args:
        quick: Few rounds and small sessions, to see that everything works.
    """

    def __init__(self, quick: bool = False) -> None:
        self.quick = quick
        # Refreshing it from a thread of its own would disturb what is measured.
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, auto_refresh=False, transient=True)
        self._shown = 0.0

    def size(self, count: int) -> int:
        """How many messages or sessions instead of so many."""
        return max(100, count // 50) if self.quick else count

    def track(self, items: Collection[T], what: str) -> Iterator[T]:
        """Go through items and show how far."""
        task = self.progress.add_task(what, total=len(items))
        try:
            for item in items:
                yield item
                self.progress.advance(task)
                self._show()
        finally:
            self.progress.remove_task(task)

    def measure(self, pairs: Sequence[Pair], rounds: int, what: str, seconds: float = _SECONDS) -> Iterator[Row]:
        """Measure pairs in turn, at most so often and, after a few rounds, at most for so long."""
        times = self.in_turn([call for pair in pairs for call in (pair.ours, pair.peer)], rounds, what, seconds)
        for pair in pairs:
            yield Row(pair.name, times[pair.ours], times[pair.peer], pair.target, pair.better)

    def in_turn(
        self, calls: Iterable[Call], rounds: int, what: str, seconds: float = _SECONDS
    ) -> dict[Call, list[float]]:
        """The seconds of each call, round by round, as `measure` takes them."""
        rounds = 2 if self.quick else rounds
        times: dict[Call, list[float]] = {call: [] for call in calls}
        for call in times:
            for _ in range(1 + rounds // 20):
                call()
        started = time.monotonic()
        with no_collector():
            for number in self.track(range(rounds), what):
                for call, taken in times.items():
                    if number % (1 + rounds // 50) == 0:
                        gc.collect()
                    taken.append(seconds_of(call))
                if number + 1 >= _MIN_ROUNDS and time.monotonic() - started > seconds:
                    break
        return times

    def _show(self) -> None:
        if time.monotonic() - self._shown > _SHOW_EVERY:
            self.progress.refresh()
            self._shown = time.monotonic()


def seconds_of(call: Call) -> float:
    """How long a call takes, without throwing away what it returns."""
    if isinstance(call, Timed):
        return call.seconds()
    started = time.perf_counter()
    kept = call()
    taken = time.perf_counter() - started
    del kept
    return taken


@dataclass(eq=False)
class Prepared:
    """A call before which something is to be done each time.

    Attributes:
        before: What is not timed.
        call: What is.
    """

    before: Call
    call: Call

    def __call__(self) -> object:
        """Both."""
        self.before()
        return self.call()

    def seconds(self) -> float:
        """The one after the other; how long the second took."""
        self.before()
        return seconds_of(self.call)


@contextmanager
def no_collector() -> Iterator[None]:
    """What is there already is not looked at when garbage is collected between the rounds."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
