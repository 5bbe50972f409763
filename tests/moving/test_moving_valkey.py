"""Sessions of strands-valkey-session-manager move in, from plain strings and from a JSON module."""

from __future__ import annotations

from typing import Any

import pytest

from strands_session_log import SessionLog
from strands_session_log.moving import SourceUnavailableError, ValkeySessions, open_source
from support.cluster import Cluster
from support.moving_agents import agent_on, assert_same, log_agent, move_in, moved
from support.old_manager import OldSessionManager, WithJsonModule
from support.servers import Server
from support.strands_agents import add, call, happened


def old_agent(server: Server, script: Any = ("Hello.",), session: str = "s", **options: Any) -> Any:
    return agent_on(OldSessionManager(session, server.client()), script, **options)


def add_up(server: Server, session: str = "s") -> Any:
    agent = old_agent(server, [[call("add", a=1, b=2)], "3."], session, tools=[add], state={"luggage": "hånd"})
    agent([{"text": "Add."}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00"}}}])
    return agent


@pytest.mark.parametrize("decode", [False, True])
def test_an_agent_goes_on_with_what_the_old_manager_had(
    tcp_server: Server, session_log: SessionLog, decode: bool
) -> None:
    agent = add_up(tcp_server)

    imported = moved(ValkeySessions(tcp_server.client(decode_responses=decode)), session_log)

    assert imported.messages == 4
    resumed = log_agent(session_log, tools=[add])
    assert_same(resumed, old_agent(tcp_server))
    assert resumed.messages == agent.messages
    resumed("And now?")
    assert len(log_agent(session_log).messages) == 6


def test_the_first_turn_tells_no_window(tcp_server: Server, session_log: SessionLog) -> None:
    add_up(tcp_server)

    moved(ValkeySessions(tcp_server.client()), session_log)

    resumed = log_agent(session_log, tools=[add])
    resumed("And now?")
    assert happened(session_log, types="window.changed") == []


def test_documents_of_a_json_module_are_read_with_its_command(tcp_server: Server, session_log: SessionLog) -> None:
    """There is no JSON module here: a stub stands between the importer and the server, and answers as one would."""
    agent = add_up(tcp_server)
    client = WithJsonModule(tcp_server.client())

    moved(ValkeySessions(client), session_log)

    assert set(client.commands) == {"TYPE", "JSON.GET"}
    assert log_agent(session_log, tools=[add]).messages == agent.messages


def test_keys_are_found_with_scan_and_nothing_is_written_there(tcp_server: Server, session_log: SessionLog) -> None:
    for number in range(30):
        add_up(tcp_server, f"s-{number}")
    before = tcp_server.execute("DBSIZE")
    tcp_server.execute("CONFIG", "RESETSTAT")

    outcomes = move_in(ValkeySessions(tcp_server.client()), session_log)

    called = {name.removeprefix("cmdstat_") for name in tcp_server.client().info("commandstats")}
    assert len(outcomes) == 30
    assert "scan" in called
    assert not called & {"keys", "set", "del"}
    assert tcp_server.execute("DBSIZE") == before


def test_keys_of_other_programs_under_the_same_prefix_are_passed_over(
    tcp_server: Server, session_log: SessionLog
) -> None:
    add_up(tcp_server)
    client = tcp_server.client()
    client.set("session:3f1c", b"\x80\x04pickled")
    client.set("session:web", '{"cart": []}')
    client.hset("session:config", "format", "1")
    client.set(b"session:\xff", b"")
    client.set("session:a:b:c:d", "x")

    assert [one.session_id for one in move_in(ValkeySessions(client), session_log)] == ["s"]


def test_a_damaged_value_is_named_by_its_key_and_the_session_is_not_begun(
    tcp_server: Server, session_log: SessionLog
) -> None:
    add_up(tcp_server, "fine")
    add_up(tcp_server, "torn")
    tcp_server.client().set("session:torn:agent:default:message:2", '{"message": {"role"')

    fine, torn = move_in(ValkeySessions(tcp_server.client()), session_log)

    assert (fine.outcome, torn.outcome) == ("imported", "failed")
    assert torn.problem.startswith("session:torn:agent:default:message:2: not valid JSON")
    assert [info.session_id for info in session_log.sessions()] == ["fine"]


def test_messages_of_an_agent_without_a_record_are_told_of(tcp_server: Server, session_log: SessionLog) -> None:
    add_up(tcp_server)
    tcp_server.client().delete("session:s:agent:default")

    (outcome,) = move_in(ValkeySessions(tcp_server.client()), session_log)

    assert outcome.problem == "session:s:agent:default: the key is missing, or holds neither JSON nor text"


def test_a_server_that_is_not_there_is_told_as_such() -> None:
    with (
        open_source("valkey-session-manager:valkey://127.0.0.1:1", 0) as source,
        pytest.raises(SourceUnavailableError, match="the server to import from cannot be used"),
    ):
        source.session_ids()


def test_sessions_on_a_cluster_are_collected_from_all_its_nodes(cluster: Cluster, session_log: SessionLog) -> None:
    for number in range(6):
        agent_on(OldSessionManager(f"s-{number}", cluster.client()))("Question?")

    outcomes = move_in(ValkeySessions(cluster.client()), session_log)

    assert [(one.outcome, one.messages) for one in outcomes] == [("imported", 2)] * 6
