"""What scripts and operators rely on: exit codes, errors, `doctor`, and that the documentation is right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from strands_session_log import SessionLog, Subscriber
from strands_session_log.cli.app import app
from strands_session_log.errors import FeedGapError
from support import ValkeyliteServer
from support.command_line import Run, commands_in, message, runner

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "cli.md"


def test_a_session_that_is_not_there_is_named_in_one_line(run: Run) -> None:
    for command in ("show", "replay", "events", "verify"):
        (line,) = run(command, "s-43", exit_code=3).stderr.splitlines()
        assert line.startswith("session-log: there is no session 's-43'")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("show", "s-42", "--at", "banana"), "'banana'"),
        (("show", "s-42", "--at", "99"), "revision 99"),
        (("events", "a\nb"), "U+000A"),
        (("show",), "SESSION"),
        (("nonsense",), "'nonsense'"),
    ],
)
def test_wrong_usage_ends_with_2(talk: SessionLog, run: Run, arguments: tuple[str, ...], named: str) -> None:
    assert named in run(*arguments, exit_code=2).stderr


def test_a_server_that_is_not_there_is_told_in_one_line_without_the_password(run: Run) -> None:
    for command in ("sessions", "doctor"):
        (line,) = run(command, "--url", "valkey://me:secret@127.0.0.1:1", exit_code=4).stderr.splitlines()[-1:]
        assert "cannot be reached" in line
        assert "SESSION_LOG_URL" in line
        assert "secret" not in line


def test_server_and_namespace_may_be_named_before_or_after_the_command(
    talk: SessionLog, server_url: str, namespace: str
) -> None:
    run = runner("valkey://127.0.0.1:1", "t-nowhere")

    assert "s-42" in run("--url", server_url, "--namespace", namespace, "sessions").stdout
    assert "s-42" in run("--url", "x", "sessions", "--url", server_url, "--namespace", namespace).stdout


def test_help_names_every_command_and_exit_code(run: Run) -> None:
    shown = " ".join(run("--help").stdout.split())

    for word in get_command(app).commands:  # type: ignore[attr-defined]
        assert f" {word} " in shown
    assert "--install-completion" in shown
    assert "0 all is well" in shown
    assert "4 the server cannot be reached" in shown


def test_doctor_finds_nothing_wrong_with_a_server_that_keeps_everything() -> None:
    no_excerpts = dict.fromkeys(
        ("slowlog_log_slower_than", "commandlog_request_larger_than", "commandlog_reply_larger_than"), "-1"
    )
    with ValkeyliteServer(stream_node_max_bytes="65536", maxmemory="1gb", **no_excerpts) as server:
        run = runner(server.url, "strands")
        assert "Nothing to change." in run("doctor").stdout
        assert json.loads(run("doctor", "--json").stdout)["ok"] is True


def test_doctor_examines_a_server_that_may_evict_sessions_and_reading_it_only_warns() -> None:
    with ValkeyliteServer(maxmemory_policy="allkeys-lru") as server:
        run = runner(server.url, "strands")
        report = json.loads(run("doctor", "--json", exit_code=1).stdout)
        assert "warning: maxmemory-policy is allkeys-lru" in run("sessions").stderr
        run("demo", "--url", server.url, exit_code=4)

    (eviction,) = (finding for finding in report["findings"] if finding["subject"] == "eviction")
    assert eviction["level"] == "error"
    assert "noeviction" in eviction["cure"]


def test_doctor_makes_do_with_what_a_user_without_config_may_see() -> None:
    with ValkeyliteServer() as server:
        server.client().execute_command("ACL SETUSER", "guest", "on", ">secret", "~*", "+@all", "-config", "-acl")
        shown = runner(server.url.replace("//", "//guest:secret@"), "strands")("doctor").stdout

    assert "guest:***@" in shown
    assert "secret" not in shown
    assert "append-only file" in shown


def test_the_page_about_the_command_line_knows_every_option() -> None:
    page = DOCUMENTATION.read_text().partition("## Commands")[2]
    sections = {section.partition("\n")[0]: section for section in page.split("### session-log ")[1:]}

    for name, command in commands_in(get_command(app)):
        (section,) = [text for heading, text in sections.items() if re.fullmatch(rf"{name}( \[?[A-Z].*)?", heading)]
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
        missing = (
            options
            - {"--url", "--namespace", "--encryption-keys", "--color", "--help", "-h"}
            - set(re.findall(r"`(-[-a-z]+)", section))
        )
        assert not missing, name


def make_group(log: SessionLog) -> str:
    """Have a group `g` park an event and lack another; the name of what it parked."""
    with Subscriber(log, "g") as deliveries:
        next(deliveries).park("why")
        for _ in range(5):
            next(deliveries).ack()
    log.append("s-42", [message(4, "user", "And an umbrella?")])
    log.client.execute_command("DEL", log._events.keyspace.session("s-42").feed)
    log.append("s-42", message(5, "assistant", "Not in July."))
    with Subscriber(log, "g") as deliveries, pytest.raises(FeedGapError):
        next(deliveries)
    (parked,) = log.parked("g")
    return parked.parked_id


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions",),
        ("why", "s-42"),
        ("show", "s-42"),
        ("replay", "s-42"),
        ("events", "s-42"),
        ("diff", "s-42", "3"),
        ("fork", "s-42", "s-43"),
        ("rewind", "s-42", "3", "--dry-run"),
        ("verify", "s-42"),
        ("anchor", "s-42"),
        ("doctor",),
        ("grep", "jacket"),
        ("erase", "s-42", "4", "--dry-run"),
        ("delete", "s-42", "--yes"),
        ("groups",),
        ("parked list", "g"),
        ("parked show", "g", "PARKED_ID"),
        ("parked replay", "g", "PARKED_ID"),
        ("parked drop", "g", "--all", "--yes"),
        ("groups catch-up", "g"),
        ("groups skip", "g", "--yes"),
        ("groups delete", "g", "--yes"),
    ],
)
def test_the_page_about_the_command_line_lists_the_fields_of_json(
    talk: SessionLog, run: Run, arguments: tuple[str, ...]
) -> None:
    parked_id = make_group(talk)
    page = DOCUMENTATION.read_text().partition(f"### session-log {arguments[0]}")[2]
    documented = re.search(r"--json`: `\{(.*?)\}`", page, re.DOTALL)
    assert documented is not None

    # What doctor thinks of the server of the tests does not matter here.
    words = [*arguments[0].split(), *(parked_id if word == "PARKED_ID" else word for word in arguments[1:])]
    printed = run(*words, "--json", exit_code=None).stdout

    assert list(json.loads(printed.splitlines()[0])) == re.findall(r'"(\w+)"', documented[1])
