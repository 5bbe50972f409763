"""What is called a moment later, by one thread that is woken only where it does not wait already."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event, current_thread

import pytest

from strands_session_log.lifecycle.compat import begin_later

PATIENCE = 10.0


def noting(found: list[tuple[str, float]], done: Event, *, count: int) -> Callable[[], None]:
    """Notes who calls it, and when, and that so many calls have come."""

    def call() -> None:
        found.append((current_thread().name, time.monotonic()))
        if len(found) == count:
            done.set()

    return call


def test_calls_come_after_a_moment_by_one_thread() -> None:
    found, done, began = list[tuple[str, float]](), Event(), time.monotonic()
    for _ in range(3):
        begin_later(noting(found, done, count=3))
    assert found == []
    assert done.wait(PATIENCE)
    assert len({name for name, _ in found}) == 1
    assert min(at for _, at in found) - began >= 0.02


def test_a_call_comes_where_none_waited_any_more() -> None:
    for _ in range(3):
        done = Event()
        begin_later(done.set)
        assert done.wait(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_calls_what_is_begun_there_and_not_what_waited_before() -> None:
    waited, here = Event(), os.getpid()
    read, write = os.pipe()
    begin_later(lambda: waited.set() if os.getpid() == here else None)
    child = os.fork()
    if not child:
        own = Event()
        begin_later(own.set)
        os.write(write, b"yes" if own.wait(PATIENCE) and not waited.is_set() else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 3) == b"yes"
    assert waited.wait(PATIENCE)
