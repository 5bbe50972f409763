"""What each command of `session-log` prints, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from strands_session_log import SessionLog, events
from strands_session_log.cli.app import app
from support import ValkeyliteServer

Run: TypeAlias = Callable[..., Any]


@pytest.fixture
def log(server_url: str, namespace: str) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, namespace) as log:
        yield log


@pytest.fixture
def run(server_url: str, namespace: str) -> Run:
    """Runs `session-log` on the namespace of the test."""
    return runner(server_url, namespace)


def runner(url: str, namespace: str) -> Run:
    environment = {"SESSION_LOG_URL": url, "SESSION_LOG_NAMESPACE": namespace, "COLUMNS": "100"}

    def run(*arguments: str, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result

    return run


def message(index: int, role: str, *blocks: Any, agent: str = "default", **fields: Any) -> events.Event:
    said = {"role": role, "content": [{"text": block} if isinstance(block, str) else block for block in blocks]}
    record = {"message": said, "message_id": index, "redact_message": None, "created_at": "", "updated_at": ""}
    return events.MessageAdded({**record, **fields}, agent)


CALL = {"toolUse": {"toolUseId": "1", "name": "forecast", "input": {"city": "Lisbon", "days": 2}}}
RESULT = {"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "19 °C"}]}}


@pytest.fixture
def talk(log: SessionLog) -> SessionLog:
    """A log with one session `s-42` of six events."""
    log.append("s-42", events.SessionCreated({"session_id": "s-42", "session_type": "AGENT"}))
    log.append("s-42", events.AgentCreated({"agent_id": "default", "state": {"luggage": "hand"}}, "default"))
    log.append("s-42", message(0, "user", "What should I pack?"))
    log.append("s-42", message(1, "assistant", "Let me look.", CALL))
    log.append("s-42", message(2, "user", RESULT))
    log.append("s-42", message(3, "assistant", "A light jacket."))
    return log


def test_sessions_are_listed_most_recently_active_first(log: SessionLog, run: Run) -> None:
    for session_id in ("first", "second", "first"):
        log.append(session_id, events.Custom("custom.note", {}))
        # The server's clock has to go on, or both were last active in the same millisecond.
        time.sleep(0.002)

    heading, *rows = run("sessions").stdout.splitlines()

    assert heading.split()[:2] == ["SESSION", "EVENTS"]
    assert [row.split()[:2] for row in rows] == [["first", "2"], ["second", "1"]]


def test_a_page_of_sessions_ends_with_the_cursor_of_the_next(log: SessionLog, run: Run) -> None:
    for number in range(5):
        log.append(f"s-{number}", events.Custom("custom.note", {}))

    cursor = run("sessions", "--limit", "3").stdout.splitlines()[-1].split("'")[1]
    rest = run("sessions", "--before", cursor, "--json").stdout.splitlines()

    assert [json.loads(line)["session_id"] for line in rest] == ["s-1", "s-0"]


def test_sessions_can_be_asked_for_by_time(talk: SessionLog, run: Run) -> None:
    assert "s-42" in run("sessions", "--before", "2999-01-01").stdout
    assert "No session was last active before -1h" in run("sessions", "--before", "-1h").stderr
    run("sessions", "--before", "12", exit_code=2)


def test_without_any_session_there_is_a_hint_at_what_to_do(run: Run, namespace: str) -> None:
    result = run("sessions")

    assert result.stdout == ""
    assert namespace in result.stderr
    assert "session-log demo" in result.stderr


def test_sessions_as_json_are_one_object_a_line(talk: SessionLog, run: Run) -> None:
    (line,) = run("sessions", "--json").stdout.splitlines()

    found = json.loads(line)
    assert list(found) == ["session_id", "revision", "created_at", "last_event_at", "cursor"]
    assert (found["session_id"], found["revision"]) == ("s-42", 6)


def test_show_prints_who_said_what_and_what_the_tools_did(talk: SessionLog, run: Run) -> None:
    shown = run("show", "s-42").stdout

    assert [line.split(maxsplit=2) for line in shown.splitlines() if line[:4].strip().isdigit()] == [
        ["3", "user", "What should I pack?"],
        ["4", "assistant", "Let me look."],
        ["5", "tool", "← 19 °C"],
        ["6", "assistant", "A light jacket."],
    ]
    assert '→ forecast(city="Lisbon", days=2)' in shown
    assert 'state      luggage="hand"' in shown


def test_show_at_a_point_leaves_out_what_came_later(talk: SessionLog, run: Run) -> None:
    shown = run("show", "s-42", "--at", "4").stdout

    assert "Let me look." in shown
    assert "19 °C" not in shown


def test_show_as_json_is_one_object_with_agents_and_position(talk: SessionLog, run: Run) -> None:
    found = json.loads(run("show", "s-42", "--json").stdout)

    assert list(found) == ["session_id", "session", "agents", "multi_agents", "revision", "position", "link"]
    assert (found["revision"], found["link"]) == (6, talk.verify("s-42").link)
    assert found["agents"]["default"]["state"] == {"luggage": "hand"}
    assert [record["message"]["role"] for record in found["agents"]["default"]["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_show_puts_several_agents_under_headings_and_can_choose_one(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", message(0, "user", "Check it.", agent="critic"))

    everyone, critic = run("show", "s-42").stdout, run("show", "s-42", "--agent", "critic").stdout

    assert "── default ──" in everyone
    assert "── critic ──" in everyone
    assert "Check it." in critic
    assert "jacket" not in critic
    assert "it has: default, critic" in run("show", "s-42", "--agent", "nobody", exit_code=2).stderr


def test_nothing_in_a_message_reaches_the_terminal_but_its_text(log: SessionLog, run: Run) -> None:
    log.append("s-42", message(0, "user", "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202ebackwards [bold]markup[/] :smile:"))

    for command in ("show", "events"):
        shown = run(command, "s-42").stdout
        assert "[31mred]0;title 2J backwards [bold]markup[/] :smile:" in shown
    assert "\x9b" not in run("events", "s-42", "--json").stdout


def test_bytes_and_values_json_has_not_are_shown_in_words(log: SessionLog, run: Run) -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"x" * 2048}}}
    log.append("s-42", message(0, "user", "\ud800 odd", image, {"toolUse": {"name": "t", "input": {"sum": 2**70}}}))

    shown = run("show", "s-42").stdout

    assert "[image, png, 2,048 bytes]" in shown
    assert "→ t(sum=1180591620717411303424)" in shown
    assert " odd" in shown


def test_a_redacted_message_shows_only_what_stands_in_its_place(log: SessionLog, run: Run) -> None:
    gone = {"role": "user", "content": [{"text": "[removed]"}]}
    log.append("s-42", message(0, "user", "secret", redact_message=gone))

    shown = run("show", "s-42").stdout

    assert "[removed]" in shown
    assert "(redacted)" in shown
    assert "secret" not in shown


def test_events_are_listed_with_a_summary_each(talk: SessionLog, run: Run) -> None:
    heading, *rows = run("events", "s-42").stdout.splitlines()

    assert heading.split() == ["ID", "TIME", "TYPE", "AGENT", "SUMMARY"]
    assert [row.split()[0].partition("-")[2] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[0].split()[2:] == ["session.created", "-", "AGENT"]
    assert rows[3].endswith('assistant: Let me look. → forecast(city="Lisbon", days=2)')


@pytest.mark.parametrize(
    ("options", "revisions"),
    [
        (("--type", "agent.created", "--type", "message.*"), [2, 3, 4, 5, 6]),
        (("--after", "2", "--until", "4"), [3, 4]),
        (("--agent", "default", "--limit", "2"), [2, 3]),
    ],
)
def test_events_can_be_chosen(talk: SessionLog, run: Run, options: tuple[str, ...], revisions: list[int]) -> None:
    lines = run("events", "s-42", *options, "--json").stdout.splitlines()

    assert [int(json.loads(line)["id"].partition("-")[2]) for line in lines] == revisions


def test_events_as_json_carry_everything_of_an_event(talk: SessionLog, run: Run) -> None:
    found = json.loads(run("events", "s-42", "--json").stdout.splitlines()[2])

    recorded = list(talk.read("s-42"))[2]
    assert list(found) == ["id", "type", "agent", "event_id", "time", "v", "trace", "link", "data"]
    assert (found["event_id"], found["link"]) == (recorded.event.event_id, recorded.link)
    assert found["data"] == recorded.event.data


def test_events_that_match_nothing_are_told_from_a_session_that_is_not_there(talk: SessionLog, run: Run) -> None:
    assert "6 events; none matches" in run("events", "s-42", "--type", "tool.*").stderr
    run("events", "s-43", exit_code=3)


def test_verify_prints_the_link_of_an_intact_session(talk: SessionLog, run: Run) -> None:
    assert f"6 events, chain intact, link {talk.verify('s-42').link}" in run("verify", "s-42").stdout
    assert json.loads(run("verify", "s-42", "--json").stdout) == {
        "session_id": "s-42",
        "ok": True,
        "revision": 6,
        "link": talk.verify("s-42").link,
        "problems": [],
    }


def test_verify_ends_with_1_when_an_event_was_removed(talk: SessionLog, run: Run, client: Any) -> None:
    removed = next(talk.read("s-42", after=3)).id
    client.execute_command("XDEL", talk.events.keyspace.session("s-42").events, str(removed))

    assert "revision 4 is missing" in run("verify", "s-42", exit_code=1).stdout
    assert json.loads(run("verify", "s-42", "--json", exit_code=1).stdout)["ok"] is False


def test_verify_all_goes_through_every_session(talk: SessionLog, run: Run) -> None:
    talk.append("s-43", events.Custom("custom.note", {}))

    lines = run("verify", "--all", "--json").stdout.splitlines()

    assert {json.loads(line)["session_id"] for line in lines} == {"s-42", "s-43"}
    run("verify", exit_code=2)
    run("verify", "s-42", "--all", exit_code=2)


def test_delete_removes_one_session_and_tells_how_many_events_it_had(talk: SessionLog, run: Run) -> None:
    talk.append("s-4", events.Custom("custom.note", {}))

    assert json.loads(run("delete", "s-42", "--yes", "--json").stdout) == {
        "session_id": "s-42",
        "deleted": True,
        "events": 6,
    }
    assert [info.session_id for info in talk.sessions()] == ["s-4"]
    run("delete", "s-42", "--yes", exit_code=3)


def test_delete_without_anybody_to_ask_deletes_nothing(talk: SessionLog, run: Run) -> None:
    assert "--yes" in run("delete", "s-42", exit_code=2).stderr
    assert talk.sessions()


def test_a_session_that_is_not_there_is_named_in_one_line(run: Run) -> None:
    for command in ("show", "events", "verify"):
        (line,) = run(command, "s-43", exit_code=3).stderr.splitlines()
        assert line.startswith("session-log: there is no session 's-43'")


@pytest.mark.parametrize(
    "arguments",
    [("show", "s-42", "--at", "banana"), ("show", "s-42", "--at", "99"), ("events", "a\nb"), ("show",), ("nonsense",)],
)
def test_wrong_usage_ends_with_2(talk: SessionLog, run: Run, arguments: tuple[str, ...]) -> None:
    run(*arguments, exit_code=2)


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

    for word in ("demo", "sessions", "show", "events", "verify", "delete", "doctor", "--install-completion"):
        assert word in shown
    assert "0 all is well" in shown
    assert "4 the server cannot be reached" in shown


def test_doctor_finds_nothing_wrong_with_a_server_that_keeps_everything() -> None:
    with ValkeyliteServer(stream_node_max_bytes="65536", maxmemory="1gb") as server:
        run = runner(server.url, "strands")
        assert "Nothing need be changed." in run("doctor").stdout
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
