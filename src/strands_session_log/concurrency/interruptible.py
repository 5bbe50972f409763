"""Waiting in the thread that Ctrl-C interrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition

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
