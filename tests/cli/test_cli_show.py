"""`session-log show`: what stands above a conversation, how much of it is told, colours, and the pager."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from support.command_line import Run, message
from support.programs import COMMAND_LINE
from support.programs import run as run_program
from support.terminal import Terminal, words_in

USAGE = {"inputTokens": 1_000, "outputTokens": 234, "totalTokens": 1_234}
PAGER = """#!/bin/sh
echo "BEGIN $*"
cat
echo END
"""


def facts(*more: events.Event) -> list[events.Event]:
    """One call of an agent that was answered, and what came then."""
    return [
        events.InvocationStarted({"invocation": "1"}, "default"),
        events.ModelCompleted({"stop_reason": "end_turn", "usage": USAGE}, "default"),
        events.InvocationCompleted({"invocation": "1", "stop_reason": "end_turn", "usage": USAGE}, "default"),
        *more,
    ]


def header(run: Run, *options: str) -> list[str]:
    return run("show", "s-42", *options).stdout.partition("\n\n")[0].splitlines()  # type: ignore[no-any-return]


def test_above_the_conversation_stands_what_became_of_the_session(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", facts(events.SessionAnnotated({"customer": "acme", "tier": 1})))

    first, times, standing, labels = header(run)

    assert first == "s-42  10 events, chain intact"
    assert re.fullmatch(r"started \d{4}-\S+ \S+, took 0\.\d s, last event \d{4}-\S+ \S+ \(\d+ s ago\)", times)
    assert standing == "1 turn, 1,234 tokens, idle"
    assert labels == 'labels  customer="acme", tier=1'


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([events.InvocationStarted({"invocation": "2"}, "default")], r"2 turns, 1,234 tokens, running since \S+ \S+"),
        (
            [events.InvocationFailed({"error": "botocore.ThrottlingError", "error_text": "Slow down"}, "default")],
            r"2 turns, 1,234 tokens, failed since \S+ \S+: botocore\.ThrottlingError: Slow down",
        ),
        (
            [events.InvocationFailed({"error": "CancelledError", "cancelled": True}, "default")],
            r"2 turns, 1,234 tokens, idle",
        ),
        (
            [events.InterruptRaised({"id": "1", "name": "approve", "reason": "Pay 10 €?"}, "default")],
            r"1 turn, 1,234 tokens, waits for an answer since \S+ \S+: approve: Pay 10 €\?",
        ),
        (
            [events.InterruptRaised({"id": "1", "name": "approve", "reason": [Decimal(10), b"x"]}, "default")],
            r'1 turn, 1,234 tokens, waits for an answer since \S+ \S+: approve: \["10", "1 byte"\]',
        ),
        (
            [
                events.InterruptRaised({"id": "1", "name": "approve"}, "default"),
                events.InterruptAnswered({"id": "1", "name": "approve"}, "default"),
                events.InvocationStarted({"invocation": "2"}, "default"),
            ],
            r"2 turns, 1,234 tokens, running since \S+ \S+",
        ),
    ],
)
def test_the_header_says_how_the_session_stands(
    talk: SessionLog, run: Run, more: list[events.Event], told: str
) -> None:
    talk.append("s-42", facts(*more))

    assert re.fullmatch(told, header(run)[2])


def test_an_agent_that_waits_is_told_of_though_no_event_does(talk: SessionLog, run: Run) -> None:
    waits = {"interrupt_state": {"activated": True, "interrupts": {}, "context": {}}}
    talk.append("s-42", events.AgentUpdated({"agent_id": "default", "state": {}, "_internal_state": waits}, "default"))

    assert header(run)[2].startswith("waits for an answer since ")
    assert len(header(run, "--at", "6")) == 2


def test_at_a_point_the_header_is_as_it_was_then(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", facts(events.InvocationFailed({"error": "KeyError"}, "default")))

    assert header(run)[2].startswith("2 turns, 1,234 tokens, failed")
    assert header(run, "--at", "9")[2] == "1 turn, 1,234 tokens, idle"
    assert header(run, "--at", "7")[2].startswith("1 turn, running since")
    assert len(header(run, "--at", "6")) == 2
    then, now = (json.loads(run("show", "s-42", *at, "--json").stdout) for at in (("--at", "9"), ()))
    assert (then["status"], then["turns"], then["tokens"], then["reason"]) == ("idle", 1, 1234, None)
    assert (now["status"], now["since"], now["reason"]) == ("failed", str(talk.head("s-42")), "KeyError")


def test_the_header_names_the_first_event_that_is_not_what_was_written(talk: SessionLog, run: Run) -> None:
    key = talk._events.keyspace.session("s-42").events
    entries = talk.client.execute_command("XRANGE", key, "-", "+")
    talk.client.execute_command("DEL", key)
    for number, (id_, fields) in enumerate(entries, 1):
        flat = [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else list(fields)
        if number == 6:
            flat[-1] = (
                flat[-1].replace(b"light", b"heavy")
                if isinstance(flat[-1], bytes)
                else flat[-1].replace("light", "heavy")
            )
        talk.client.execute_command("XADD", key, id_, *flat)

    assert header(run)[0].startswith("s-42  6 events, not what was written at 6: ")


def test_a_session_that_a_snapshot_stands_for_is_shown_though_events_are_missing(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", [events.Custom("custom.note", {"number": number}) for number in range(500)])
    talk._replay.settle()
    talk.state("s-42")
    key = talk._events.keyspace.session("s-42").events
    for revision in (1, 5):
        talk.client.execute_command("XDEL", key, str(talk.resolve("s-42", revision)))

    shown = run("show", "s-42").stdout

    assert "chain not checked" in shown
    assert "not all events can be read: the history of session 's-42' was replaced" in shown
    assert "A light jacket." in shown
    assert json.loads(run("show", "s-42", "--json").stdout)["status"] == "unreadable"


def test_the_last_messages_can_be_shown_alone_and_with_their_times(talk: SessionLog, run: Run) -> None:
    shown = run("show", "s-42", "--last", "2", "--times").stdout

    assert "the last 2 of 4 messages" in shown
    lines = [line for line in shown.splitlines() if line[:4].strip().isdigit()]
    assert [line.split()[0] for line in lines] == ["5", "6"]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", line.split()[1]) for line in lines)
    found = json.loads(run("show", "s-42", "--last", "2", "--json").stdout)
    assert [record["message_id"] for record in found["agents"]["default"]["messages"]] == [2, 3]
    assert "What should I pack?" not in run("show", "s-42", "--last", "0").stdout


def test_in_full_nothing_is_shortened_and_results_keep_their_lines(log: SessionLog, run: Run) -> None:
    long = "word " * 200 + "END"
    call = {"toolUse": {"toolUseId": "1", "name": "t", "input": {"text": long}}}
    result = {"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": f"first\nsecond {long}"}]}}
    thought = {"reasoningContent": {"reasoningText": {"text": long}}}
    log.append("s-42", [message(0, "assistant", thought, call), message(1, "user", result)])
    log.append("s-42", events.AgentCreated({"agent_id": "default", "state": {"note": "x" * 3_000 + "END"}}, "default"))

    short, full = run("show", "s-42").stdout, run("show", "s-42", "--full").stdout

    assert "END" not in short
    assert full.count("END") == 4
    assert re.search(r"← first\n +second", full)


def coloured(environment: Mapping[str, str], *arguments: str, **more: str) -> str:
    """What a pipe gets."""
    return run_program([*COMMAND_LINE, *arguments], env={**environment, **more}).stdout


def test_colours_are_chosen_by_option_then_environment_then_what_stdout_is(
    talk: SessionLog, environment: Mapping[str, str], terminal: Callable[..., Terminal]
) -> None:
    red = "\x1b["
    for command in (("show", "s-42"), ("events", "s-42"), ("sessions",), ("verify", "s-42"), ("grep", "jacket")):
        assert red not in coloured(environment, *command)
        assert red in coloured(environment, *command, "--color", "always")
        assert red in coloured(environment, "--color", "always", *command, NO_COLOR="1")
        assert red in coloured(environment, *command, FORCE_COLOR="1")
        assert red not in coloured(environment, *command, "--color", "never", FORCE_COLOR="1")
    assert "\x1b[1m" in terminal("show", "s-42").to_the_end()
    assert "\x1b[1m" not in terminal("show", "s-42", "--color", "never").to_the_end()


def test_colours_in_a_pipe_cut_nothing_off(log: SessionLog, environment: Mapping[str, str]) -> None:
    log.append("s-42", events.Custom("custom.note", {"text": "long " * 50 + "end"}))

    assert 'end"' in coloured(environment, "events", "s-42", "--color", "always")


def test_a_choice_of_colours_or_a_number_that_is_none_is_named(run: Run) -> None:
    for arguments in (("sessions", "--color", "banana"), ("--color", "banana", "sessions")):
        assert "'banana' is none of auto, always, never" in run(*arguments, exit_code=2).stderr
    assert "'-1' is no whole number" in run("show", "s-42", "--last", "-1", exit_code=2).stderr
    assert "is no whole number" in run("grep", "x", "--limit", "1" + "0" * 20, exit_code=2).stderr


@pytest.fixture
def pager(tmp_path: Path) -> str:
    program = tmp_path / "pager"
    program.write_text(PAGER)
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def long(log: SessionLog) -> SessionLog:
    """A session of more than a screen."""
    log.append("s-42", [message(number, "user", f"text {number}") for number in range(100)])
    return log


@pytest.mark.parametrize("width", [80, 160])
def test_what_is_longer_than_the_screen_goes_through_the_pager_in_colours(
    long: SessionLog, terminal: Callable[..., Terminal], pager: str, width: int
) -> None:
    shown = terminal("show", "s-42", width=width, PAGER=f"{pager} -x 'a b'").to_the_end()

    lines = words_in(shown).splitlines()
    assert (lines[0], lines[-1]) == ("BEGIN -x a b", "END")
    assert lines[1].startswith("s-42  100 events")
    assert sum("text" in line for line in lines) == 100
    assert "\x1b[1;36m" in shown


def test_what_fits_the_screen_needs_no_pager(
    long: SessionLog, terminal: Callable[..., Terminal], environment: Mapping[str, str], pager: str
) -> None:
    for options, height, more in (
        ((), 1_000, {}),
        (("--no-pager",), 24, {}),
        ((), 24, {"TERM": "dumb"}),
        ((), 24, {"PAGER": ""}),
        ((), 24, {"PAGER": "/not/there"}),
    ):
        shown = terminal("show", "s-42", *options, height=height, **{"PAGER": pager, **more}).to_the_end()
        assert "BEGIN" not in shown
        assert "text 99" in shown
    assert "BEGIN" not in coloured(environment, "show", "s-42", PAGER=pager)


def test_leaving_the_pager_early_is_no_error(
    long: SessionLog, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    long.append("s-42", [message(number, "user", "x" * 5_000) for number in range(100, 200)])
    for words in ("head -n 1", "true"):
        one = terminal("show", "s-42", PAGER=words)
        shown = one.to_the_end()
        assert one.process.wait() == 0
        assert "Traceback" not in shown
        assert "session-log:" not in shown


def test_in_less_control_c_is_a_key_and_q_ends_it(long: SessionLog, terminal: Callable[..., Terminal]) -> None:
    one = terminal("show", "s-42", PAGER="less")
    one.until("text 3")
    one.type("\x03")
    one.type("G")
    one.until("text 99")
    one.type("q")

    assert "Traceback" not in one.to_the_end()
    assert one.process.wait() == 0


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("background", ["15;0", "0;15"])
def test_the_header_fits_the_terminal_and_uses_no_colour_that_a_background_hides(
    talk: SessionLog, terminal: Callable[..., Terminal], width: int, background: str
) -> None:
    labels: dict[str, Any] = {f"label-{number}": "value " * 5 for number in range(6)}
    talk.append("s-42", facts(events.SessionAnnotated(labels)))

    shown = terminal("show", "s-42", "--no-pager", width=width, COLORFGBG=background).to_the_end()

    assert max(map(len, words_in(shown).splitlines())) <= width
    assert not re.search(r"\x1b\[[0-9;]*\b(?:30|37|90|97)m", shown)
