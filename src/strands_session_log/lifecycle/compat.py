"""Listening to Strands: which hooks this version has, and whether they may wait.

Strands runs a hook that is a coroutine function without blocking its event loop. Old versions know sync hooks only,
and every version calls `AgentInitializedEvent` hooks synchronously.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from inspect import signature
from operator import is_
from threading import RLock
from typing import Any, NamedTuple, TypeAlias, TypeVar

from strands.hooks import HookRegistry

T = TypeVar("T")

Writer: TypeAlias = "Callable[[], None] | None"
"""What has to be written over the network; None when nothing has."""

Handler: TypeAlias = "Callable[[Any], Writer]"
"""Takes a hook event, where it happened, and says what has to be written."""

CAN_WAIT = hasattr(HookRegistry, "invoke_callbacks_async")
"""Whether this version of Strands awaits hooks."""

CAN_ORDER = "order" in signature(HookRegistry.add_callback).parameters
"""Whether this version of Strands lets hooks choose their place."""

FIRST, LAST = -math.inf, math.inf
"""Places of a hook among all others; old versions of Strands know only their own order."""

_MAX_THREADS = 32
_executor = ThreadPoolExecutor(_MAX_THREADS, "session-log")

_A_MOMENT = 0.02
"""For how many seconds at most something waits for what comes next; long enough for what Strands does in between."""
_timer = ThreadPoolExecutor(1, "session-log-timer")
_due: deque[tuple[float, Callable[[], object]]] = deque()
_timer_lock, _timer_waits = RLock(), False

_A_WHILE = 0.02
"""For how many seconds timers of a loop may be kept waiting without being asked for."""

try:
    from strands._async import is_run_async_bridge as _is_loop_of_its_own
except ImportError:

    def _is_loop_of_its_own() -> bool:
        """Whether Strands made the event loop for one sync call; old versions do not tell."""
        return False


_ITS_OWN = ("strands.agent.", "strands.event_loop.", "strands.models.")
"""Where Strands' hooks call nothing of the user's, unlike those of its plugins, interventions and context managers."""

_ELSEWHERE = {
    "BeforeToolCallEvent": ("strands.experimental.hooks", "BeforeToolInvocationEvent"),
    "AfterToolCallEvent": ("strands.experimental.hooks", "AfterToolInvocationEvent"),
    "BeforeModelCallEvent": ("strands.experimental.hooks", "BeforeModelInvocationEvent"),
    "AfterModelCallEvent": ("strands.experimental.hooks", "AfterModelInvocationEvent"),
    "BidiAgentStopEvent": ("strands.bidi.hooks", "BidiAgentStopEvent"),
}


class Heard(NamedTuple):
    """What is called for a hook event.

    Attributes:
        event: The event's class name in `strands.hooks`.
        handle: Runs where the event happened; what it returns is run in a thread where Strands can wait for it.
        order: `FIRST` or `LAST` of all; 0 where the others are.
    """

    event: str
    handle: Handler
    order: float = 0


def listen(registry: Any, *heard: Heard) -> None:
    """Call handlers for hook events, for those that this version of Strands has.

    Args:
        registry: A Strands hook registry.
        *heard: The events, and what is called for them.
    """
    for event, handle, order in heard:
        if (kind := hook_event(event)) is not None:
            options = {"order": order} if order and CAN_ORDER else {}
            registry.add_callback(kind, partial(_wait_for if CAN_WAIT else _block_on, handle), **options)


@cache
def hook_event(name: str) -> Any:
    """The class of a hook event; None when this version has none."""
    elsewhere = _ELSEWHERE.get(name, ("strands.experimental.hooks.multiagent", name))
    for module, attribute in (("strands.hooks", name), elsewhere):
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError):
            continue
    return None


class Audience:
    """Who hears of hook events; looked through anew only where others were added.

    Args:
        *names: The events.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._known, self._has_others = list[Any](), False

    def has_others(self, registry: Any) -> bool:
        """Whether anybody hears of one of them but Strands and this library; yes where that is unknown."""
        heard = getattr(registry, "_registered_callbacks", None)
        if heard is None:
            return True
        entries = [entry for name in self._names for entry in heard.get(hook_event(name), ())]
        # Not by what they say of each other: they may be of anybody's making.
        if len(entries) != len(self._known) or not all(map(is_, entries, self._known)):
            self._known, self._has_others = entries, not all(map(_is_of_ours, entries))
        return self._has_others


def _is_of_ours(entry: Any) -> bool:
    callback = getattr(entry, "callback", entry)
    if isinstance(callback, partial):
        return callback.func in (_wait_for, _block_on)
    # A method of Strands may be called of an object of the user's, and call what that has in place of another.
    owner = getattr(callback, "__self__", None)
    said_by = (callback,) if owner is None else (callback, type(owner))
    return all(str(getattr(one, "__module__", "")).startswith(_ITS_OWN) for one in said_by)


def all_of(writers: Iterable[Writer]) -> Writer:
    """What writes all that has to be written; None when nothing has."""
    todo = [write for write in writers if write]
    return partial(_write_all, todo) if todo else None


def _write_all(writers: Iterable[Callable[[], None]]) -> None:
    for write in writers:
        write()


def _renew() -> None:
    """A forked child has the pool's bookkeeping, but none of its threads."""
    global _executor, _timer, _timer_lock, _timer_waits
    _executor, _timer = ThreadPoolExecutor(_MAX_THREADS, "session-log"), ThreadPoolExecutor(1, "session-log-timer")
    _timer_lock, _timer_waits = RLock(), False
    _due.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


async def run_in_thread(call: Callable[[], T]) -> T:
    """Run a call in a thread and wait for it, so that nobody else in the event loop is kept waiting.

    Each sync `agent()` runs in an event loop of its own, so threads belong to the process and not to a loop. Where
    nobody else is in that loop, no tool or node at the same time, the call runs right there: to hand it to a thread and
    to be woken up by it takes longer than most calls. When the caller is cancelled the call goes on to its end: what it
    writes has an outcome all the same.

    A process whose main thread has come to its end begins nothing in a thread any more, and waits for calls of other
    threads: what they write is written where they are.
    """
    if _is_loop_of_its_own() and len(asyncio.all_tasks()) == 1:
        return await _run_here(call)
    try:
        future = _executor.submit(call)
    except RuntimeError:
        return call()
    await _end_of(future)
    return future.result()


async def _run_here(call: Callable[[], T]) -> T:
    """Run a call in the loop; what came due meanwhile, as the timeout of a swarm's node, comes before what follows."""
    began = time.monotonic()
    result = call()
    if time.monotonic() - began > _A_WHILE:
        # The loop looks at its timers behind what is ready, which is this: so what they do is heard a turn later.
        for _ in range(2):
            await asyncio.sleep(0)
    return result


def begin_in_thread(call: Callable[[], object]) -> None:
    """Run a call in a thread that nobody waits for; it must not raise. The process does not end before it has."""
    try:
        _executor.submit(call)
    except RuntimeError:
        call()


def begin_later(call: Callable[[], object]) -> None:
    """Call after a moment what must neither raise nor take long.

    All wait equally long, so one thread waits for them in turn: while it does, it is not woken for another one.
    """
    global _timer_waits
    with _timer_lock:
        _due.append((time.monotonic() + _A_MOMENT, call))
        is_waiting, _timer_waits = _timer_waits, True
    if is_waiting:
        return
    try:
        _timer.submit(_call_when_due)
    except RuntimeError:
        _call_when_due(waits=False)


def _call_when_due(waits: bool = True) -> None:
    global _timer_waits
    while True:
        with _timer_lock:
            if not _due:
                _timer_waits = False
                return
            due, call = _due.popleft()
        if waits:
            time.sleep(max(0.0, due - time.monotonic()))
        call()


async def _end_of(future: Future[Any]) -> None:
    """Wait for it as `asyncio.wrap_future`, shielded, does, in fewer turns of the loop."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        # Unless the loop has been closed meanwhile: then nobody waits in it any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    future.add_done_callback(wake)
    await ended.wait()


async def _wait_for(handle: Handler, event: Any) -> None:
    if write := handle(event):
        await run_in_thread(write)


def _block_on(handle: Handler, event: Any) -> None:
    if write := handle(event):
        write()
