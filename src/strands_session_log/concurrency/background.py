"""A thread for what no caller waits for."""

from __future__ import annotations

import atexit
import logging
import time
from collections import deque
from collections.abc import Callable
from threading import Condition
from weakref import WeakSet

from ..errors.quoting import frames_of
from .worker_thread import WorkerThread

logger = logging.getLogger(__name__)

_PATIENCE = 2.0
"""For how many seconds the end of the process waits: enough for what is under way, not for a server that hangs."""
_WAITING = 64

Job = Callable[[], object]


class Background:
    """Runs one job after another in a thread of its own; one at a time for each name.

    The thread is a daemon, there only while there is something to do: a server that hangs must not keep a process from
    ending. At its end what is under way gets a moment.

    Args:
        task: What its jobs are for; names the thread.
    """

    def __init__(self, task: str) -> None:
        self._task, self._closed = task, False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Also in a forked process: the thread stayed behind, perhaps with the lock in its hand."""
        self._thread, self._changed = WorkerThread(f"session-log-{self._task}"), Condition()
        self._jobs: deque[tuple[str, Job]] = deque()
        self._names: set[str] = set()
        self._again: dict[str, Job] = {}

    def submit(self, name: str, job: Job) -> None:
        """Run a job soon, after one of its name that waits or runs; not at all if too many wait. It must not raise."""
        if self._thread.is_elsewhere:
            self._begin()
        with self._changed:
            if self._closed:
                return
            if name in self._names:
                self._again[name] = job
            elif len(self._names) < _WAITING:
                self._names.add(name)
                self._jobs.append((name, job))
                self._start()

    def _start(self) -> None:
        try:
            self._thread.start(self._run)
        except RuntimeError as error:
            # No more threads, or the interpreter ends: whoever appended must not hear of it.
            logger.warning("task=<%s>, error=<%s> | nothing of it is done", self._task, error)
            self._jobs.clear()
            self._names.clear()

    def settle(self, timeout: float) -> bool:
        """Wait until nothing waits or runs.

        Returns:
            Whether that is so.
        """
        if self._thread.is_elsewhere:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._names, timeout)

    def close(self) -> None:
        """Forget what waits, give what is under way a moment, and take nothing more."""
        self._closed = True
        if self._thread.is_elsewhere:
            return
        with self._changed:
            self._again.clear()
            while self._jobs:
                self._names.discard(self._jobs.popleft()[0])
        self.settle(_PATIENCE)

    def _run(self) -> None:
        while found := self._take():
            name = found[0]
            job: Job | None = found[1]
            while job is not None:
                try:
                    job()
                except Exception as error:
                    # A client that somebody closed under it, for instance: what comes next must still be done.
                    logger.warning("task=<%s>, job=<%s>, error=<%s> | failed", self._task, name, frames_of(error))
                job = self._next(name)

    def _take(self) -> tuple[str, Job] | None:
        with self._changed:
            if not self._jobs:
                self._thread.rest()
                return None
            return self._jobs.popleft()

    def _next(self, name: str) -> Job | None:
        with self._changed:
            again = self._again.pop(name, None)
            if again is None:
                self._names.discard(name)
                self._changed.notify_all()
            return again


_all: WeakSet[Background] = WeakSet()


@atexit.register
def _at_exit() -> None:
    """All of them together get that moment."""
    deadline = time.monotonic() + _PATIENCE
    for background in list(_all):
        background.settle(max(0.0, deadline - time.monotonic()))
