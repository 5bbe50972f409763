"""Running plain functions beside an event loop, also such as never return."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from ..concurrency import WorkerThread

Task = Callable[[], object]


class HandlerThread:
    """A thread that runs one function after the other.

    The event loop's own threads are few, and it waits for them at its end: functions that hang would use them up, and
    others that never began would be taken for slow. Here one that is not waited for any more keeps its thread, which
    ends with it, and the next one gets a new thread.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] | None = None

    async def run(self, function: Callable[..., object], *arguments: Any) -> object:
        """Run a function in the thread and in the context of whoever calls, and return what it returns."""
        tasks = self._tasks = self._tasks or _started()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        call = partial(contextvars.copy_context().run, function, *arguments)
        tasks.put(partial(_run, call, loop, future))
        try:
            return await future
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Let the thread end after what it runs."""
        tasks, self._tasks = self._tasks, None
        if tasks:
            tasks.put(None)


def _started() -> SimpleQueue[Task | None]:
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    WorkerThread("session-log-handler").start(partial(_work, tasks))
    return tasks


def _work(tasks: SimpleQueue[Task | None]) -> None:
    while (task := tasks.get()) is not None:
        task()


def _run(call: Task, loop: asyncio.AbstractEventLoop, future: asyncio.Future[object]) -> None:
    outcome: object = None
    error: BaseException | None = None
    try:
        outcome = call()
    except BaseException as raised:
        error = raised
    try:
        loop.call_soon_threadsafe(_tell, future, outcome, error)
    except RuntimeError:
        # The loop has ended: nobody waits any more.
        if not loop.is_closed():
            raise


def _tell(future: asyncio.Future[object], outcome: object, error: BaseException | None) -> None:
    if future.done():
        # It is too late to run what was returned, and Python would warn that it never ran.
        if inspect.iscoroutine(outcome):
            outcome.close()
        return
    if isinstance(error, StopIteration):
        # A future refuses it.
        error = RuntimeError(f"the handler raised {error!r}")
    if error:
        future.set_exception(error)
    else:
        future.set_result(outcome)
