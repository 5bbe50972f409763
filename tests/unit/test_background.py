"""A thread for what nobody waits for: in order, one at a time for each name, and no reason to stay."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import partial

import pytest

from strands_session_log.concurrency import Background


def test_a_job_submitted_while_one_of_its_name_runs_comes_after_it_and_only_the_last_does() -> None:
    background, go, ran = Background("testing"), threading.Event(), list[int]()
    background.submit("s", go.wait)
    for number in range(3):
        background.submit("s", partial(ran.append, number))
    go.set()
    assert background.settle(5)
    assert ran == [2]


def test_settling_gives_up_after_its_time() -> None:
    background, go = Background("testing"), threading.Event()
    background.submit("s", go.wait)
    assert not background.settle(0.01)
    go.set()
    assert background.settle(5)


def test_closing_waits_for_the_job_that_runs_and_forgets_those_that_wait() -> None:
    background, begun, go, ran = Background("testing"), threading.Event(), threading.Event(), list[str]()

    def job() -> None:
        begun.set()
        go.wait()
        ran.append("a")

    background.submit("a", job)
    background.submit("b", lambda: ran.append("b"))
    begun.wait()
    threading.Timer(0.05, go.set).start()
    background.close()
    assert ran == ["a"]


def test_a_thread_that_cannot_be_started_is_no_error_of_whoever_submits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    background = Background("testing")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        background.submit("s", lambda: None)
    assert background.settle(0)
    background.submit("s", lambda: None)
    assert background.settle(5)


def test_no_thread_stays_when_there_is_nothing_to_do_and_nothing_begins_after_closing() -> None:
    background, threads = Background("testing"), list[threading.Thread]()
    background.submit("s", lambda: threads.append(threading.current_thread()))
    assert background.settle(5)
    threads[0].join(5)
    assert not threads[0].is_alive()
    background.close()
    background.submit("s", lambda: threads.append(threading.current_thread()))
    assert background.settle(0)
    assert len(threads) == 1


def test_its_thread_is_called_what_it_does() -> None:
    background, names = Background("testing"), list[str]()
    background.submit("s", lambda: names.append(threading.current_thread().name))
    assert background.settle(5)
    assert names == ["session-log-testing"]


def test_it_works_in_a_forked_process() -> None:
    background = Background("testing")
    background.submit("s", lambda: None)
    assert background.settle(5)
    child = os.fork()
    if not child:
        background.submit("s", lambda: None)
        os._exit(0 if background.settle(5) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_end_of_the_process_waits_for_a_job_but_not_for_one_that_hangs() -> None:
    code = """
import sys, threading
from strands_session_log.concurrency import Background
background = Background("testing")
background.submit("quick", lambda: print("saved"))
background.submit("hanging", threading.Event().wait)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "saved\n"


def test_a_job_that_fails_ends_none_that_come_after_it() -> None:
    background, ran = Background("testing"), list[str]()

    def fail() -> None:
        raise AttributeError("closed under it")

    background.submit("a", fail)
    background.submit("b", lambda: ran.append("b"))
    assert background.settle(5)
    background.submit("a", lambda: ran.append("a"))
    assert background.settle(5)
    assert ran == ["b", "a"]
