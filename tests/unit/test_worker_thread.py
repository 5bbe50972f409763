"""One kind of thread: begun as often as it is needed, and begun anew in a forked process."""

from __future__ import annotations

import os
import threading

from strands_session_log.concurrency import WorkerThread


def test_it_begins_once_and_again_after_it_rested() -> None:
    thread, go, runs = WorkerThread("testing"), threading.Event(), list[int]()

    def run() -> None:
        runs.append(1)
        go.wait()
        thread.rest()

    thread.start(run)
    thread.start(run)
    assert not thread.join(0.01)
    go.set()
    assert thread.join(5)
    thread.start(run)
    assert thread.join(5)
    assert len(runs) == 2


def test_one_that_never_began_has_not_ended() -> None:
    thread = WorkerThread("testing")
    assert not thread.has_ended
    assert thread.join(0)
    thread.start(lambda: None)
    assert thread.join(5)
    assert thread.has_ended


def test_it_stays_in_its_process_and_begins_once_in_a_forked_one() -> None:
    thread, go = WorkerThread("testing"), threading.Event()
    thread.start(go.wait)
    child = os.fork()
    if not child:
        os._exit(0 if thread.is_elsewhere and not thread.is_alive and _begins_once(thread) else 1)
    go.set()
    assert os.waitpid(child, 0)[1] == 0
    assert not thread.is_elsewhere


def _begins_once(thread: WorkerThread) -> bool:
    go, runs = threading.Event(), list[bool]()
    for _ in range(2):
        thread.start(lambda: runs.append(go.wait()))
    go.set()
    return thread.join(5) and runs == [True]
