"""`session-log diff`, `fork` and `rewind`: comparing points, and going on from one."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import strands_session_log
from strands_session_log import SessionLog, events
from support.command_line import Run, message
from support.programs import COMMAND_LINE, Program

GONE = {"role": "user", "content": [{"text": "[removed]"}]}


def lines(shown: str) -> list[str]:
    return [line.rstrip() for line in shown.splitlines()]


def numbered(shown: str) -> dict[int, str]:
    """What `replay` tells of each event, by revision, without its time."""
    split = (line.split(maxsplit=2) for line in shown.splitlines())
    return {int(parts[0]): parts[2] for parts in split if len(parts) == 3 and parts[0].isdigit()}


def state(log: SessionLog, luggage: str) -> None:
    log.append("s-42", events.AgentUpdated({"agent_id": "default", "state": {"luggage": luggage}}, "default"))


def contents(log: SessionLog, session_id: str) -> list[Any]:
    return [message["content"][0].get("text") for message in log.state(session_id).agents["default"].window]


# diff


def test_diff_tells_messages_state_and_agents_that_came(talk: SessionLog, run: Run) -> None:
    state(talk, "big")
    talk.append("s-42", message(0, "user", "Check it.", agent="critic"))

    assert lines(run("diff", "s-42", "5").stdout)[2:] == [
        "── default ──",
        "  +    6  assistant  A light jacket.",
        "  state",
        '    - luggage  "hand"',
        '    + luggage  "big"',
        "",
        "── critic  (new) ──",
        "  +    8  user       Check it.",
    ]


def test_diff_backwards_takes_away_what_came(talk: SessionLog, run: Run) -> None:
    assert "  -    6  assistant  A light jacket." in run("diff", "s-42", "6", "5").stdout


def test_diff_shows_what_became_of_a_long_message_where_it_differs(talk: SessionLog, run: Run) -> None:
    for index, text in ((4, "long " * 200 + "was"), (4, "long " * 200 + "is")):
        kind = events.MessageUpdated if text.endswith("is") else events.MessageAdded
        talk.append("s-42", kind(message(index, "user", text).data, "default"))

    shown = lines(run("diff", "s-42", "7").stdout)

    assert [(line[2], line.rsplit(" ", 1)[1]) for line in shown if line[2:3] in ("-", "+")] == [
        ("-", "was"),
        ("+", "is"),
    ]


def test_diff_shows_of_what_was_redacted_only_what_stands_in_its_place(talk: SessionLog, run: Run) -> None:
    redaction = {"message": GONE, "message_id": 0, "redact_message": GONE, "created_at": "", "updated_at": ""}
    talk.append("s-42", events.MessageRedacted(redaction, "default"))

    shown = run("diff", "s-42", "6").stdout

    assert "  +    7  user       [removed]  (redacted)" in shown
    assert "pack" not in shown


def test_diff_names_the_messages_an_agent_no_longer_holds(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", events.WindowChanged({"items": [[2, 3]], "removed": 0, "next": 4}, "default"))

    assert lines(run("diff", "s-42", "6").stdout)[3:] == [
        "  no longer holds",
        "    -    3  user       What should I pack?",
        '    -    4  assistant  Let me look. → forecast(city="Lisbon", days=2)',
    ]


def test_where_nothing_differs_diff_says_so_and_all_is_well(talk: SessionLog, run: Run) -> None:
    assert run("diff", "s-42", "6").stdout == "No difference.\n"


def test_diff_as_json_has_everything_that_differs(talk: SessionLog, run: Run) -> None:
    state(talk, "big")

    found = json.loads(run("diff", "s-42", "5", "--json").stdout)

    agent = found["agents"]["default"]
    assert [change["after"]["message_id"] for change in agent["added"]] == [3]
    assert agent["state"] == [{"path": ["luggage"], "kind": "changed", "before": "hand", "after": "big"}]
    assert agent["window_joined"] == [3]
    assert (found["before"].partition("-")[2], found["after"].partition("-")[2]) == ("5", "7")


def test_a_relative_time_is_a_point_and_no_option(talk: SessionLog, run: Run) -> None:
    assert run("diff", "s-42", "-0s").stdout == "No difference.\n"
    assert run("diff", "s-42", "-0s", "6").stdout == "No difference.\n"
    assert "had not begun by then" in run("diff", "s-42", "-1h", exit_code=2).stderr
    assert "no point in time" in run("diff", "s-42", "-5y", exit_code=2).stderr
    for arguments in (("diff", "s-42", "--nonsense"), ("diff", "s-42", "-x"), ("rewind", "s-42", "-1h", "--nonsense")):
        assert "no such option" in run(*arguments, exit_code=2).output


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "s-43", "--from", "3"),
        ("diff", "s-43", "3"),
        ("fork", "s-43", "s-44"),
        ("rewind", "s-43", "3", "--yes"),
    ],
)
def test_a_session_that_is_not_there_is_told(talk: SessionLog, run: Run, arguments: tuple[str, ...]) -> None:
    assert "there is no session 's-43'" in run(*arguments, exit_code=3).stderr


# rewind


def test_rewind_lets_the_agents_go_on_from_there_and_tells_how_to_undo_it(talk: SessionLog, run: Run) -> None:
    state(talk, "big")
    told, undo = run("rewind", "s-42", "3", "--yes").stdout.splitlines()

    assert told.startswith("✓ s-42  back to revision 3, recorded by event ")
    assert contents(talk, "s-42") == ["What should I pack?"]

    run(*undo.partition("session-log ")[2].split(), "--yes")
    assert len(contents(talk, "s-42")) == 4
    assert run("diff", "s-42", "7").stdout == "No difference.\n"


def test_a_dry_run_tells_what_would_no_longer_be_held_and_writes_nothing(talk: SessionLog, run: Run) -> None:
    state(talk, "big")

    assert lines(run("rewind", "s-42", "3", "--dry-run").stdout) == [
        "s-42  revision 7 → back to 3",
        "",
        "── default ──",
        "  will no longer hold",
        '    -    4  assistant  Let me look. → forecast(city="Lisbon", days=2)',
        "    -    5  tool       ← 19 °C",
        "    -    6  assistant  A light jacket.",
        "  state",
        '    - luggage  "big"',
        '    + luggage  "hand"',
    ]
    assert talk.state("s-42").revision == 7


def test_rewind_as_json_tells_where_from_and_where_to(talk: SessionLog, run: Run) -> None:
    tried = json.loads(run("rewind", "s-42", "3", "--dry-run", "--json").stdout)
    done = json.loads(run("rewind", "s-42", "3", "--yes", "--json").stdout)

    assert (tried["id"], tried["event_id"], tried["dry_run"]) == (None, None, True)
    assert tried["agents"]["default"]["window_left"] == [1, 2, 3]
    assert (done["before"], done["to"], done["dry_run"]) == (6, 3, False)
    assert done["id"] == str(talk.state("s-42").position)
    assert done["event_id"] == talk.event("s-42", done["id"]).event.event_id


def test_without_anybody_to_ask_nothing_is_rewound(talk: SessionLog, run: Run) -> None:
    assert "--yes" in run("rewind", "s-42", "3", exit_code=2).stderr
    assert talk.state("s-42").revision == 6


def test_a_point_where_a_tool_has_not_answered_is_refused_naming_the_option(talk: SessionLog, run: Run) -> None:
    for arguments in (
        ("rewind", "s-42", "4", "--dry-run"),
        ("rewind", "s-42", "4", "--yes"),
        ("fork", "s-42", "s-43", "--at", "4"),
    ):
        refused = run(*arguments, exit_code=2).stderr
        assert "waits for forecast" in refused
        assert "pass --allow-unanswered" in refused

    run("rewind", "s-42", "4", "--yes", "--allow-unanswered")
    assert len(contents(talk, "s-42")) == 2
    stood = talk.state("s-42").revision
    undo = run("rewind", "s-42", "3", "--yes").stdout.splitlines()[1]
    assert undo.endswith(f"session-log rewind s-42 {stood} --allow-unanswered")


def test_events_and_replay_tell_that_a_session_was_rewound(talk: SessionLog, run: Run) -> None:
    run("rewind", "s-42", "3", "--yes")

    assert "session.rewound  -        back to revision 3" in run("events", "s-42").stdout
    told = list(numbered(run("replay", "s-42").stdout).values())
    assert told[-2:] == ["the agent now holds message 3", "↶ back to revision 3"]


# fork


def test_fork_begins_a_session_that_holds_what_the_other_held(talk: SessionLog, run: Run) -> None:
    made, hint = run("fork", "s-42", "s-43", "--at", "3").stdout.splitlines()

    assert made == "✓ s-43  the first 3 events of s-42"
    assert hint.split() == ["session-log", "show", "s-43"]
    assert contents(talk, "s-43") == ["What should I pack?"]
    assert len(contents(talk, "s-42")) == 4
    assert "session.forked" in run("events", "s-43").stdout
    assert numbered(run("replay", "s-43").stdout)[4] == "session forked: copied from s-42 up to revision 3"


def test_fork_as_json_tells_how_much_was_copied(talk: SessionLog, run: Run) -> None:
    found = json.loads(run("fork", "s-42", "s-43", "--json").stdout)

    assert (found["session_id"], found["into"], found["copied"]) == ("s-42", "s-43", 6)
    assert json.loads(run("verify", "s-43", "--json").stdout)["parent"]["session_id"] == "s-42"
    assert "7 events (6 of s-42), chain intact" in run("verify", "s-43").stdout


def test_fork_into_a_session_that_exists_is_refused(talk: SessionLog, run: Run) -> None:
    assert "'s-42'" in run("fork", "s-42", "s-42", exit_code=2).stderr
    assert talk.state("s-42").revision == 6


def test_what_to_do_next_leads_to_the_server_that_was_named(talk: SessionLog, run: Run, namespace: str) -> None:
    hint = run("fork", "s-42", "s-43", "--namespace", namespace).stdout.splitlines()[1]

    assert hint.endswith(f"session-log show s-43 --namespace {namespace}")


# terminals and signals


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    mine = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace, "TERM": "xterm", "NO_COLOR": "1"}
    return {**os.environ, **mine, "PYTHONPATH": str(Path(strands_session_log.__file__).parents[1])}


@pytest.fixture
def answered(environment: Mapping[str, str]) -> Callable[..., tuple[str, int]]:
    """Runs `session-log` on a terminal, answers its question, and returns what is shown, and the exit code."""

    def call(answer: str, *arguments: str) -> tuple[str, int]:
        near, far = pty.openpty()
        with Program([*COMMAND_LINE, *arguments], stdin=far, stdout=far, stderr=far, env=environment) as process:
            os.close(far)
            shown = ""
            while "[y/N]" not in shown:
                shown += os.read(near, 65_536).decode()
            os.write(near, f"{answer}\n".encode())
            code = process.wait(30)
            shown += os.read(near, 65_536).decode()
        os.close(near)
        return shown, code

    return call


def test_rewind_shows_what_will_no_longer_be_held_and_asks(
    talk: SessionLog, answered: Callable[..., tuple[str, int]]
) -> None:
    declined, code = answered("n", "rewind", "s-42", "3")
    assert "will no longer hold" in declined
    assert "Rewind s-42 to revision 3?" in declined
    assert "nothing was rewound" in declined
    assert (code, talk.state("s-42").revision) == (1, 6)

    agreed, code = answered("y", "rewind", "s-42", "3")
    assert "undo: session-log rewind s-42 6" in agreed
    assert (code, len(contents(talk, "s-42"))) == (0, 1)
