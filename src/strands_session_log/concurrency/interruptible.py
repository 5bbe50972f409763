"""Waiting in the thread that Ctrl-C interrupts."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Event, Thread

_ENDING = (signal.SIGTERM, signal.SIGINT)
_TURN = 0.5
"""Seconds after which a signal is noticed at the latest."""


@contextmanager
def held(changed: Condition) -> Iterator[None]:
    """`with changed`, from which Ctrl-C may have taken the lock.

    Where it comes right after a wait has let go of the lock, Python does not know that any more, and would raise a
    `RuntimeError` in its place.
    """
    changed.acquire()
    try:
        yield
    finally:
        with suppress(RuntimeError):
            changed.release()


def wait_until(changed: Condition, condition: Callable[[], object]) -> None:
    """Wait in turns: a signal whose handler ran just before, or in another thread, ends no wait that has no end."""
    while not changed.wait_for(condition, _TURN):
        pass


def sleep(seconds: float) -> None:
    """Wait in turns, see `wait_until`."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _TURN))


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that SIGTERM and Ctrl-C set, whatever the main thread does just then; to be entered there.

    By a thread of its own: a handler that sets an event waits for ever where it came while the same thread held the
    event's lock, and one that came right before a wait runs when that is over.
    """
    stop, (told, tell) = Event(), socket.socketpair()
    tell.setblocking(False)
    Thread(target=_set_when_told, args=(stop, told), name="session-log-signals", daemon=True).start()
    fd_before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in _ENDING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(fd_before)
        tell.close()


def _set_when_told(stop: Event, told: socket.socket) -> None:
    with told:
        # A byte is the number of a signal.
        while numbers := told.recv(64):
            if any(number in _ENDING for number in numbers):
                stop.set()
