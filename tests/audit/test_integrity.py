"""Whether what people and agents read is what was written: they are told, or refused."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, SnapshotSettings, ValkeySessionManager, errors, events, instrumentation
from strands_session_log.instrumentation import Detail, IntegrityChecked, instrument_with_prometheus
from support.command_line import Run, message
from support.strands_agents import make_agent
from support.tampering import entries_of, put, tamper

SMALL = SnapshotSettings(threshold=4, segment=4, points=4, spacing=4)
COMMANDS = ("show", "events", "replay", "diff")


@pytest.fixture
def told() -> Iterator[list[Detail]]:
    found: list[Detail] = []
    instrumentation.set_hooks([found.append])
    yield found
    instrumentation.set_hooks([])


def conversation(log: SessionLog, session_id: str = "s") -> None:
    log.append(session_id, events.SessionCreated({"session_id": session_id, "session_type": "AGENT"}))
    log.append(session_id, events.AgentCreated({"agent_id": "default", "state": {}}, "default"))
    for index in range(6):
        log.append(session_id, message(index, "assistant" if index % 2 else "user", f"said {index}"))


def talk(log: SessionLog) -> int:
    """A real agent's session; the revision of the first thing that was said."""
    agent = make_agent(log, ["said back", "said again", "said for good"])
    for number in range(3):
        agent(f"said {number}")
    log._replay.settle()
    return next(one.id.revision for one in log.read("s", types="message.added"))


def change(log: SessionLog, revision: int) -> None:
    """Other words in somebody's mouth."""

    def reworded(fields: dict[str, bytes]) -> dict[str, bytes]:
        assert b"said" in fields["body"]
        return {**fields, "body": fields["body"].replace(b"said", b"sang")}

    tamper(log, revision, reworded)


def without_snapshot(log: SessionLog) -> None:
    log._replay.settle()
    log.client.execute_command("DEL", log._events.keyspace.session("s").snapshot)


def said(run: Run, command: str, *options: str, since: str = "3") -> tuple[str, str]:
    """What a command says of it in JSON, in its last line, and in text."""
    points = (since,) if command == "diff" else ()
    as_json = json.loads(run(command, "s", *points, *options, "--json").stdout.splitlines()[-1])["integrity"]
    return as_json, run(command, "s", *points, *options).output


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_shown_is_told_to_be_intact(log: SessionLog, run: Run, command: str) -> None:
    conversation(log)
    as_json, shown = said(run, command)
    assert as_json == "intact"
    assert "intact" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_shown_is_told_to_be_broken_and_where(log: SessionLog, run: Run, command: str) -> None:
    conversation(log)
    change(log, 5)
    as_json, shown = said(run, command)
    assert as_json == "broken at 5"
    assert re.search(r"(broken|not what was written) at 5: event", " ".join(shown.split()))
    assert "its link differs" in " ".join(shown.split())


@pytest.mark.parametrize("command", ["show", "diff"])
def test_what_came_from_a_snapshot_is_told_not_to_be_checked(
    log: SessionLog, server_url: str, namespace: str, run: Run, command: str
) -> None:
    with SessionLog.connect(server_url, namespace, snapshots=SMALL) as small:
        conversation(small)
        small._replay.settle()
    as_json, shown = said(run, command, since="8")
    assert as_json == "not checked"
    assert "not checked" in shown


def test_each_line_of_events_tells_of_those_up_to_it(log: SessionLog, run: Run) -> None:
    conversation(log)
    change(log, 5)
    lines = [json.loads(line)["integrity"] for line in run("events", "s", "--json").stdout.splitlines()]
    assert lines == 4 * ["intact"] + 4 * ["broken at 5"]
    assert "broken at 5" in run("events", "s", "--json").stderr
    later = [json.loads(line)["integrity"] for line in run("events", "s", "--after", "5", "--json").stdout.splitlines()]
    assert later == 3 * ["intact"]
    assert "intact" in run("events", "s", "--limit", "2").stderr


def test_an_erasure_that_nothing_tells_of_is_told_once_all_was_read(log: SessionLog, run: Run) -> None:
    conversation(log)
    log.erase("s", 4, reason="why")
    for command in COMMANDS:
        assert said(run, command)[0] == "intact"
    put(log, log._events.keyspace.session("s").events, entries_of(log)[:-1])
    without_snapshot(log)
    assert log.state("s").integrity.broken_at == entries_id(log, 4)
    assert str(log.state("s", at=6).integrity) == "intact"


def entries_id(log: SessionLog, revision: int) -> Any:
    return log._events.locate("s", revision)


def test_forks_are_intact_wherever_they_are_read_from(log: SessionLog, run: Run) -> None:
    conversation(log)
    log.fork("s", 4, "f")
    log.fork("f", None, "g")
    for name in ("f", "g"):
        assert str(log.state(name).integrity) == "intact"
        assert str(log.state(name, at=3).integrity) == "intact"
        checked = log.read_checked(name, after=2)
        assert [one.id.revision for one in checked] == list(range(3, log.anchor(name).revision + 1))
        assert str(checked.integrity) == "intact"


def test_another_sessions_events_are_not_taken_for_intact(log: SessionLog) -> None:
    conversation(log)
    conversation(log, "x")
    put(log, log._events.keyspace.session("s").events, entries_of(log, "x"))
    assert log.state("s").integrity.is_broken
    log.client.execute_command("HSET", log._events.keyspace.session("s").head, "root", "x")
    without_snapshot(log)
    assert log.state("s").integrity.problem == "the events are those of session 'x'"


def test_a_batch_that_a_point_cuts_in_two_is_intact_from_there(log: SessionLog) -> None:
    log.append("s", [message(index, "user", "hello") for index in range(10)])
    for after in range(10):
        checked = log.read_checked("s", after=after)
        assert len(list(checked)) == 10 - after
        assert str(checked.integrity) == "intact"


def test_resuming_tells_hooks_and_the_log_what_it_met(
    log: SessionLog, told: list[Detail], caplog: pytest.LogCaptureFixture
) -> None:
    first, registry = talk(log), CollectorRegistry()
    without_snapshot(log)
    told.clear()
    instrument_with_prometheus(registry)
    caplog.set_level(logging.INFO)
    make_agent(log)
    assert [one for one in told if isinstance(one, IntegrityChecked)] == [IntegrityChecked("intact")]
    without_snapshot(log)
    change(log, first)
    make_agent(log)
    assert IntegrityChecked("broken") in told
    assert any("it is not what was written" in record.message for record in caplog.records)
    name = "strands_session_log_resume_integrity_total"
    assert [registry.get_sample_value(name, {"result": result}) for result in ("intact", "broken")] == [1.0, 1.0]


def test_resuming_from_a_snapshot_tells_that_nobody_checked(
    server_url: str, namespace: str, told: list[Detail]
) -> None:
    with SessionLog.connect(server_url, namespace, snapshots=SMALL) as small:
        talk(small)
        told.clear()
        make_agent(small)
    assert [one for one in told if isinstance(one, IntegrityChecked)] == [IntegrityChecked("unchecked")]


@pytest.mark.parametrize("how", ["manager", "log"])
def test_who_verifies_on_resuming_is_refused(server_url: str, namespace: str, how: str) -> None:
    options: Any = {"verify_on_resume": True}
    with SessionLog.connect(server_url, namespace, snapshots=SMALL, **(options if how == "log" else {})) as strict:
        manager = options if how == "manager" else {}
        first = talk(strict)
        assert len(make_agent(strict, manager=manager).messages) == 6
        change(strict, first)
        with pytest.raises(SessionException, match=rf"'s' is not what was written: event .*-{first} .*differs") as info:
            make_agent(strict, manager=manager)
        assert isinstance(info.value, errors.SessionBrokenError)
        assert (info.value.session_id, info.value.at) == ("s", strict._events.locate("s", first))
        tamper(strict, first, lambda fields: {**fields, "body": b"\xff"})
        with pytest.raises(errors.SessionBrokenError, match="cannot be read"):
            make_agent(strict, manager=manager)
        if how == "log":
            assert make_agent(strict, manager={"verify_on_resume": False}).messages


def test_a_manager_of_its_own_verifies_when_told_to(server_url: str, namespace: str, log: SessionLog) -> None:
    conversation(log)
    change(log, 5)
    without_snapshot(log)
    with pytest.raises(errors.SessionBrokenError):
        ValkeySessionManager("s", client=log.client, namespace=namespace, verify_on_resume=True)
    assert ValkeySessionManager("s", client=log.client, namespace=namespace)


def test_checking_while_reading_holds_a_page_at_a_time(log: SessionLog) -> None:
    for _ in range(30):
        log.append("s", [events.Custom("custom.note", {"text": "x" * 100}) for _ in range(100)])
    checked = log.read_checked("s")
    assert sum(1 for _ in checked) == 3000
    assert str(checked.integrity) == "intact"
