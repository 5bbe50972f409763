"""`session-log erase`: what it says before and after, what it takes along, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.testing.model import ScriptedModel
from support.command_line import Run, message
from support.terminal import Terminal, words_in

SECRET = "correct horse battery staple"


@tool
def remember(text: str) -> str:
    """Keep something."""
    return f"kept: {text}"


def told(run: Run, *arguments: str) -> Any:
    return json.loads(run("erase", *arguments, "--json").stdout)


def test_what_events_hold_is_erased_and_their_ids_stay(talk: SessionLog, run: Run) -> None:
    shown = run("erase", "s-42", "3", "6", "--reason", "asked to", "--by", "ada", "--yes").stdout

    assert "✓ s-42  content of 3, 6 erased, recorded by event 7" in shown
    assert "Ids stay, and the chain still verifies: session-log verify s-42" in shown
    assert [one.id.revision for one in talk.read("s-42") if one.event.is_erased] == [3, 6]
    assert talk.event("s-42", 7).event.data.items() >= {"reason": "asked to", "by": "ada"}.items()
    assert talk.verify("s-42").ok


def test_events_are_named_as_other_commands_print_them(talk: SessionLog, run: Run) -> None:
    (hit,) = run("grep", "jacket").stdout.splitlines()
    (line,) = [line for line in run("events", "s-42").stdout.splitlines() if "forecast" in line]

    run("erase", "s-42", hit.split()[1], line.split()[0], "--yes")

    assert [one.id.revision for one in talk.read("s-42") if one.event.is_erased] == [4, 6]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("s-42", "99"), 2, "no revision 99"),
        (("s-42", "4", "99"), 2, "no revision 99"),
        (("s-42", "banana"), 2, "ID 'banana' is no event"),
        (("s-42", "2026-01-31"), 2, "ID '2026-01-31' is no event"),
        (("s-42",), 2, "ID"),
        (("s-43", "4"), 3, "'s-43'"),
    ],
)
def test_what_is_no_event_is_named_and_nothing_is_erased(
    talk: SessionLog, run: Run, arguments: tuple[str, ...], code: int, named: str
) -> None:
    assert named in run("erase", *arguments, "--yes", exit_code=code).stderr
    assert talk.head("s-42").revision == 6


def test_without_anybody_to_ask_nothing_is_erased(talk: SessionLog, run: Run) -> None:
    assert "--yes" in run("erase", "s-42", "4", exit_code=2).stderr
    assert talk.head("s-42").revision == 6


def test_a_dry_run_names_copies_and_forks_and_writes_nothing(log: SessionLog, run: Run) -> None:
    agent = Agent(
        model=ScriptedModel(["Noted."]), session_manager=ValkeySessionManager("s-42", log=log), callback_handler=None
    )
    agent(SECRET)
    said = next(one.id for one in log.read("s-42", types="message.added"))
    items = [{"message": {"role": "user", "content": [{"text": SECRET}]}}]
    held = log.append("s-42", events.WindowChanged({"items": items, "removed": 0, "next": 2}, "default"))
    log.fork("s-42", None, "fork")
    before = [log.head(name) for name in ("s-42", "fork")]

    found = told(run, "s-42", str(said), "--dry-run")

    assert found == {
        "session_id": "s-42",
        "id": None,
        "named": [str(said)],
        "erased": {"s-42": [str(said), str(held)], "fork": [str(said), str(held)]},
        "moved": ["default"],
        "kept": {},
        "held": {},
        "dry_run": True,
    }
    shown = run("erase", "s-42", str(said), "--dry-run")
    assert "The same stands in 1 event more" in shown.stdout
    assert f"Also in its fork fork: {said.revision}, {held.revision}." in shown.stdout
    assert "What default resumes with is written anew" in shown.stdout
    assert "a dry run" in shown.stderr
    assert [log.head(name) for name in ("s-42", "fork")] == before


def test_what_is_planned_is_what_is_erased(log: SessionLog, run: Run) -> None:
    call = {"toolUse": {"toolUseId": "1", "name": "remember", "input": {"text": SECRET}}}
    manager = ValkeySessionManager("s-42", log=log)
    agent = Agent(
        model=ScriptedModel([[call], "Done."]), tools=[remember], session_manager=manager, callback_handler=None
    )
    agent("Keep it.")
    log.fork("s-42", None, "fork")
    log.fork("fork", None, "further")
    ids = [str(one.id) for one in log.read("s-42") if SECRET in str(one.event.data)]

    plan = told(run, "s-42", *ids, "--yes")

    assert set(plan["erased"]) == {"s-42", "fork", "further"}
    for name, planned in plan["erased"].items():
        assert [str(one.id) for one in log.read(name) if one.event.is_erased] == planned
    assert run("grep", SECRET, exit_code=1).stdout == ""


def test_in_a_fork_it_is_told_where_the_same_stays(talk: SessionLog, run: Run) -> None:
    talk.fork("s-42", None, "fork")
    talk.fork("fork", None, "further")

    assert set(told(run, "further", "3", "--dry-run")["kept"]) == {"s-42", "fork"}
    assert "It stays in s-42" in run("erase", "further", "3", "--dry-run").stdout
    assert "session-log erase s-42 3" in run("erase", "further", "3", "--dry-run").stdout
    run("erase", "s-42", "3", "--yes")
    assert told(run, "further", "3", "--dry-run")["kept"] == {}


def test_what_was_erased_before_is_told_and_is_no_error(talk: SessionLog, run: Run) -> None:
    run("erase", "s-42", "3", "--yes")

    assert "all of it was erased before" in run("erase", "s-42", "3", "--yes").stderr
    assert told(run, "s-42", "3", "--yes")["id"] is None
    shown = run("erase", "s-42", "3", "4", "--dry-run").stdout
    assert "the content of 1 event goes" in shown
    assert "That of 3 was erased before." in shown


@pytest.mark.parametrize("width", [80, 160])
def test_on_a_terminal_it_shows_what_goes_and_asks(
    talk: SessionLog, terminal: Callable[..., Terminal], width: int
) -> None:
    asking = terminal("erase", "s-42", "3", "--reason", "asked to", width=width)
    shown = words_in(asking.until("Erase for good what 1 event hold? [y/N]"))
    asking.type("n\n")

    assert "user: What should I pack?" in shown
    assert max(map(len, shown.splitlines())) <= width
    assert "nothing was erased" in asking.to_the_end()
    assert asking.process.wait() == 1
    assert talk.head("s-42").revision == 6

    asking = terminal("erase", "s-42", "3", "4", width=width)
    asking.until("Erase for good what 2 events hold? [y/N]")
    asking.type("y\n")
    assert "content of 3, 4 erased, recorded by event 7" in asking.to_the_end()
    assert asking.process.wait() == 0


def test_who_wants_json_is_shown_what_goes_as_well_before_being_asked(
    talk: SessionLog, terminal: Callable[..., Terminal]
) -> None:
    asking = terminal("erase", "s-42", "3", "--json")
    shown = words_in(asking.until("[y/N]"))
    asking.type("y\n")

    assert "user: What should I pack?" in shown
    assert f'"named":["{talk.resolve("s-42", 3)}"]' in asking.to_the_end()


def test_what_is_about_a_person_is_found_and_erased_in_all_sessions(
    log: SessionLog, environment: Mapping[str, str], run: Run, tmp_path: Any
) -> None:
    """As `docs/security.md` says, without jq."""
    for name in ("s-1", "it's", "fork of s-1"):
        if name.startswith("fork"):
            log.fork("s-1", None, name)
        else:
            log.append(name, [message(0, "user", "I am Jane Doe"), message(1, "assistant", "Hello!")])
    log.append("s-1", events.Custom("custom.note", {"of": "Jane Doe"}))

    hits = [json.loads(line) for line in run("grep", "Jane Doe", "--json").stdout.splitlines()]
    for name in {hit["session_id"] for hit in hits}:
        run("erase", name, *[hit["id"] for hit in hits if hit["session_id"] == name], "--yes", "--reason", "4711")

    assert "nothing found in 3 sessions" in run("grep", "Jane Doe", exit_code=1).stderr
    assert len([one for one in log.read("s-1") if one.event.is_erased]) == 2
    assert all(log.verify(name).ok for name in ("s-1", "it's", "fork of s-1"))
