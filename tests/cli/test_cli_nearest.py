"""Wrong names, points and numbers: errors say where was looked, and what may have been meant."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import typer

from strands_session_log import SessionLog, Subscriber
from strands_session_log.cli.commands.replay import _duration
from strands_session_log.cli.nearest import did_you_mean
from strands_session_log.cli.playback import Shortened, pace, seconds
from strands_session_log.ids import EventId
from support.command_line import Run, message, runner
from support.terminal import in_terminal

EXECUTABLE = Path(sys.executable).with_name("session-log")


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    ours = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace, "NO_COLOR": "1"}
    return {**{name: value for name, value in os.environ.items() if name != "COLUMNS"}, **ours}


@pytest.mark.parametrize("columns", [80, 160])
def test_a_wrong_session_is_told_with_its_place_and_the_nearest(
    talk: SessionLog, environment: Mapping[str, str], namespace: str, server_url: str, columns: int
) -> None:
    url = server_url.replace("://", "://default:secret@")
    for command in ("show", "replay", "events", "verify", "anchor", "delete"):
        words = [command, "s-43", *(["--yes"] if command == "delete" else [])]
        shown = in_terminal(environment, *words, columns=columns)
        assert f"there is no session 's-43' in namespace '{namespace}' on {server_url}" in shown
        assert shown.endswith("; did you mean 's-42'?\n")
    told = runner(url, namespace)("show", "s-43", exit_code=None).stderr
    assert "secret" not in told


def test_where_no_session_is_yet_is_told_with_its_place(log: SessionLog, run: Run, server_url: str) -> None:
    told = run("sessions").stderr
    assert f"there is no session in namespace {log.namespace!r} on {server_url} yet" in told


def test_a_wrong_namespace_is_told_to_be_empty(talk: SessionLog, run: Run, new_namespace: object) -> None:
    told = run("show", "s-42", "--namespace", new_namespace(), exit_code=3).stderr  # type: ignore[operator]

    assert told.endswith("; it has no session at all: look at --url and --namespace\n")


def test_a_deleted_session_is_told_to_be(talk: SessionLog, run: Run) -> None:
    talk.delete("s-42", by="privacy@example.com")

    told = run("show", "s-42", exit_code=3).stderr

    assert "; it was deleted at 20" in told
    assert told.endswith("by privacy@example.com\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("s-4", "; did you mean 's-42' or 's-43' or 's-44'?"),
        ("S-42", "; did you mean 's-42'"),
        ("orders", "; did you mean 'order-7'?"),
        ("banana", ""),
    ],
)
def test_what_is_near_begins_like_it_or_is_spelt_like_it(typed: str, meant: str) -> None:
    assert did_you_mean(typed, ["s-42", "s-43", "s-44", "s-45", "order-7"]).startswith(meant)


def test_wrong_agents_are_told_with_those_there_are(talk: SessionLog, run: Run) -> None:
    for command in ("events", "replay", "show"):
        told = run(command, "s-42", "--agent", "defalt", exit_code=2 if command == "show" else 0).stderr
        assert told == "session-log: session 's-42' has no agent 'defalt'; it has: default\n"
    talk.append("s-42", [message(0, "user", "Hi", agent=f"critic-{number}") for number in range(20)])
    assert "; did you mean 'critic-7'" in run("events", "s-42", "--agent", "critik-7").stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("mesage.added", "there are no events of type 'mesage.added'; did you mean 'message.added'"),
        ("message", "there are no events of type 'message'; did you mean 'message.*' or 'message.added'"),
        ("tool.*", "6 events; none matches"),
        ("custom.note", "6 events; none matches"),
    ],
)
def test_wrong_types_are_told_with_the_nearest(talk: SessionLog, run: Run, typed: str, told: str) -> None:
    assert told in run("events", "s-42", "--type", typed).stderr


def test_wrong_groups_and_parked_events_are_told_with_the_nearest(talk: SessionLog, run: Run, namespace: str) -> None:
    with Subscriber(talk, "audit") as deliveries:
        next(deliveries).park("why")
    (parked,) = talk.parked("audit")

    told = run("groups", "skip", "audti", "--yes", exit_code=3).stderr
    assert told.startswith(f"session-log: there is no group 'audti' in namespace '{namespace}' on ")
    assert told.endswith("; did you mean 'audit'?\n")
    told = run("parked", "show", "audit", parked.parked_id[:-1] + "9", exit_code=3).stderr
    assert told.endswith(f"; did you mean '{parked.parked_id}'?\n")


def test_wrong_points_are_answered_as_they_were_asked_for(talk: SessionLog, run: Run) -> None:
    ids = [one.id for one in talk.read("s-42")]
    wrong = f"{ids[2].ms - 1}-3"

    for words in (["show", "s-42", "--at", "99"], ["diff", "s-42", "3", "99"], ["fork", "s-42", "x", "--at", "99"]):
        assert run(*words, exit_code=2).stderr == "session-log: session 's-42' has no revision 99: its last is 6\n"
    for words in (
        ["show", "s-42", "--at", wrong],
        ["events", "s-42", "--after", wrong],
        ["replay", "s-42", "--from", wrong],
    ):
        told = run(*words, exit_code=2).stderr
        assert told == f"session-log: session 's-42' has no event {wrong}: its event 3 is {ids[2]}\n"


def test_an_events_uuid_is_told_to_be_one(talk: SessionLog, run: Run) -> None:
    uuid = talk.event("s-42", 3).event.event_id

    assert "it is an event's UUID: give its id" in run("show", "s-42", "--at", uuid, exit_code=2).stderr


@pytest.mark.parametrize("command", [["fork", "s-42", "s-43", "--at", "4"], ["rewind", "s-42", "4", "--yes"]])
def test_a_point_with_unanswered_calls_is_refused_in_revisions(talk: SessionLog, run: Run, command: list[str]) -> None:
    told = run(*command, exit_code=2).stderr

    assert told == (
        "session-log: at revision 4 of session 's-42' tool calls are unanswered: 'default' waits for forecast; "
        "take 3 or 5 instead, or pass --allow-unanswered\n"
    )


def test_a_point_of_all_sessions_is_no_revision(talk: SessionLog, run: Run) -> None:
    told = run("tail", "--since", "12", exit_code=2).stderr

    assert "give a revision" not in told
    assert "revisions and event ids belong to one session; or give an ISO date" in told
    assert "give a revision" not in run("sessions", "--before", "12", exit_code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions", "--limit", "1" + "0" * 20],
        ["events", "s-42", "--limit", "1" + "0" * 20],
        ["events", "s-42", "--limit", "9" * 5_000],
        ["grep", "x", "--limit", "1" + "0" * 20],
        ["show", "s-42", "--last", "1" + "0" * 20],
        ["replay", "s-42", "--follow", "--speed", "1e400"],
        ["replay", "s-42", "--follow", "--speed", "nan"],
        ["replay", "s-42", "--follow", "--max-pause", "9" * 30],
        ["serve-metrics", "--claim-after", "1e30"],
        ["serve-metrics", "--max-agents", "9" * 20],
        ["show", "s-42", "--at", "9" * 5_000],
        ["tail", "--after", "0:" + "9" * 30 + "-1"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_numbers_beyond_all_bounds_are_wrong_usage(talk: SessionLog, run: Run, arguments: list[str]) -> None:
    (line,) = run(*arguments, exit_code=2).stderr.splitlines()

    assert line.startswith("session-log: ")
    assert len(line) < 500


@pytest.fixture
def lisbon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Lisbon")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("lisbon")
@pytest.mark.parametrize(
    ("typed", "readings"),
    [
        ("2026-10-25T01:30", "clocks showed it twice: give 2026-10-25T01:30:00+01:00 or 2026-10-25T01:30:00+00:00"),
        (
            "2026-03-29T01:30",
            "clocks went forward past it: give 2026-03-29T00:30:00+00:00 or 2026-03-29T02:30",
        ),
        ("2026-10-25T02:30 Europe/Berlin", "give 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
    ],
)
def test_local_times_that_are_two_or_none_are_refused(talk: SessionLog, run: Run, typed: str, readings: str) -> None:
    for words in (
        ["show", "s-42", "--at", typed],
        ["tail", "--since", typed],
        ["sessions", "--before", typed],
        ["grep", "x", "--since", typed],
    ):
        told = run(*words, exit_code=2).stderr
        assert all(reading in told for reading in readings.split(" or ")), told
    run("sessions", "--before", f"{typed.split(' ')[0]}+01:00")


def test_a_pause_in_slow_motion_is_told_as_long_as_it_would_be() -> None:
    class At:
        def __init__(self, ms: int) -> None:
            self.id = EventId(ms, 1)

    _, shortened, _ = pace([At(0), At(20)], 0.001, 5, lambda _: None)

    assert shortened == Shortened(20, 5)
    assert (_duration(20), _duration(0.25), _duration(600)) == ("20 s", "0.25 s", "10 min")
    with pytest.raises(typer.BadParameter, match="give 8784h at most"):
        seconds("9999h")
