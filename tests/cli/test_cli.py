"""What each command of `session-log` prints."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from support.command_line import Run, message


def test_sessions_are_listed_most_recently_active_first(log: SessionLog, run: Run) -> None:
    for session_id in ("first", "second", "first"):
        log.append(session_id, events.Custom("custom.note", {}))
        # The server's clock has to go on, or both were last active in the same millisecond.
        time.sleep(0.002)

    heading, *rows = run("sessions").stdout.splitlines()

    assert heading.split()[:2] == ["SESSION", "STATUS"]
    assert [row.split()[:2] for row in rows] == [["first", "idle"], ["second", "idle"]]
    assert [json.loads(line)["revision"] for line in run("sessions", "--json").stdout.splitlines()] == [2, 1]


def test_a_page_of_sessions_ends_with_the_cursor_of_the_next(log: SessionLog, run: Run) -> None:
    for number in range(5):
        log.append(f"s-{number}", events.Custom("custom.note", {}))

    cursor = run("sessions", "--limit", "3").stdout.split()[-1]
    rest = run("sessions", "--before", cursor, "--json").stdout.splitlines()

    assert [json.loads(line)["session_id"] for line in rest] == ["s-1", "s-0"]


def test_sessions_can_be_asked_for_by_time(talk: SessionLog, run: Run) -> None:
    assert "s-42" in run("sessions", "--before", "2999-01-01").stdout
    assert "no session was last active before -1h" in run("sessions", "--before", "-1h").stderr
    run("sessions", "--before", "12", exit_code=2)


def test_without_any_session_there_is_a_hint_at_what_to_do(run: Run, namespace: str) -> None:
    result = run("sessions")

    assert result.stdout == ""
    assert namespace in result.stderr
    assert "session-log demo" in result.stderr


def test_sessions_as_json_are_one_object_a_line(talk: SessionLog, run: Run) -> None:
    (line,) = run("sessions", "--json").stdout.splitlines()

    found = json.loads(line)
    assert {"session_id", "revision", "created_at", "last_event_at", "cursor"} < set(found)
    assert (found["session_id"], found["revision"], found["messages"]) == ("s-42", 6, 4)


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

    about = ["started_at", "duration_seconds", "turns", "tokens", "status", "since", "reason"]
    place = ["revision", "position", "link", "integrity"]
    assert list(found) == ["session_id", "session", "labels", *about, "agents", "interrupts", "multi_agents", *place]
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
        assert r"\x1b[31mred\x1b]0;title\x07 \x9b2J \u202ebackwards [bold]markup[/] :smile:" in shown
    assert "\x9b" not in run("events", "s-42", "--json").stdout


def test_bytes_and_values_json_has_not_are_shown_in_words(log: SessionLog, run: Run) -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"x" * 2048}}}
    call = {"toolUse": {"toolUseId": "1", "name": "t", "input": {"sum": 2**70}}}
    log.append("s-42", message(0, "user", "\ud800 odd", image, call))

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
    assert rows[0].split()[2:] == ["session.created", "-", "session", "created"]
    assert rows[3].endswith('assistant: Let me look. → forecast(city="Lisbon", days=2)')


def test_what_happened_around_the_messages_is_summed_up(log: SessionLog, run: Run) -> None:
    usage = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}
    log.append("s-42", events.ToolFailed({"name": "forecast", "tool_use_id": "1", "error": "timeout"}, "default"))
    log.append("s-42", events.ModelCompleted({"stop_reason": "end_turn", "duration_ms": 1234.5, "usage": usage}))

    _, *rows = run("events", "s-42").stdout.splitlines()

    assert rows[0].endswith("  tool failed: forecast, timeout")
    assert rows[1].endswith("  model completed: end_turn, 1,234 ms, 14 tokens")


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
    assert list(found) == ["id", "type", "agent", "event_id", "time", "v", "trace", "link", "data", "integrity"]
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
        "witnessed": [1, 6],
        "expected": 0,
        "deleted": [],
        "notes": [],
    }


def test_verify_ends_with_1_when_an_event_was_removed(talk: SessionLog, run: Run, client: Any) -> None:
    removed = next(talk.read("s-42", after=3)).id
    client.execute_command("XDEL", talk._events.keyspace.session("s-42").events, str(removed))

    assert "revision 4 is missing" in run("verify", "s-42", exit_code=1).stdout
    assert json.loads(run("verify", "s-42", "--json", exit_code=1).stdout)["ok"] is False


def test_verify_all_goes_through_every_session(talk: SessionLog, run: Run) -> None:
    talk.append("s-43", events.Custom("custom.note", {}))

    *lines, summary = run("verify", "--all", "--verbose", "--json").stdout.splitlines()

    assert {json.loads(line)["session_id"] for line in lines} == {"s-42", "s-43"}
    assert json.loads(summary) == {"sessions": 2, "intact": 2, "broken": 0, "problems_beside": 0, "noted": 0}
    assert run("verify", "--all").stdout == "2 sessions: 2 intact, 0 broken\n"
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
