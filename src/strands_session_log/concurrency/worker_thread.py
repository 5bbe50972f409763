"""A thread beside the caller's, which keeps no process from ending and knows whose process it is in."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread


class ProcessBound:
    """Something that a forked process has no use for: threads stayed behind, and locks may be held for good.

    Told by the process id, since servers that fork in C, as uWSGI does, call none of Python's hooks.
    """

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_elsewhere(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._process != os.getpid()


class WorkerThread(ProcessBound):
    """A daemon thread, so that a server that hangs does not keep a process from ending; begun as often as it is needed.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._thread: Thread | None = None

    def start(self, run: Callable[[], object]) -> None:
        """Begin, unless it goes on; under the lock under which it looks for work and says that it `rests`.

        Raises:
            RuntimeError: When there can be no more threads, or the interpreter ends.
        """
        if not self.is_alive:
            thread = Thread(target=run, name=self._name, daemon=True)
            thread.start()
            self._thread, self._process = thread, os.getpid()

    def rest(self) -> None:
        """Said by the thread before it ends: from now on another one is needed."""
        self._thread = None

    @property
    def is_alive(self) -> bool:
        """Whether it goes on, in this process."""
        return self._thread is not None and self._thread.is_alive() and not self.is_elsewhere

    @property
    def has_ended(self) -> bool:
        """Whether it began, and does not go on."""
        return self._thread is not None and not self.is_alive

    def join(self, timeout: float | None) -> bool:
        """Wait for its end; False if it goes on."""
        thread = self._thread
        if thread is None or self.is_elsewhere:
            return True
        thread.join(timeout)
        return not thread.is_alive()
