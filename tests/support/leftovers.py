"""What tests leave running: noted after each, judged when all are over, since some things end a moment later."""

from __future__ import annotations

import gc
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.waiting import wait_until

# Two pools of the library's for the whole process, and the helpers of `multiprocessing`, which stay by design.
_STAY = re.compile(r"session-log(-timer)?_\d+|.*multiprocessing\.(resource_tracker|forkserver)\b")
_PATIENCE = 15.0


class Leftovers:
    """Knows which test began a thread or a process that did not end with it."""

    def __init__(self) -> None:
        self._begun: dict[threading.Thread | int, str] = {}

    @contextmanager
    def of(self, test: str) -> Iterator[None]:
        """Note what is begun meanwhile and still there at the end."""
        before = _running()
        yield
        self._begun.update(dict.fromkeys(_running() - before, test))

    def check(self) -> None:
        """Wait for the end of what is still there.

        Raises:
            AssertionError: Something does not end; it names what, and the tests.
        """
        # What was let go of in a circle, a tail say, ends when it is collected.
        gc.collect()
        with suppress(TimeoutError):
            wait_until(lambda: not self._left(), "what was begun to end", _PATIENCE, interval=0.05)
        assert not (left := self._left()), "left behind: " + "; ".join(left)

    def _left(self) -> list[str]:
        here = self._begun.keys() & _running()
        return [f"{name} by {self._begun[one]}" for one in here if not _STAY.match(name := _name(one))]


def _running() -> set[threading.Thread | int]:
    return {*threading.enumerate(), *_children()}


def _children() -> Iterator[int]:
    # Done twice for each test, so without `pathlib`, which took most of the time. A thread may have just ended.
    for thread in os.listdir("/proc/self/task"):  # noqa: PTH208
        with suppress(OSError), open(f"/proc/self/task/{thread}/children") as listed:  # noqa: PTH123
            yield from map(int, listed.read().split())


def _name(one: threading.Thread | int) -> str:
    if isinstance(one, threading.Thread):
        return one.name
    with suppress(OSError):
        return Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ") or f"process {one}, not waited for"
    return f"process {one}"
