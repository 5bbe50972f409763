"""A namespace whose layout was lost or changed while processes went on, and sessions that the server lost."""

from __future__ import annotations

from typing import Any

import pytest
from strands import Agent

from strands_session_log import AgentAt, SessionAt, SessionLog, ValkeySessionManager, errors, events
from strands_session_log.keys import config_key
from strands_session_log.session_manager import AgentSessionLostError
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.servers import Server


def note() -> events.Event:
    return events.Custom("custom.note", {})


def config(log: SessionLog) -> dict[Any, Any]:
    return log.client.execute_command("HGETALL", config_key(log.namespace))  # type: ignore[no-any-return]


def test_a_process_that_goes_on_after_the_server_lost_everything_writes_the_layout_again(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(), partitions=8)
    log.append("s", note())
    tcp_server.execute("FLUSHALL")
    log.append("s", note())
    assert config(log) == {b"format": b"2", b"partitions": b"8"}
    assert [one.id.revision for one in SessionLog(tcp_server.client()).read("s")] == [1]


def test_a_layout_that_another_process_wrote_meanwhile_is_not_written_over(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client(), partitions=8)
    log.append("s", note())
    tcp_server.execute("FLUSHALL")
    SessionLog(tcp_server.client(), partitions=4)
    assert log.append("s", note()).revision == 1  # it is written, and the writer hears so
    with pytest.raises(errors.NamespaceMismatchError, match="has partitions=4, not 8"):
        log.append("s", note())
    with pytest.raises(errors.NamespaceMismatchError, match="has partitions=4, not 8"):
        log.append("s", note(), once=True)


@pytest.mark.parametrize("changed", [1, 5, 8, 1024])
def test_a_changed_partition_count_is_refused_with_the_command_that_puts_it_right(
    tcp_server: Server, changed: int
) -> None:
    log = SessionLog(tcp_server.client())
    for number in range(64):
        log.append(f"s{number}", note())
    tcp_server.execute("HSET", config_key("strands"), "partitions", changed)
    with pytest.raises(errors.ConfigChangedError, match="HSET strands:config partitions 16") as refused:
        SessionLog(tcp_server.client())
    assert (refused.value.expected, refused.value.actual) == (changed, 16)
    tcp_server.execute("HSET", config_key("strands"), "partitions", 16)
    assert len(SessionLog(tcp_server.client()).sessions(limit=100)) == 64


@pytest.mark.parametrize("partitions", [3, 8, 16])
def test_a_config_that_was_lost_is_written_again_as_it_was(tcp_server: Server, partitions: int) -> None:
    log = SessionLog(tcp_server.client(), partitions=partitions)
    for number in range(64):
        log.append(f"s{number}", note())
    tcp_server.execute("DEL", config_key("strands"))
    if partitions == 3:
        with pytest.raises(errors.NamespaceMismatchError, match="has partitions=3, not 16"):
            SessionLog(tcp_server.client(), partitions=16)
    again = SessionLog(tcp_server.client())
    assert len(again.sessions(limit=100)) == 64
    assert config(again)[b"partitions"] == b"%d" % partitions


def test_no_append_but_the_first_of_a_partition_asks_for_the_layout(tcp_server: Server, proxy: FaultProxy) -> None:
    log = SessionLog.connect(proxy.url, partitions=1, snapshots=None)
    log.append("s", note())
    before = proxy.round_trips
    for _ in range(10):
        log.append("s", note())
    assert proxy.round_trips - before == 10


def test_an_agent_whose_session_the_server_lost_is_told_that(tcp_server: Server) -> None:
    log = SessionLog(tcp_server.client())
    manager = ValkeySessionManager("s", log=log)
    agent = Agent(model=ScriptedModel(["One.", "Two."]), session_manager=manager, callback_handler=None)
    agent("Hello!")
    tcp_server.execute("FLUSHALL")
    with pytest.raises(Exception, match="is not on the server any more") as lost:
        agent("Again!")
    found: BaseException | None = lost.value
    while found is not None and not isinstance(found, AgentSessionLostError):
        found = found.__cause__ or found.__context__
    assert isinstance(found, errors.ConcurrentWriteError)
    assert "0-0" not in str(found)


def test_a_writer_that_expects_a_session_is_told_that_there_is_none(session_log: SessionLog) -> None:
    for expected in (SessionAt(3), AgentAt("default", 3), AgentAt("default", next_message=3)):
        with pytest.raises(errors.SessionLostError, match="'nobody' is not on the server any more"):
            session_log.append("nobody", note(), expected=expected)
