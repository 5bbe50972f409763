"""Whatever happens between the writer and the server, every event is in the log exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event as Signal
from threading import Thread, Timer
from typing import Any

import pytest
import valkey
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors, events
from strands_session_log.testing.model import ScriptedModel
from support import Cluster, FaultProxy
from support.servers import Server

pytestmark = pytest.mark.faults


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def numbers(log: SessionLog) -> list[int]:
    return [one.event.data["number"] for one in log.read("s")]


@pytest.fixture
def log(proxy: FaultProxy) -> Iterator[SessionLog]:
    """A log behind a faulty network."""
    with SessionLog.connect(proxy.url) as log:
        yield log


@pytest.mark.parametrize("swallowed", [1, 3])
def test_a_reply_that_is_lost_is_asked_for_again(log: SessionLog, proxy: FaultProxy, swallowed: int) -> None:
    for number in range(20):
        if number % 4 == 0:
            proxy.swallow_replies(swallowed, of=b"EVALSHA")
        log.append("s", note(number))
    assert numbers(log) == list(range(20))
    assert log.verify("s").ok


def test_a_lost_reply_is_settled_even_when_others_wrote_meanwhile(log: SessionLog, proxy: FaultProxy) -> None:
    other = SessionLog.connect(proxy.url)
    proxy.hold_replies()
    writer = Thread(target=log.append, args=("s", note(0)))
    writer.start()
    proxy.wait_until_held()
    proxy.cut()
    proxy.release_replies()
    other.append("s", note(1))
    writer.join(timeout=30)
    assert sorted(numbers(log)) == [0, 1]


def test_an_append_given_up_as_unknown_is_settled_by_appending_it_again(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url, retry_for=0)
    log.append("s", note(0))
    proxy.swallow_replies(1, of=b"EVALSHA")
    event = note(1)
    with pytest.raises(errors.UnknownOutcomeError):
        log.append("s", event)
    SessionLog.connect(tcp_server.url).append("s", note(2))
    log.append("s", [note(3)])
    log.append("s", event)
    assert numbers(log) == [0, 1, 2, 3]


def test_a_server_that_stalls_for_a_second_stores_nothing_twice(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(socket_timeout=0.25))
    log.append("s", note(0))
    tcp_server.pause()
    Timer(1.0, tcp_server.resume).start()
    log.append("s", note(1))
    log.append("s", note(2))
    assert numbers(log) == [0, 1, 2]


def test_a_cluster_client_that_repeats_writes_by_itself_stores_nothing_twice(cluster: Cluster) -> None:
    log = SessionLog(cluster.client(socket_timeout=0.25))
    log.append("s", note(0))
    node = cluster.node_for(log._events.keyspace.session("s").head)
    for number in (1, 2):
        node.pause()
        Timer(0.8, node.resume).start()
        log.append("s", note(number))
    assert numbers(log) == [0, 1, 2]
    assert log.verify("s").ok


def test_flushing_the_script_cache_at_any_moment_loses_nothing(tcp_server: Server) -> None:
    log, done = SessionLog(tcp_server.client()), Signal()

    def flush() -> None:
        client = tcp_server.client()
        while not done.is_set():
            client.script_flush()

    flusher = Thread(target=flush)
    flusher.start()
    try:
        for number in range(300):
            log.append("s", note(number))
    finally:
        done.set()
        flusher.join()
    assert numbers(log) == list(range(300))


def test_flushing_the_script_cache_does_not_disturb_a_durable_append(tcp_server: Server) -> None:
    try:
        log = SessionLog(tcp_server.client(), durability="fsync")
    except errors.UnsupportedServerError:
        log = SessionLog(tcp_server.client(), durability="memory")
    for number in range(3):
        tcp_server.client().script_flush()
        log.append("s", note(number))
    assert numbers(log) == [0, 1, 2]


def test_a_server_restart_in_mid_run_neither_loses_nor_doubles_an_event(tcp_server: Server) -> None:
    log, halfway, appended = SessionLog(tcp_server.client()), Signal(), list[int]()

    def write() -> None:
        for number in range(400):
            log.append("s", note(number))
            appended.append(number)
            if number in (100, 250):
                halfway.set()

    writer = Thread(target=write)
    writer.start()
    for _ in range(2):
        assert halfway.wait(timeout=30)
        halfway.clear()
        tcp_server.restart()
    writer.join(timeout=60)
    assert appended == numbers(log) == list(range(400))
    assert log.verify("s").ok


def test_a_conversation_over_a_network_that_loses_replies_is_stored_once(tcp_server: Server, proxy: FaultProxy) -> None:
    manager = ValkeySessionManager("s", url=proxy.url)
    script: Any = [f"Answer {number}." for number in range(5)]
    agent = Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None)
    for number in range(5):
        proxy.swallow_replies(1, of=b"EVALSHA")
        agent(f"Question {number}?")
    resumed = ValkeySessionManager("s", url=tcp_server.url).list_messages("s", "default")
    assert [record.message for record in resumed] == agent.messages
    assert [record.message_id for record in resumed] == list(range(10))


def test_a_server_that_stays_away_is_reported_as_an_unknown_outcome(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(), retry_for=0.3)
    log.append("s", note(0))
    tcp_server.kill()
    with pytest.raises(errors.UnknownOutcomeError):
        log.append("s", note(1))
    with pytest.raises(errors.ServerUnavailableError):
        list(log.read("s"))


def test_a_client_of_the_users_own_with_a_wrong_password_is_not_retried(tcp_server: Server) -> None:
    tcp_server.execute("CONFIG", "SET", "requirepass", "secret")
    try:
        with pytest.raises(errors.SessionLogError, match=r"(?i)auth"):
            SessionLog(valkey.Valkey(port=tcp_server.port), retry_for=60)
    finally:
        valkey.Valkey(port=tcp_server.port, password="secret").config_set("requirepass", "")


def test_a_refusal_after_a_lost_reply_leaves_the_outcome_open_and_repeating_settles_it(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    tcp_server.execute("ACL", "SETUSER", "writer", "on", "nopass", "~*", "+@all")
    log = SessionLog(valkey.Valkey(port=proxy.port, username="writer", password="x"))
    log.append("s", note(0))
    event = note(1)
    proxy.hold_replies()
    outcome: list[BaseException] = []

    def write() -> None:
        try:
            log.append("s", event)
        except errors.SessionLogError as error:
            outcome.append(error)

    writer = Thread(target=write)
    writer.start()
    proxy.wait_until_held()
    tcp_server.execute("ACL", "SETUSER", "writer", "-evalsha", "-eval")
    proxy.cut()
    proxy.release_replies()
    writer.join(timeout=30)
    assert [type(error) for error in outcome] == [errors.UnknownOutcomeError]
    tcp_server.execute("ACL", "SETUSER", "writer", "+@all")
    assert log.state("s").revision == 2
    log.append("s", event)
    assert numbers(log) == [0, 1]


def test_an_interrupt_in_the_middle_of_an_append_is_settled_by_repeating_it(
    tcp_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(tcp_server.client())
    log.append("s", note(0))
    execute, event = log.client.execute_command, note(1)

    def interrupted(*command: Any, **options: Any) -> Any:
        execute(*command, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(log.client, "execute_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append("s", event)
    log.state("s")
    log.append("s", event)
    assert numbers(log) == [0, 1]
