"""What Ctrl-C may come into."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from threading import Condition, Thread, enumerate, get_ident

import pytest

from strands_session_log.concurrency import held, sleep, stopped_by_signals
from support import wait_until

SOON = 20.0
ENDING = [signal.SIGTERM, signal.SIGINT]


def test_what_comes_right_after_a_wait_has_let_go_of_its_lock_is_not_hidden() -> None:
    changed = Condition()

    def interrupted() -> None:
        with held(changed):
            changed.release()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert changed.acquire(blocking=False)


@pytest.fixture
def _interrupted_as_ever() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupted_as_ever")
def test_a_signal_that_another_thread_is_given_ends_a_sleep() -> None:
    def interrupt() -> None:
        signal.pthread_kill(get_ident(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        Thread(target=interrupt).start()
        sleep(3600.0)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_comes_while_the_event_is_locked_sets_it(number: int) -> None:
    with stopped_by_signals() as stop:
        with stop._cond:  # type: ignore[attr-defined]
            signal.raise_signal(number)
        assert stop.wait(SOON)


def test_a_signal_of_another_kind_stops_nothing() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with stopped_by_signals() as stop:
        signal.raise_signal(signal.SIGUSR1)
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(SOON)
    signal.signal(signal.SIGUSR1, before)


def test_what_was_done_at_signals_before_is_done_again_afterwards() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with stopped_by_signals():
        assert [signal.getsignal(number) for number in ENDING] != before
    assert [signal.getsignal(number) for number in ENDING] == before
    wait_until(lambda: "session-log-signals" not in {one.name for one in enumerate()}, "its thread to end")
