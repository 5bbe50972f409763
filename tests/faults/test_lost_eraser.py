"""Erasers, replies and servers that are lost in the middle of an erasure."""

from __future__ import annotations

from threading import Event as Signal
from typing import Any

import pytest

from strands_session_log import SessionLog, errors
from strands_session_log.event_log import eraser
from support import FaultProxy, wait_until
from support.erasing import erased, exists, fill, note, numbers
from support.servers import Server

pytestmark = pytest.mark.faults


class EraserDied(Exception):
    """Raised where a process would be killed: nothing of the library runs any more."""


def erase_until(log: SessionLog, event: Any, step: int) -> None:
    """Erase, but die after so many steps."""
    steps = iter(range(1, step))

    def die(done: int, total: int) -> None:
        if next(steps, None) is None:
            raise EraserDied

    with pytest.raises(EraserDied):
        log.erase("s", event, "why", progress=die)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short session takes many."""
    monkeypatch.setattr(eraser, "STEP_ENTRIES", 10)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead eraser left goes away sooner."""
    monkeypatch.setattr(eraser, "PATIENCE_MS", 300)


@pytest.mark.usefixtures("small_steps", "impatient")
def test_an_eraser_that_dies_leaves_the_session_as_it_was_and_the_next_one_finishes(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    for step in (1, 5, 9):
        erase_until(session_log, ids[50], step)
        assert session_log.verify("s").ok
        session_log.append("s", note(100 + step))
    assert not erased(session_log)
    assert session_log.erase("s", ids[50], "why") is not None
    assert erased(session_log) == [51]
    assert numbers(session_log) == [*range(50), *range(51, 100), 101, 105, 109]
    assert session_log.verify("s").ok
    assert not exists(session_log, session_log._events.keyspace.session("s").rewrite)


@pytest.mark.usefixtures("small_steps", "impatient")
def test_what_an_eraser_that_died_has_copied_goes_away_by_itself(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    erase_until(session_log, ids[50], step=3)
    key = session_log._events.keyspace.session("s").rewrite
    assert exists(session_log, key)
    wait_until(lambda: not exists(session_log, key), "the copy to expire")
    assert len(numbers(session_log)) == 100


@pytest.mark.usefixtures("small_steps")
def test_deleting_a_session_removes_what_an_eraser_that_died_has_copied(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    erase_until(session_log, ids[50], step=3)
    keys = session_log._events.keyspace.session("s")
    assert session_log.delete("s") == 100
    assert not any(exists(session_log, key) for key in keys[:5])
    assert session_log.sessions() == []


@pytest.mark.usefixtures("small_steps", "impatient")
def test_an_eraser_that_paused_for_too_long_starts_over(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    key = session_log._events.keyspace.session("s").rewrite
    pauses = iter([3])

    def pause(done: int, total: int) -> None:
        for _ in pauses:
            wait_until(lambda: not exists(session_log, key), "the copy to expire")

    session_log.erase("s", ids[50], "why", progress=pause)
    assert erased(session_log) == [51]
    assert len(numbers(session_log)) == 99
    assert session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps", "impatient")
def test_an_eraser_that_lost_its_turn_while_it_paused_takes_another(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    meanwhile = iter([ids[20]])

    def erase_another(done: int, total: int) -> None:
        for id_ in meanwhile:
            session_log.erase("s", id_, "meanwhile")

    session_log.erase("s", ids[50], "why", progress=erase_another)
    assert erased(session_log) == [21, 51]
    assert [one.event.data["reason"] for one in session_log.read("s", types="payload.erased")] == ["meanwhile", "why"]
    assert session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
def test_replies_that_are_lost_neither_lose_nor_double_anything(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url)
    ids = fill(log, 50)
    for id_ in (ids[5], ids[44]):

        def lose_the_next(done: int, total: int) -> None:
            proxy.swallow_replies(1, of=b"EVALSHA")

        log.erase("s", id_, "why", progress=lose_the_next)
        log = SessionLog.connect(tcp_server.url)
        assert log.verify("s").ok
        log = SessionLog.connect(proxy.url)
    assert erased(log) == [6, 45]
    assert [one.event.data["erased"] for one in log.read("s", types="payload.erased")] == [
        [str(ids[5])],
        [str(ids[44])],
    ]


@pytest.mark.usefixtures("small_steps", "impatient")
def test_a_rewritten_session_outlives_a_server_that_is_killed(tcp_server: Server) -> None:
    tcp_server.execute("CONFIG", "SET", "appendfsync", "always")
    log = SessionLog(tcp_server.client())
    ids = fill(log, 100)
    log.erase("s", ids[:50], "why")
    wait_until(lambda: Signal().wait(0.4) is False, "the patience of the rewrite to pass")
    tcp_server.kill()
    tcp_server.restart()
    log = SessionLog(tcp_server.client())
    assert len(list(log.read("s"))) == 101
    assert erased(log) == list(range(1, 51))
    assert log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
def test_a_server_that_restarts_during_an_erasure_does_not_stop_it(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    ids = fill(log, 100)
    restarts = iter([tcp_server.restart])

    def restart(done: int, total: int) -> None:
        for again in restarts:
            again()

    log.erase("s", ids[50], "why", progress=restart)
    assert erased(log) == [51]
    assert len(numbers(log)) == 99
    assert log.verify("s").ok


def test_erasing_goes_on_without_memory_and_appending_does_not(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(), retry_for=0.2)
    ids = fill(log, 100)
    tcp_server.execute("SET", "ballast", "x" * 4_000_000)
    tcp_server.execute("CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(errors.OutOfMemoryError):
        fill(log, 1)
    log.erase("s", ids[50], "why")
    assert erased(log) == [51]
    assert log.verify("s").ok


def test_an_erasure_waits_for_replicas_where_the_log_does(tcp_server: Server) -> None:
    fill(SessionLog(tcp_server.client()), 10)
    log = SessionLog(tcp_server.client(), durability="replicated:1")
    with pytest.raises(errors.UnknownOutcomeError, match="WAIT"):
        log.erase("s", 1, "why")
    assert erased(log) == [1]
