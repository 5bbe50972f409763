"""`session-log groups` and `session-log parked`, on groups that real consumers left behind."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.main import get_command

from strands_session_log import SessionLog, Subscriber
from strands_session_log.cli.app import app
from strands_session_log.cli.completion import group_names, parked_ids
from strands_session_log.cli.render.groups import print_groups, summaries
from strands_session_log.cli.render.parked import print_parked
from strands_session_log.errors import FeedGapError
from support.command_line import Run, message
from support.waiting import wait_until


def lines(run: Run, *arguments: str) -> list[dict[str, Any]]:
    """The objects that `--json` prints."""
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


@pytest.fixture
def gave_up(talk: SessionLog) -> SessionLog:
    """A log whose group `audit` handled all of session `s-42` but what an assistant said, which it parked."""
    with Subscriber(talk, "audit", "audit-1") as deliveries:
        for _ in range(6):
            delivery = next(deliveries)
            if delivery.envelope.facts.get("role") == "assistant":
                delivery.park("ValueError: no such \x1b[31mcustomer")
            else:
                delivery.ack()
    return talk


@pytest.fixture
def lacking(talk: SessionLog) -> SessionLog:
    """A log whose group `audit` was not given two messages that are gone from the feed."""
    with Subscriber(talk, "audit") as deliveries:
        for _ in range(6):
            next(deliveries).ack()
    talk.append("s-42", [message(4, "user", "And an umbrella?"), message(5, "assistant", "Not in July.")])
    talk.client.execute_command("DEL", talk._events.keyspace.session("s-42").feed)
    talk.append("s-42", message(6, "user", "Thanks!"))
    with Subscriber(talk, "audit") as deliveries, pytest.raises(FeedGapError):
        next(deliveries)
    return talk


def test_a_group_is_one_line(gave_up: SessionLog, run: Run) -> None:
    heading, line, *_ = run("groups").stdout.splitlines()
    cells = dict(zip(heading.replace("LAST SEEN", "SEEN").split(), line.replace(" s ago", "s").split(), strict=False))
    assert cells["GROUP"] == "audit"
    assert [cells[name] for name in ("LAG", "OLDEST", "PENDING", "PARKED", "CONSUMERS")] == ["0", "-", "0", "2", "0"]
    assert "audit has parked 2 events: session-log parked list audit" in run("groups").stdout


def test_lag_and_what_is_in_hand_are_told(talk: SessionLog, run: Run) -> None:
    with Subscriber(talk, "audit", "audit-1", batch=2, in_flight=2) as deliveries:
        next(deliveries)
        (line,) = lines(run, "groups")
    assert (line["lag"], line["pending"], line["parked"], line["consumers"]) == (4, 2, 0, ["audit-1"])
    assert line["lag_seconds"] > 0


def test_partitions_have_a_line_each(gave_up: SessionLog, run: Run) -> None:
    found = lines(run, "groups", "--partitions")
    (mine,) = [line for line in found if line["partition"] == gave_up._events.keyspace.partition("s-42")]
    assert (mine["parked"], mine["checkpoint"].endswith("-6")) == (2, True)
    assert len(run("groups", "--partitions").stdout.splitlines()) > len(found)


def test_without_groups_it_says_so(talk: SessionLog, run: Run) -> None:
    result = run("groups")
    assert result.stdout == ""
    assert "a Subscriber makes one" in result.stderr


def test_a_gap_is_shown_with_its_cures(lacking: SessionLog, run: Run) -> None:
    (line,) = lines(run, "groups")
    (gap,) = line["gaps"]
    assert (gap["missing"], gap["after"].endswith("-6"), gap["before"].endswith("-9")) == (2, True, True)
    shown = run("groups").stdout
    assert "missing 2" in shown
    assert "session-log groups catch-up audit" in shown
    assert "session-log groups skip audit" in shown


def test_catching_up_brings_what_was_lost(lacking: SessionLog, run: Run) -> None:
    said = run("groups", "catch-up", "audit").stdout
    assert said.startswith("audit reads 2 envelopes from the sessions")
    assert run("groups", "catch-up", "audit").stderr == "session-log: audit is missing nothing\n"
    seen = set[int]()
    with Subscriber(lacking, "audit") as deliveries:
        while not {7, 8, 9} <= seen:
            delivery = next(deliveries)
            seen.add(delivery.id.revision)
            delivery.ack()


def test_skipping_asks_and_then_goes_on_without(lacking: SessionLog, run: Run) -> None:
    assert "pass --yes" in run("groups", "skip", "audit", exit_code=2).stderr
    (gap,) = lines(run, "groups", "skip", "audit", "--yes")
    assert gap["missing"] == 2
    assert not lines(run, "groups")[0]["gaps"]


def test_a_group_is_deleted_with_a_warning_that_somebody_read_it_lately(gave_up: SessionLog, run: Run) -> None:
    assert "pass --yes" in run("groups", "delete", "audit", exit_code=2).stderr
    gave_up.append("s-42", message(7, "user", "Are you there?"))
    with Subscriber(gave_up, "audit", "audit-1") as deliveries:
        next(deliveries)
        result = run("groups", "delete", "audit", "--yes", "--json")
    assert json.loads(result.stdout) == {"group": "audit", "deleted": True, "parked": 2}
    assert "audit-1 read it within the last minute" in result.stderr
    assert not list(gave_up.parked("audit"))


def test_a_group_that_nobody_reads_is_deleted_without_a_warning(gave_up: SessionLog, run: Run) -> None:
    result = run("groups", "delete", "audit", "--yes")
    assert result.stderr == ""
    assert gave_up.groups() == []


def test_parked_events_are_listed_with_their_errors(gave_up: SessionLog, run: Run) -> None:
    result = run("parked", "list", "audit")
    assert result.stdout.count(r"no such \x1b[31mcustomer") == 2
    assert "session-log parked replay audit --all" in result.stdout
    first, second = lines(run, "parked", "list", "audit")
    assert (first["session_id"], first["type"], first["facts"]["role"]) == ("s-42", "message.added", "assistant")
    assert [line["id"].rpartition("-")[2] for line in (first, second)] == ["4", "6"]


def test_a_parked_event_is_shown_with_its_content(gave_up: SessionLog, run: Run) -> None:
    *_, last = gave_up.parked("audit")
    shown = run("parked", "show", "audit", last.parked_id).stdout
    assert "A light jacket." in shown
    assert "ValueError: no such" in shown
    (line,) = lines(run, "parked", "show", "audit", last.parked_id)
    assert line["event"]["data"]["message"]["content"] == [{"text": "A light jacket."}]


def test_a_parked_event_whose_session_was_deleted_is_still_shown(gave_up: SessionLog, run: Run) -> None:
    first, *_ = gave_up.parked("audit")
    gave_up.delete("s-42")
    assert "its session was deleted" in run("parked", "show", "audit", first.parked_id).stdout
    assert lines(run, "parked", "show", "audit", first.parked_id)[0]["event"] is None


def test_parked_events_are_replayed(gave_up: SessionLog, run: Run) -> None:
    first, _ = gave_up.parked("audit")
    assert lines(run, "parked", "replay", "audit", first.parked_id) == [{"group": "audit", "replayed": 1}]
    assert "(waiting to be tried again)" in run("parked", "list", "audit").stdout
    assert run("parked", "replay", "audit", "--all").stdout.startswith("audit tries 2 events again")
    with Subscriber(gave_up, "audit") as deliveries:
        for _ in range(2):
            next(deliveries).ack()
        wait_until(lambda: not list(gave_up.parked("audit")), "both to be handled")


def test_parked_events_are_dropped_after_asking(gave_up: SessionLog, run: Run) -> None:
    first, _ = gave_up.parked("audit")
    assert "pass --yes" in run("parked", "drop", "audit", "--all", exit_code=2).stderr
    assert lines(run, "parked", "drop", "audit", first.parked_id, "--yes") == [{"group": "audit", "dropped": 1}]
    assert run("parked", "drop", "audit", "--all", "--yes").stdout == "Dropped 1 event.\n"
    assert run("parked", "drop", "audit", "--all", "--yes").stderr == "session-log: audit has parked nothing\n"


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize("named", [(), ("0:1-1", "--all")])
def test_either_some_are_named_or_all(gave_up: SessionLog, run: Run, command: str, named: tuple[str, ...]) -> None:
    assert "--all" in run("parked", command, "audit", *named, exit_code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("groups", "catch-up", "audti"),
        ("groups", "skip", "audti", "--yes"),
        ("groups", "delete", "audti", "--yes"),
        ("parked", "list", "audti"),
        ("parked", "show", "audti", "0:1-1"),
        ("parked", "replay", "audti", "0:1-1"),
        ("parked", "drop", "audti", "--all", "--yes"),
    ],
)
def test_a_group_that_is_not_there_is_named(gave_up: SessionLog, run: Run, arguments: tuple[str, ...]) -> None:
    (line,) = run(*arguments, exit_code=3).stderr.splitlines()
    assert line.startswith("session-log: there is no group 'audti' in namespace 't-")
    assert line.endswith("; did you mean 'audit'?")


@pytest.mark.parametrize("parked_id", ["0:1-1", "99:1-1", "banana"])
def test_a_parked_event_that_is_not_there_is_named(gave_up: SessionLog, run: Run, parked_id: str) -> None:
    for arguments in (("show",), ("replay",), ("drop", "--yes")):
        (line,) = run("parked", arguments[0], "audit", parked_id, *arguments[1:], exit_code=3).stderr.splitlines()
        assert repr(parked_id) in line
        assert "session-log parked list audit" in line


def test_the_server_may_be_named_between_a_command_and_its_part(
    gave_up: SessionLog, run: Run, server_url: str, namespace: str
) -> None:
    arguments = ("--url", server_url, "--namespace", namespace)
    assert (
        run("--url", "x", "groups", *arguments, "skip", "audit", "--yes").stderr
        == "session-log: audit is missing nothing\n"
    )


def test_names_of_groups_and_of_what_they_parked_are_completed(
    gave_up: SessionLog, server_url: str, namespace: str
) -> None:
    context = typer.Context(get_command(app))
    context.params.update(url=server_url, namespace=namespace, group="audit")
    assert group_names(context, "au") == ["audit"]
    assert group_names(context, "b") == []
    assert parked_ids(context, "") == [one.parked_id for one in gave_up.parked("audit")]


def test_a_consumer_at_work_catches_up_at_once(lacking: SessionLog, run: Run) -> None:
    seen: set[int] = set()
    done = threading.Event()

    def consume() -> None:
        with Subscriber(lacking, "audit", "audit-2") as deliveries:
            while not done.is_set():
                try:
                    delivery = next(deliveries)
                except FeedGapError:
                    continue
                except StopIteration:
                    return
                seen.add(delivery.id.revision)
                delivery.ack()
                if seen >= {7, 8, 9}:
                    done.set()

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    wait_until(lambda: 9 in seen, "what follows the gap")
    assert run("groups", "catch-up", "audit").stdout == "audit reads 2 envelopes from the sessions.\n"
    assert done.wait(10)
    consumer.join(10)


def test_a_narrow_terminal_shows_the_error_and_the_state_all_the_same(
    lacking: SessionLog, capsys: pytest.CaptureFixture[str]
) -> None:
    with Subscriber(lacking, "other") as deliveries:
        next(deliveries).park("ValueError: no such customer")
    terminal = Console(width=80, force_terminal=True, color_system=None)
    print_parked(terminal, list(lacking.parked("other")))
    print_groups(terminal, summaries(lacking.groups()), by_partition=True)
    shown = capsys.readouterr().out
    assert "ValueError: no such customer" in shown
    assert "missing 2" in shown
    assert max(map(len, shown.splitlines())) <= 80
