"""`session-log replay`: a session as it happened, at once or in the time it took."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest

import strands_session_log
from strands_session_log import SessionLog, events
from strands_session_log.cli.commands import replay
from strands_session_log.cli.playback import pace
from support.command_line import Run, message
from support.programs import COMMAND_LINE, Program

GONE = {"role": "user", "content": [{"text": "[removed]"}]}


def numbered(shown: str) -> dict[int, str]:
    """What `replay` tells of each event, by revision, without its time."""
    split = (line.split(maxsplit=2) for line in shown.splitlines())
    return {int(parts[0]): parts[2] for parts in split if len(parts) == 3 and parts[0].isdigit()}


def state(log: SessionLog, luggage: str) -> None:
    log.append("s-42", events.AgentUpdated({"agent_id": "default", "state": {"luggage": luggage}}, "default"))


def test_replay_tells_what_was_said_and_what_went_on_around_it_in_order(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", events.ToolCompleted({"name": "forecast", "status": "success", "duration_ms": 320}, "default"))
    talk.append("s-42", events.InvocationCompleted({"stop_reason": "end_turn", "duration_ms": 900}, "default"))

    assert numbered(run("replay", "s-42").stdout) == {
        1: "session created",
        2: "agent created",
        3: "user       What should I pack?",
        4: "assistant  Let me look.",
        5: "tool       ← 19 °C",
        6: "assistant  A light jacket.",
        7: "tool completed: forecast, success, 320 ms",
        8: "invocation completed: end_turn, 900 ms",
    }


def test_replay_tells_how_state_changed_and_not_what_stayed(talk: SessionLog, run: Run) -> None:
    state(talk, "big")
    state(talk, "big")

    shown = run("replay", "s-42", "--from", "7").stdout

    assert '- luggage  "hand"' in shown
    assert '+ luggage  "big"' in shown
    assert list(numbered(shown)) == [7]


def test_replay_keeps_the_order_of_several_agents_and_says_whose_turn_it_is(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", message(0, "user", "Check it.", agent="critic"))
    talk.append("s-42", message(4, "user", "Thanks."))

    shown = run("replay", "s-42").stdout.splitlines()

    assert [line for line in shown if line.startswith("──")] == ["── critic ──", "── default ──"]
    assert shown[-1].endswith("Thanks.")


def test_replay_of_one_agent_has_what_is_about_them_all_too(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", message(0, "user", "Check it.", agent="critic"))

    assert list(numbered(run("replay", "s-42", "--agent", "critic").stdout)) == [1, 7]
    assert "it has: default, critic" in run("replay", "s-42", "--agent", "nobody").stderr


def test_replay_shows_what_was_redacted_where_it_happened_and_never_what_was_erased(talk: SessionLog, run: Run) -> None:
    redaction = {"message": GONE, "message_id": 0, "redact_message": GONE, "created_at": "", "updated_at": ""}
    talk.append("s-42", events.MessageRedacted(redaction, "default"))
    talk.erase("s-42", 3, "asked for")

    shown = run("replay", "s-42").stdout

    assert numbered(shown)[3] == "user       (erased)"
    assert numbered(shown)[7] == "user       [removed]"
    assert "(redacted: what was said at 3)" in shown
    assert numbered(shown)[8] == "content of 3 erased: asked for"
    assert "pack" not in shown


def test_replay_tells_what_an_agent_holds_when_that_changes(talk: SessionLog, run: Run) -> None:
    summary = {"message": {"role": "user", "content": [{"text": "They talked."}]}}
    talk.append("s-42", events.WindowChanged({"items": [summary, [2, 3]], "removed": 0, "next": 4}, "default"))

    shown = run("replay", "s-42").stdout

    assert numbered(shown)[7] == "the agent now holds messages 5\u20136 and 1 message beside the transcript"
    assert "beside it: They talked." in shown


@pytest.mark.parametrize(
    ("options", "revisions"),
    [((), [1, 2, 3, 4, 5, 6]), (("--at", "4"), [1, 2, 3, 4]), (("--from", "3", "--at", "4"), [3, 4])],
)
def test_replay_as_json_is_that_of_events(
    talk: SessionLog, run: Run, options: tuple[str, ...], revisions: list[int]
) -> None:
    printed = run("replay", "s-42", "--json", *options).stdout

    found = [json.loads(line) for line in printed.splitlines()]
    everything = [json.loads(line) for line in run("events", "s-42", "--json").stdout.splitlines()]
    assert [int(event["id"].partition("-")[2]) for event in found] == revisions
    assert all(event in everything for event in found)


def test_replay_from_a_time_takes_what_happened_then(talk: SessionLog, run: Run) -> None:
    began = next(talk.read("s-42")).id.time.isoformat()

    assert 1 in numbered(run("replay", "s-42", "--from", began).stdout)
    assert 1 in numbered(run("replay", "s-42", "--from", "-1h").stdout)
    assert "none matches" in run("replay", "s-42", "--at", "-1h").stderr


def later(log: SessionLog) -> events.Recorded:
    """An event of a later millisecond than all before it."""
    before = list(log.read("s-42"))[-1]
    while log.append("s-42", events.Custom("custom.note", {})).ms == before.id.ms:
        pass
    return list(log.read("s-42"))[-1]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_following_waits_as_long_as_it_took(
    talk: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    later(talk)
    waited: list[float] = []
    monkeypatch.setattr(replay, "pace", partial(pace, sleep=waited.append))

    at_once = run("replay", "s-42", *options).stdout
    assert run("replay", "s-42", "--follow", "--speed", "0.5", *options).stdout == at_once

    recorded = [one.id.ms for one in talk.read("s-42")]
    assert sum(waited) == pytest.approx((recorded[-1] - recorded[0]) / 1000 * 2)


def test_a_long_pause_is_shortened_and_said_to_be(talk: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    later(talk)
    waited: list[float] = []
    monkeypatch.setattr(replay, "pace", partial(pace, sleep=waited.append))

    shown = run("replay", "s-42", "--follow", "--speed", "0.000001", "--max-pause", "250ms").stdout

    assert "shortened to 0.25 s" in shown
    assert set(waited) == {0.25}


@pytest.mark.parametrize(
    "options", [("--speed", "0"), ("--speed", "-1"), ("--speed", "nan"), ("--max-pause", "soon"), ("--at", "banana")]
)
def test_a_playback_nobody_can_follow_is_refused(talk: SessionLog, run: Run, options: tuple[str, ...]) -> None:
    said = run("replay", "s-42", "--follow", *options, exit_code=2).stderr
    assert options[0] in said or repr(options[1]) in said


def test_a_speed_at_which_nothing_is_played_is_refused(talk: SessionLog, run: Run) -> None:
    assert "need --follow" in run("replay", "s-42", "--speed", "10", exit_code=2).stderr


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    mine = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace, "TERM": "xterm", "NO_COLOR": "1"}
    return {**os.environ, **mine, "PYTHONPATH": str(Path(strands_session_log.__file__).parents[1])}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_control_c_ends_following_with_one_line_that_tells_how_to_go_on(
    talk: SessionLog, environment: Mapping[str, str], options: tuple[str, ...]
) -> None:
    last = later(talk).id.revision
    # Slow enough for a millisecond to last until it is interrupted.
    slowly = ("--follow", "--speed", "0.00001", "--max-pause", "1h")
    command = [*COMMAND_LINE, "replay", "s-42", "--from", "6", *slowly, *options]
    with Program(command, env=environment, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("A light jacket." in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)

    assert process.returncode == 130
    (told,) = complaints.splitlines()
    again, start = told.split(" --from ")
    assert again == "session-log: stopped; go on with: session-log replay s-42"
    first, *others = start.split()
    assert 6 < int(first) <= last
    assert others[0] == "--follow"
