"""A thread for what nobody waits for."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Condition, Thread

_PATIENCE = 2.0
"""For how many seconds the end of the process waits: enough for what is under way, not for a server that hangs."""
_WAITING = 64

Job = Callable[[], object]


class Background:
    """Runs one job after another in a thread of its own; one at a time for each name.

    The thread is a daemon: a server that hangs must not keep a process from ending. At its end what is under way gets a
    moment.
    """

    def __init__(self) -> None:
        self._begin()
        atexit.register(_at_exit, weakref.ref(self))

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._jobs: SimpleQueue[tuple[str, Job] | None] = SimpleQueue()
        self._names: set[str] = set()
        self._again: dict[str, Job] = {}

    def submit(self, name: str, job: Job) -> None:
        """Run a job soon, after one of its name that waits or runs; not at all if too many wait. It must not raise."""
        if self._process != os.getpid():
            # The thread stayed in the process that this one was forked from, perhaps with the lock in its hand.
            self._begin()
        with self._changed:
            if name in self._names:
                self._again[name] = job
            elif len(self._names) < _WAITING:
                self._names.add(name)
                self._jobs.put((name, job))
                self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._run, args=(self._jobs,), name="session-log-snapshots", daemon=True)
            self._thread.start()

    def settle(self, timeout: float) -> bool:
        """Wait until nothing waits or runs.

        Returns:
            Whether that is so.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._names, timeout)

    def close(self) -> None:
        """Forget what waits, give what is under way a moment, and end the thread."""
        with self._changed:
            self._again.clear()
            with suppress(Empty):
                while waiting := self._jobs.get_nowait():
                    self._names.discard(waiting[0])
            self._jobs.put(None)
            self._thread = None
        self.settle(_PATIENCE)

    def _run(self, jobs: SimpleQueue[tuple[str, Job] | None]) -> None:
        while waiting := jobs.get():
            name: str = waiting[0]
            job: Job | None = waiting[1]
            while job is not None:
                job()
                job = self._next(name)

    def _next(self, name: str) -> Job | None:
        with self._changed:
            again = self._again.pop(name, None)
            if again is None:
                self._names.discard(name)
                self._changed.notify_all()
            return again


def _at_exit(background: weakref.ref[Background]) -> None:
    if found := background():
        found.settle(_PATIENCE)
