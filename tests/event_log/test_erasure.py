"""Erasing while others write, read, erase and delete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from strands import Agent

from strands_session_log import SessionLog, ValkeySessionManager, errors, events
from strands_session_log.event_log import eraser
from strands_session_log.ids import EventId
from strands_session_log.server.routing import connection_to
from strands_session_log.testing.model import ScriptedModel
from support import wait_until
from support.clients import client_of
from support.erasing import SECRET, erased, exists, fill, note, numbers
from support.servers import Server


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short session takes many."""
    monkeypatch.setattr(eraser, "STEP_ENTRIES", 10)


def test_no_key_of_the_server_holds_what_was_erased(tcp_server: Server) -> None:
    tcp_server.execute("CONFIG", "SET", "rdbcompression", "no")
    log = SessionLog(tcp_server.client())
    agent = Agent(model=ScriptedModel(["Noted."]), session_manager=ValkeySessionManager("s", log=log))
    agent(f"My password is {SECRET}.")
    secret = SECRET.encode()
    holders = {key for key in client_of(log).scan_iter() if secret in client_of(log).dump(key)}
    assert holders == {log._events.keyspace.session("s").events.encode()}
    found = [one.id for one in log.read("s") if SECRET in str(one.event.data)]
    log.erase("s", found, "a password")
    assert not [key for key in client_of(log).scan_iter() if secret in client_of(log).dump(key)]
    assert log.verify("s").ok


def test_an_agent_resumes_from_a_session_with_an_erased_message(session_log: SessionLog) -> None:
    agent = Agent(
        model=ScriptedModel(["Noted."]),
        session_manager=ValkeySessionManager("s", log=session_log),
        callback_handler=None,
    )
    agent(f"My password is {SECRET}.")
    (said,) = (one.id for one in session_log.read("s", types="message.added") if SECRET in str(one.event.data))
    session_log.erase("s", said, "a password")
    resumed = Agent(
        model=ScriptedModel(["Yes?"]),
        session_manager=ValkeySessionManager("s", log=session_log),
        callback_handler=None,
    )
    assert [message["content"][0]["text"] for message in resumed.messages] == ["[erased]", "Noted."]
    resumed("Hello?")
    assert len(session_log.state("s").agents["default"].messages) == 4


def test_a_steps_work_is_bounded_and_its_progress_told(session_log: SessionLog) -> None:
    ids = fill(session_log, 1000)
    told: list[tuple[int, int]] = []
    session_log.erase("s", ids[::3], "why", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1001, 1001)
    assert [total for _, total in told[:-1]] == [1000] * (len(told) - 1)
    done = [done for done, _ in told]
    assert done[:3] == [eraser.STEP_ENTRIES * number for number in (1, 2, 3)]
    assert erased(session_log) == [id_.revision for id_ in ids[::3]]


def test_steps_are_bounded_by_bytes_too(session_log: SessionLog) -> None:
    for number in range(12):
        session_log.append("s", note(number, "x" * eraser.STEP_BYTES))
    told = list[int]()
    session_log.erase("s", 5, "why", progress=lambda done, total: told.append(done))
    assert told == list(range(1, 14))
    assert session_log.verify("s").ok


@pytest.mark.parametrize(("writers", "pause"), [(1, 0), (4, 0.002)])
def test_appends_during_an_erasure_are_never_lost(
    session_log: SessionLog, make_client: Callable[..., Any], writers: int, pause: float
) -> None:
    ids = fill(session_log, 4000)
    done, written = Signal(), [list[int]() for _ in range(writers)]

    def hammer(mine: list[int]) -> None:
        log = SessionLog(make_client(), session_log.namespace, allow_eviction=True)
        while not done.is_set():
            with suppress(errors.ContentionError):
                mine.append(log.append("s", note(len(mine))).revision)
            done.wait(pause)

    threads = [Thread(target=hammer, args=(mine,)) for mine in written]
    for thread in threads:
        thread.start()
    wait_until(lambda: any(written), "the writers to begin")
    recorded = session_log.erase("s", ids[:2000], "why")
    done.set()
    for thread in threads:
        thread.join()

    assert recorded is not None
    revisions = [one.id.revision for one in session_log.read("s")]
    assert revisions == list(range(1, len(revisions) + 1))
    assert len(revisions) == 4000 + 1 + sum(map(len, written))
    assert sorted([recorded.revision, *(number for mine in written for number in mine)]) == revisions[4000:]
    assert erased(session_log) == list(range(1, 2001))
    assert session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
def test_an_append_between_any_two_steps_is_kept(session_log: SessionLog) -> None:
    ids = fill(session_log, 100)
    appended = iter(range(100, 105))

    def append(done: int, total: int) -> None:
        for number in appended:
            session_log.append("s", note(number))
            return

    session_log.erase("s", ids[50], "why", progress=append)
    assert numbers(session_log) == [*range(50), *range(51, 105)]
    assert session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
def test_erasers_at_once_take_turns(session_log: SessionLog, make_client: Callable[..., Any]) -> None:
    ids = fill(session_log, 200)

    def erase(first: int) -> None:
        log = SessionLog(make_client(), session_log.namespace, allow_eviction=True)
        log.erase("s", ids[first : first + 60], "why")

    threads = [Thread(target=erase, args=(first,)) for first in (0, 30, 100, 140)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert erased(session_log) == list(range(1, 91)) + list(range(101, 201))
    named = [id_ for one in session_log.read("s", types="payload.erased") for id_ in one.event.data["erased"]]
    assert sorted(map(EventId.parse, named)) == [*ids[:90], *ids[100:]]
    head = session_log._events.keyspace.session("s").head
    assert session_log.client.execute_command("HGET", head, "erased") == b"1-90,101-200"
    assert session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("begins_anew", [False, True])
def test_a_session_deleted_during_its_erasure_stays_deleted(session_log: SessionLog, begins_anew: bool) -> None:
    ids = fill(session_log, 100)

    def delete(done: int, total: int) -> None:
        if numbers(session_log) == list(range(100)):
            session_log.delete("s")
            if begins_anew:
                session_log.append("s", [note(number) for number in range(60)])

    with pytest.raises((errors.SessionNotFoundError, errors.RevisionNotFoundError)):
        session_log.erase("s", ids[50], "why", progress=delete)
    assert numbers(session_log) == (list(range(60)) if begins_anew else [])
    assert not exists(session_log, session_log._events.keyspace.session("s").rewrite)
    assert not begins_anew or session_log.verify("s").ok


@pytest.mark.usefixtures("small_steps")
def test_a_session_replaced_before_the_first_step_is_left_alone(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(session_log, 30)
    look = eraser.Eraser._targets

    def replaced_after_the_look(erasing: eraser.Eraser, *arguments: Any) -> Any:
        found = look(erasing, *arguments)
        if numbers(session_log) == list(range(30)):
            session_log.delete("s")
            session_log.append("s", [note(number) for number in range(60)])
        return found

    monkeypatch.setattr(eraser.Eraser, "_targets", replaced_after_the_look)
    with pytest.raises(errors.RevisionNotFoundError):
        session_log.erase("s", ids[5], "why")
    assert numbers(session_log) == list(range(60))
    assert session_log.verify("s").ok


def test_what_was_tampered_with_can_be_erased_and_still_shows(session_log: SessionLog) -> None:
    ids = fill(session_log, 3)
    key = session_log._events.keyspace.session("s").events
    entries = list(session_log._events.entries("s"))
    session_log.client.execute_command("DEL", key)
    for number, (id_, fields) in enumerate(entries):
        changed = {**fields, b"salt": b"*", b"body": SECRET.encode()} if number == 1 else fields
        session_log.client.execute_command("XADD", key, id_, *(part for pair in changed.items() for part in pair))
    session_log.erase("s", ids[1], "why")
    assert erased(session_log) == [2]
    (problem,) = session_log.verify("s").problems
    assert str(ids[1]) in problem


def test_a_reader_in_the_middle_of_a_session_sees_no_hole(session_log: SessionLog) -> None:
    ids = fill(session_log, 1000)
    reading = session_log.read("s")
    first = [next(reading) for _ in range(10)]
    session_log.erase("s", ids[500:], "why")
    assert [one.id for one in (*first, *reading)][:1000] == ids


def test_a_reader_that_waits_at_the_end_is_told_of_the_erasure_and_goes_on(
    session_log: SessionLog, make_client: Callable[..., Any]
) -> None:
    ids = fill(session_log, 300)
    client, key, seen = make_client(), session_log._events.keyspace.session("s").events, list[bytes]()

    def follow() -> None:
        last: Any = str(ids[-1])
        while len(seen) < 3:
            for _, entries in client.execute_command("XREAD", "BLOCK", 5000, "STREAMS", key, last):
                seen.extend(fields[b"type"] for _, fields in entries)
                last = entries[-1][0]

    follower = Thread(target=follow)
    follower.start()
    wait_until(lambda: is_waited_for(session_log, key), "the reader to wait")
    session_log.erase("s", ids[::2], "why")
    session_log.append("s", note(300))
    session_log.append("s", note(301))
    follower.join(timeout=20)
    assert seen == [b"payload.erased", b"custom.note", b"custom.note"]


def is_waited_for(log: SessionLog, key: str) -> bool:
    with connection_to(log.client, key) as node:
        return bool(node.execute_command("INFO", "clients")["blocked_clients"])


def test_a_state_that_was_folded_before_the_erasure_catches_up_with_it(session_log: SessionLog) -> None:
    message = {"role": "user", "content": [{"text": SECRET}]}
    session_log.append("s", events.AgentCreated({"state": {"kept": True}}, "default"))
    session_log.append("s", events.MessageAdded({"message": message, "message_id": 0}, "default"))
    session_log.append("s", events.AgentUpdated({"state": {"secret": SECRET}}, "default"))
    before = session_log.state("s")
    session_log.erase("s", [2, 3], "why")
    caught_up = session_log._replay.catch_up("s", before)
    assert SECRET in str(before)
    assert SECRET not in str(caught_up)
    assert caught_up == session_log.state("s")
    assert caught_up.agents["default"].state == {"kept": True}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eraser, "_FETCHED_AT_ONCE", 7)


@pytest.mark.usefixtures("small_pages", "small_steps")
def test_any_number_of_events_is_erased_at_once(session_log: SessionLog) -> None:
    ids = fill(session_log, 150)
    session_log.erase("s", reversed(ids), "why")
    assert erased(session_log) == list(range(1, 151))
    assert session_log.verify("s").ok
