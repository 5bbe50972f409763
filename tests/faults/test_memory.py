"""A server that has no memory left says so, and nothing is half written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from strands import Agent
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, errors, events
from strands_session_log.testing.model import ScriptedModel
from support import ValkeyliteServer
from support.servers import Server

pytestmark = pytest.mark.faults


@pytest.fixture
def server() -> Iterator[Server]:
    with ValkeyliteServer(maxmemory_policy="noeviction") as server:
        yield server


def fill(server: Server) -> None:
    server.execute("SET", "ballast", "x" * 4_000_000)
    server.execute("CONFIG", "SET", "maxmemory", "1mb")


def empty(server: Server) -> None:
    server.execute("DEL", "ballast")
    server.execute("CONFIG", "SET", "maxmemory", "0")


def test_a_batch_that_does_not_fit_is_absent_as_a_whole(server: Server) -> None:
    log = SessionLog(server.client(), retry_for=0.2)
    log.append("s", events.Custom("custom.note", {}))
    keys = set(server.client().keys())
    fill(server)
    with pytest.raises(errors.OutOfMemoryError, match="maxmemory") as refusal:
        log.append("s", [events.Custom("custom.note", {"number": number}) for number in range(3)])
    assert "raise `maxmemory`" in refusal.value.cure
    assert [one.id.revision for one in log.read("s")] == [1]
    assert set(server.client().keys()) == {*keys, b"ballast"}
    assert log.verify("s").ok


def test_the_session_goes_on_once_memory_is_back_and_nothing_is_missing(server: Server) -> None:
    manager = ValkeySessionManager("s", log=SessionLog(server.client(), retry_for=0.2))
    agent = Agent(model=ScriptedModel(["One.", "Two."]), session_manager=manager, callback_handler=None)
    fill(server)
    with pytest.raises(Exception, match="maxmemory") as refusal:
        agent("First")
    assert isinstance(refusal.value, SessionException) or isinstance(refusal.value.__cause__, SessionException)
    empty(server)
    agent("Second")
    stored = ValkeySessionManager("s", client=server.client()).list_messages("s", "default")
    assert [record.message for record in stored] == agent.messages


def test_reading_needs_no_memory(server: Server) -> None:
    log = SessionLog(server.client())
    log.append("s", events.Custom("custom.note", {}))
    fill(server)
    assert log.state("s").revision == 1
    assert log.sessions()[0].session_id == "s"
    assert log.delete("s") == 1


def test_a_server_that_evicts_sessions_is_refused_unless_that_is_allowed(server: Server) -> None:
    server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(errors.EvictionPolicyError, match="noeviction"):
        SessionLog(server.client())
    SessionLog(server.client(), allow_eviction=True).append("s", events.Custom("custom.note", {}))
