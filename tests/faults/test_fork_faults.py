"""Whatever happens while a session is forked: there is a whole fork or none, and no content that was erased."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest

from strands_session_log import SessionLog, errors
from strands_session_log.event_log import eraser, forker
from strands_session_log.scripts import FORK
from support import FaultProxy, wait_until
from support.erasing import SECRET, exists, fill, note
from support.servers import Server

pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short session takes many."""
    monkeypatch.setattr(forker, "COPY_ENTRIES", 10)


@pytest.fixture
def log(tcp_server: Server) -> Iterator[SessionLog]:
    """A log on a server of its own: whatever is left over shows."""
    with SessionLog.connect(tcp_server.url) as log:
        yield log


def erased(log: SessionLog, session_id: str) -> list[int]:
    return [one.id.revision for one in log.read(session_id) if one.event.is_erased]


def keys_of(log: SessionLog, session_id: str) -> list[str]:
    return sorted(key.decode() for key in log.client.execute_command("KEYS", f"*:session:{session_id}:*"))


def notes(log: SessionLog, session_id: str = "s") -> list[str]:
    """The forks a session's head tells of."""
    found = log.client.execute_command("HGET", log._events.keyspace.session(session_id).head, "forks") or b""
    return [line.split()[-1] for line in found.decode().splitlines()]


class Killed(BaseException):
    """The process was."""


def killed_at(monkeypatch: pytest.MonkeyPatch, method: str, call: int = 1) -> None:
    """Let a process die at the so-manieth call of a method: nothing it would do afterwards happens."""
    calls, original = iter(range(1, 10_000)), getattr(forker.Forker, method)

    def dying(self: Any, *arguments: Any) -> Any:
        if next(calls) == call:
            monkeypatch.setattr(forker.Forker, "_take_back", lambda *_: None)
            raise Killed
        return original(self, *arguments)

    monkeypatch.setattr(forker.Forker, method, dying)


def once_before(monkeypatch: pytest.MonkeyPatch, method: str, action: Any) -> None:
    """Let something happen before the first call of a method."""
    actions, original = iter([action]), getattr(forker.Forker, method)

    def interrupted(self: Any, *arguments: Any) -> Any:
        for act in actions:
            act()
        return original(self, *arguments)

    monkeypatch.setattr(forker.Forker, method, interrupted)


def test_a_lost_reply_of_the_call_that_makes_the_fork_is_asked_for_again(log: SessionLog, proxy: FaultProxy) -> None:
    fill(log, 25)
    behind = SessionLog.connect(proxy.url)
    proxy.swallow_replies(2, of=FORK.sha.encode())
    made = behind.fork("s", None, "f")
    assert [one.id for one in log.read("f", types="session.forked")] == [made]
    assert log.verify("f").ok
    assert notes(log) == ["f"]


def test_replies_that_are_lost_on_the_way_neither_lose_nor_double_anything(log: SessionLog, proxy: FaultProxy) -> None:
    fill(log, 45)
    behind = SessionLog.connect(proxy.url)
    behind.fork("s", None, "f", progress=lambda done, total: proxy.swallow_replies(1))
    assert list(log.read("f"))[:45] == list(log.read("s"))
    assert log.verify("f").ok
    assert len(keys_of(log, "f")) == 2


def test_a_fork_whose_outcome_stays_open_was_made_or_can_be_made_again(log: SessionLog, proxy: FaultProxy) -> None:
    fill(log, 25)
    behind = SessionLog.connect(proxy.url, retry_for=0)
    behind.fork("s", 1, "so that the server knows the script")
    proxy.swallow_replies(1, of=FORK.sha.encode())
    with pytest.raises(errors.ServerUnavailableError):
        behind.fork("s", None, "f")
    with pytest.raises(errors.SessionExistsError):
        behind.fork("s", None, "f")
    log.erase("s", 5, "why")
    assert erased(log, "f") == [5]
    assert log.verify("f").ok


@pytest.mark.parametrize(("method", "call"), [("_add", 1), ("_add", 3), ("_erased_later", 1), ("_put_in_place", 1)])
def test_of_a_fork_whose_maker_died_nothing_is_left_but_a_note(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    monkeypatch.setattr(forker, "PATIENCE_MS", 300)
    fill(log, 45)
    with monkeypatch.context() as patch:
        killed_at(patch, method, call)
        with pytest.raises(Killed):
            log.fork("s", None, "f")
    assert [info.session_id for info in log.sessions()] == ["s"]
    wait_until(lambda: not keys_of(log, "f"), "the copy to expire")
    log.erase("s", 5, "the note is in nobody's way")
    log.fork("s", None, "f")
    assert log.verify("f").ok
    assert erased(log, "f") == [5]


def test_a_copy_that_expired_meanwhile_is_made_anew(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(log, 45)
    monkeypatch.setattr(forker, "PATIENCE_MS", 300)
    pauses = iter([25])

    def pause(done: int, total: int) -> None:
        if done == 30:
            for _ in pauses:
                wait_until(lambda: not keys_of(log, "f"), "the copy to expire")

    log.fork("s", None, "f", progress=pause)
    assert len(list(log.read("f"))) == 46
    assert log.verify("f").ok
    assert notes(log) == ["f"]


@pytest.mark.parametrize("done", [10, 32, 42, 45])
def test_what_is_erased_while_it_is_copied_does_not_survive_in_the_fork(log: SessionLog, done: int) -> None:
    fill(log, 45)
    erasures = iter([[5, 44]])

    def erase(copied: int, total: int) -> None:
        if copied == done:
            for revisions in erasures:
                log.erase("s", revisions, "why")

    log.fork("s", 45, "f", progress=erase)
    assert erased(log, "f") == [5, 44]
    assert log.verify("f").ok
    assert notes(log) == ["f"]
    assert len(keys_of(log, "f")) == 2


@pytest.mark.parametrize("method", ["_copy", "_erased_later", "_put_in_place"])
def test_what_is_erased_between_any_two_steps_does_not_survive_in_the_fork(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    fill(log, 25)
    once_before(monkeypatch, method, lambda: log.erase("s", 5, "why"))
    log.fork("s", 25, "f")
    assert erased(log, "f") == [5]
    assert SECRET not in str(next(log.read("f", after=4, until=5)).event.data)
    assert log.verify("f").ok


@pytest.mark.parametrize("method", ["_erased_later", "_put_in_place"])
def test_what_is_erased_at_the_root_does_not_survive_in_a_fork_being_made_of_a_fork(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    fill(log, 25)
    log.fork("s", 20, "f")
    with monkeypatch.context() as patch:
        once_before(patch, method, lambda: log.erase("s", 5, "why"))
        log.fork("f", None, "g")
    assert erased(log, "g") == [5]
    assert log.verify("g").ok


def test_an_eraser_that_died_before_it_reached_the_forks_is_made_up_for_by_erasing_again(
    log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 25)
    log.fork("s", 20, "f")

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(eraser.Eraser, "_erase_in_forks", die)
        with pytest.raises(Killed):
            log.erase("s", 5, "why")
    assert (erased(log, "s"), erased(log, "f")) == ([5], [])
    assert log.erase("s", 5, "why") is None
    assert erased(log, "f") == [5]


def test_an_eraser_that_died_is_noticed_by_who_makes_a_fork(log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(log, 25)

    def erase_and_die() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(eraser.Eraser, "_erase_in_forks", lambda *_: None)
            log.erase("s", 5, "why")

    once_before(monkeypatch, "_erased_later", erase_and_die)
    log.fork("s", 20, "f")
    assert erased(log, "f") == [5]


@pytest.mark.parametrize("done", [20, 45])
def test_a_session_deleted_while_it_is_copied_leaves_no_fork(log: SessionLog, done: int) -> None:
    fill(log, 45)

    def delete(copied: int, total: int) -> None:
        if copied == done:
            log.delete("s")

    with pytest.raises((errors.SessionNotFoundError, errors.LogForkedError)):
        log.fork("s", None, "f", progress=delete)
    assert (log.sessions(), keys_of(log, "f"), keys_of(log, "s")) == ([], [], [])


def test_a_session_that_begins_meanwhile_where_the_fork_was_to_be_stays(log: SessionLog) -> None:
    fill(log, 25)
    with pytest.raises(errors.SessionExistsError):
        log.fork("s", None, "f", progress=lambda done, total: log.append("f", note(done)) if done == 25 else None)
    assert [one.event.data["number"] for one in log.read("f")] == [25]
    assert len(keys_of(log, "f")) == 2
    assert notes(log) == []


def test_of_two_forks_into_one_session_one_is_made(log: SessionLog, tcp_server: Server) -> None:
    fill(log, 200)
    outcomes: list[Any] = []

    def fork(at: int) -> None:
        try:
            outcomes.append(SessionLog(tcp_server.client()).fork("s", at, "f"))
        except errors.SessionExistsError as error:
            outcomes.append(error)

    threads = [Thread(target=fork, args=(at,)) for at in (150, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(outcome, errors.SessionExistsError) for outcome in outcomes) == [False, True]
    assert log.verify("f").ok
    assert notes(log) == ["f"]
    assert len(keys_of(log, "f")) == 2


def test_a_fork_of_a_session_that_others_write_to_is_what_it_was_at_the_point(log: SessionLog) -> None:
    fill(log, 45)
    log.fork("s", 45, "f", progress=lambda done, total: log.append("s", note(done)))
    assert list(log.read("f"))[:45] == list(log.read("s", until=45))
    assert log.verify("f").ok


def test_without_memory_no_fork_is_made_and_nothing_is_harmed(log: SessionLog, tcp_server: Server) -> None:
    fill(log, 45)
    tcp_server.execute("SET", "ballast", "x" * 4_000_000)
    tcp_server.execute("CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(errors.OutOfMemoryError):
        SessionLog(tcp_server.client(), retry_for=0.2).fork("s", None, "f")
    tcp_server.execute("CONFIG", "SET", "maxmemory", "0")
    assert keys_of(log, "f") == []
    log.fork("s", None, "f")
    assert log.verify("f").ok


def test_a_feed_that_is_none_leaves_no_half_a_fork(log: SessionLog, tcp_server: Server) -> None:
    fill(log, 5)
    keys = log._events.keyspace.session("f")
    tcp_server.execute("SET", keys.feed, "no feed")
    with pytest.raises(errors.CorruptKeyError, match=r"feed.*not a stream"):
        log.fork("s", None, "f")
    assert not exists(log, keys.events)
    assert not exists(log, keys.head)
    tcp_server.execute("DEL", keys.feed)
    log.fork("s", None, "f")
    assert log.verify("f").ok


def test_a_fork_outlives_a_server_that_is_killed_and_the_patience_of_its_copy(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forker, "PATIENCE_MS", 300)
    tcp_server.execute("CONFIG", "SET", "appendfsync", "always")
    log = SessionLog(tcp_server.client())
    fill(log, 45)
    log.fork("s", None, "f")
    wait_until(lambda: Signal().wait(0.4) is False, "the patience of the copy to pass")
    tcp_server.kill()
    tcp_server.restart()
    log = SessionLog(tcp_server.client())
    assert len(list(log.read("f"))) == 46
    assert log.verify("f").ok


def test_a_fork_waits_for_replicas_where_the_log_does(log: SessionLog, tcp_server: Server) -> None:
    fill(log, 10)
    waiting = SessionLog(tcp_server.client(), durability="replicated:1")
    with pytest.raises(errors.UnknownOutcomeError, match="WAIT"):
        waiting.fork("s", None, "f")
    assert log.verify("f").ok
    assert notes(log) == ["f"]
