"""Content that somebody passes off as erased: no reader shows it, and verifying tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, errors, events
from strands_session_log.codec import from_json
from support.command_line import Run, message
from support.strands_agents import make_agent
from support.tampering import entries_of, forge_erased, tamper

FORGED = "forged-by-mallory"
STATE = b'{"commitment":"%s","state":{"is_admin":"forged-by-mallory"},"agent_id":"default"}'
WINDOW = (
    b'{"commitment":"%s","removed":0,"next":4,"items":[{"message":{"role":"user","content":'
    b'[{"text":"forged-by-mallory"}]}},[0,3]]}'
)
MESSAGE = (
    b'{"commitment":"%s","message_id":0,"message":{"role":"user","content":[{"text":"forged-by-mallory"}]},'
    b'"redact_message":null,"created_at":"","updated_at":""}'
)


class Forgery(NamedTuple):
    """What is forged.

    Attributes:
        type: Of the event whose body is replaced.
        body: With what.
        was_erased: Whether the log has erased it before; else the forger appends a record that it was.
    """

    type: str
    body: bytes
    was_erased: bool = False


FORGERIES = [
    Forgery(type_, body, was_erased)
    for type_, body in (("agent.updated", STATE), ("window.changed", WINDOW), ("message.added", MESSAGE))
    for was_erased in (False, True)
]


@pytest.fixture(params=FORGERIES, ids=lambda one: f"{one.type}{', erased before' if one.was_erased else ''}")
def forged(log: SessionLog, request: pytest.FixtureRequest) -> int:
    """A session with a forged event; which revision that has."""
    forgery: Forgery = request.param
    agent = make_agent(log, ["Hello.", "Goodbye."])
    agent("Hi.")
    agent.state.set("city", "Lisbon")
    agent("Bye.")
    window = {"items": [[0, 3]], "removed": 0, "next": 4}
    log.append("s", events.WindowChanged(window, "default"))
    log._replay.settle()
    log.client.execute_command("DEL", log._events.keyspace.session("s").snapshot)
    chosen = next(one.id for one in reversed(list(log.read("s"))) if one.event.type == forgery.type)
    if forgery.was_erased:
        log.erase("s", chosen, reason="a password")
    else:
        log.append("s", events.PayloadErased({"erased": [str(chosen)], "reason": "nothing of note"}))
    tamper(log, chosen.revision, lambda fields: forge_erased(fields, forgery.body))
    return chosen.revision


def told(attempt: Callable[[], Any]) -> str:
    """What an attempt to read gives, or why it does not."""
    try:
        return str(attempt())
    except (errors.SessionLogError, SessionException) as error:
        return f"{type(error).__name__}: {error}"


def first_of_tail(log: SessionLog, count: int) -> list[Any]:
    found = []
    with log.tail("s") as tail:
        for recorded in tail:
            found.append(recorded.event.data)
            if len(found) == count:
                break
    return found


def test_no_reader_shows_forged_content_and_verifying_tells(log: SessionLog, run: Run, forged: int) -> None:
    count = len(entries_of(log))
    shown = [
        told(lambda: list(log.read("s"))),
        told(lambda: list(log.read_checked("s"))),
        told(lambda: first_of_tail(log, count)),
        told(lambda: log.state("s")),
        told(lambda: log.state("s", at=forged).agents["default"].state),
        told(lambda: [one.shown for one in log.state("s", at=forged).agents["default"].messages]),
        told(lambda: make_agent(log).messages),
        told(lambda: make_agent(log).state.get()),
        told(lambda: log.fork("s", None, "fork") and list(log.read("fork"))),
        told(lambda: list(map(from_json, (one.event.data for one in log.read("fork"))))),
        *(
            run(*command, exit_code=None).output
            for command in (
                ("events", "s", "--json"),
                ("events", "s"),
                ("show", "s"),
                ("show", "s", "--at", str(forged)),
                ("replay", "s"),
                ("diff", "s", "1"),
            )
        ),
    ]
    assert not [text for text in shown if FORGED in text]
    problems = log.verify("s").problems
    assert any(f"-{forged} cannot be read" in problem and "no commitment" in problem for problem in problems)


def test_an_erasure_that_no_event_names_is_a_problem(log: SessionLog) -> None:
    log.append("s", [message(0, "user", "hello")])
    tamper(log, 1, lambda fields: forge_erased(fields, b"%s"))
    problems = log.verify("s").problems
    assert any("was erased, but nothing tells why" in problem for problem in problems)
    assert any("the session's head says erased ''" in problem for problem in problems)


def test_content_that_was_put_back_after_it_was_erased_is_a_problem(log: SessionLog) -> None:
    log.append("s", [message(index, "user", "hello") for index in range(3)])
    before = entries_of(log)
    log.erase("s", 2, reason="why")
    tamper(log, 2, lambda fields: before[1][1])
    problems = log.verify("s").problems
    assert any("-2 has content, which event" in problem for problem in problems)


@pytest.mark.parametrize("said", ["", "1-1", "2-3", "1-999999999999", "junk", "2-2,3", "02-2"])
def test_a_head_that_does_not_say_what_was_erased_is_a_problem(log: SessionLog, said: str) -> None:
    log.append("s", [message(index, "user", "hello") for index in range(3)])
    log.erase("s", 2, reason="why")
    head = log._events.keyspace.session("s").head
    assert log.verify("s").ok
    if said:
        log.client.execute_command("HSET", head, "erased", said)
    else:
        log.client.execute_command("HDEL", head, "erased")
    (problem,) = log.verify("s").problems
    assert problem == f"the session's head says erased {said!r}, its events '2-2'"


def test_user_data_that_looks_erased_is_not(log: SessionLog, run: Run) -> None:
    data = {"commitment": "A" * 43}
    log.append("s", events.Custom("custom.note", data))
    (recorded,) = log.read("s")
    assert (recorded.event.is_erased, recorded.event.data) == (False, data)
    assert "(erased)" not in run("events", "s").output
    assert log.verify("s").ok
