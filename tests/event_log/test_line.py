"""Appends hold a connection of the client's pool; nobody else may notice, whatever they do with the client."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from threading import Barrier, Thread
from typing import Any

import pytest
import valkey

from strands_session_log import SessionLog, events
from strands_session_log.server import pinned_connection
from support.clients import client_of
from support.servers import Server
from support.waiting import wait_until


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def numbers(log: SessionLog) -> list[int]:
    return [one.event.data["number"] for one in log.read("s")]


def counted(patch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Every call of a method from now on: the first text it is called with."""
    calls: list[Any] = []
    method = getattr(owner, name)

    def call(*args: Any, **options: Any) -> Any:
        calls.append(next((arg for arg in args if isinstance(arg, str)), None))
        return method(*args, **options)

    patch.setattr(owner, name, call)
    return calls


def test_a_burst_of_appends_takes_a_connection_once(tcp_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", note(-1))  # for the partition that begins with it, another connection is needed
    log.append("s", note(0))
    taken = counted(monkeypatch, client_of(log).connection_pool, "get_connection")
    for number in range(1, 5):
        log.append("s", note(number))
    assert taken == []
    assert numbers(log) == list(range(-1, 5))


def test_all_logs_of_a_client_share_one_connection(tcp_server: Server) -> None:
    client = tcp_server.client()
    for number in range(20):
        SessionLog(client).append("s", note(number))
    assert len(client.client_list(_type="normal")) <= 2


def test_a_connection_dropped_in_a_pause_is_replaced_before_anything_is_sent(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(tcp_server.client(), retry_for=0)
    log.append("s", note(0))
    tcp_server.execute("CLIENT", "KILL", "TYPE", "normal")
    monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
    log.append("s", note(1))
    assert numbers(log) == [0, 1]


@pytest.mark.parametrize("whole_class", [False, True])
def test_a_client_that_is_traced_is_called_as_ever(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch, whole_class: bool
) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", note(0))
    commands = counted(monkeypatch, valkey.Valkey if whole_class else log.client, "execute_command")
    log.append("s", note(1))
    assert commands == ["EVALSHA"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_connections": 1},
        {"retry_on_timeout": True},
        {"decode_responses": True},
    ],
)
def test_appends_work_with_any_client(tcp_server: Server, options: dict[str, Any]) -> None:
    log = SessionLog(tcp_server.client(**options))
    for number in range(3):
        log.append("s", note(number))
    assert numbers(log) == [0, 1, 2]


def test_an_interrupted_reply_is_not_taken_for_that_of_the_next_append(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", note(0))
    interrupted = note(1)

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(valkey.connection.DefaultParser, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            log.append("s", interrupted)
    assert log.append("s", note(2)).revision == 3
    assert log.append("s", interrupted).revision == 2
    assert numbers(log) == [0, 1, 2]


def test_threads_append_through_one_client_at_once(tcp_server: Server) -> None:
    log, together = SessionLog(tcp_server.client()), Barrier(8)

    def write(number: int) -> None:
        together.wait()
        for _ in range(20):
            log.append("s", note(number))

    threads = [Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(log)) == sorted(list(range(8)) * 20)
    assert log.verify("s").ok


def append_at_once(server: Server, log: SessionLog, writers: int) -> None:
    """Each writer to a session of its own; no reply comes before all have sent."""
    pool = client_of(log).connection_pool
    for number in range(writers):
        log.append(f"s-{number}", note(-1))  # for each partition that begins with it, another connection is needed
    server.execute("CLIENT", "PAUSE", 60_000, "WRITE")
    threads = [Thread(target=log.append, args=(f"s-{number}", note(number))) for number in range(writers)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(pool._in_use_connections) >= writers, "all to have a connection")
    server.execute("CLIENT", "UNPAUSE")
    for thread in threads:
        thread.join()


def test_so_many_connections_are_held_as_there_are_appends_at_once(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(tcp_server.client())
    append_at_once(tcp_server, log, 8)
    held = set(client_of(log).connection_pool._in_use_connections)
    taken = counted(monkeypatch, client_of(log).connection_pool, "get_connection")
    append_at_once(tcp_server, log, 8)
    assert (len(held), taken) == (8, [])
    assert set(client_of(log).connection_pool._in_use_connections) == held


def test_connections_that_no_append_needs_any_more_go_back_to_the_pool(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(tcp_server.client())
    append_at_once(tcp_server, log, 8)
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    log.append("s-0", note(0))
    assert len(client_of(log).connection_pool._in_use_connections) == 1
    log.close()
    assert len(client_of(log).connection_pool._in_use_connections) == 0


def test_no_more_connections_are_held_than_a_pool_can_spare(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned_connection, "_MOST_IDLE", 3)
    log = SessionLog(tcp_server.client())
    append_at_once(tcp_server, log, 8)
    assert len(client_of(log).connection_pool._in_use_connections) == 3


def test_a_forked_process_leaves_the_connection_to_its_parent(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(), retry_for=0)
    log.append("s", note(0))
    child = multiprocessing.get_context("fork").Process(target=_append, args=(log, 1))
    child.start()
    log.append("t", note(0))
    child.join(timeout=30)
    log.append("s", note(2))
    assert numbers(log) == [0, 1, 2]


def _append(log: SessionLog, number: int) -> None:
    log.append("s", note(number))


def test_closing_the_log_closes_the_connection_too(tcp_server: Server) -> None:
    log = SessionLog.connect(tcp_server.url)
    log.append("s", note(0))
    log.close()
    clients = partial(tcp_server.execute, "CLIENT", "LIST")
    wait_until(lambda: "strands-session-log" not in str(clients()), "the server to hear of it")
