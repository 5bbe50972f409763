"""`session-log grep`: what is found where, as text and JSON, and what happens to what cannot be read."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from subprocess import PIPE
from typing import Any, cast

import pytest

from strands_session_log import SessionLog, events, matches_in, search_for
from support.command_line import CALL, Run, message
from support.programs import COMMAND_LINE, Program
from support.terminal import Terminal, words_in
from support.waiting import wait_until

PICTURE = {"image": {"format": "png", "source": {"bytes": b"\x89PNG Lisbon"}}}
LETTER = {"document": {"format": "txt", "name": "letter", "source": {"bytes": b"Dear Lisbon"}}}


def places(event: events.Event, pattern: str = "Lisbon", **options: bool) -> list[str]:
    """Where an event as it stands in a log holds something."""
    return [match.where for match in matches_in(event, search_for(pattern, **{**FIXED, **options}))]


FIXED = {"is_fixed": True, "ignores_case": False}


def hits(run: Run, *arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
    printed = run("grep", *arguments, "--json", exit_code=exit_code).stdout
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize(
    ("event", "where"),
    [
        (message(0, "user", "To Lisbon"), "message.content[0].text"),
        (message(0, "user", "…", CALL), "message.content[1].toolUse.input.city"),
        (message(0, "user", {"toolResult": {"content": [{"json": {"Lisbon": 1}}]}}),
         "message.content[0].toolResult.content[0].json.Lisbon"),
        (message(0, "user", LETTER), "message.content[0].document.source.bytes"),
        (events.AgentUpdated({"state": {"trips": [{"to": "Lisbon"}]}}, "a"), "state.trips[0].to"),
        (events.Custom("custom.note", {"Lisbon": None}), "Lisbon"),
        (events.SessionAnnotated({"city": "Lisbon"}), "city"),
        (events.InterruptRaised({"id": "1", "name": "n", "reason": {"ask": "Lisbon?"}}, "a"), "reason.ask"),
        (events.ModelFailed({"error": "E", "error_text": "no route to Lisbon"}, "a"), "error_text"),
        (events.MultiAgentUpdated({"shared_context": {"a": "Lisbon"}}, "g"), "shared_context.a"),
        (message(0, "user", "…", redact_message={"role": "user", "content": [{"text": "Lisbon"}]}),
         "redact_message.content[0].text"),
    ],
)  # fmt: skip
def test_text_is_found_wherever_an_event_holds_it(log: SessionLog, run: Run, event: events.Event, where: str) -> None:
    log.append("s-42", event)

    (hit,) = hits(run, "Lisbon")

    assert (hit["session_id"], hit["id"], hit["type"]) == ("s-42", str(log.head("s-42")), event.type)
    assert hit["where"] == where
    assert "Lisbon" in hit["excerpt"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("José", "Jose\u0301"),
        ("Jose\u0301", "José"),
        ("José", '{"name": "Jos\\u00e9"}'),
        ("😀", '"\\ud83d\\ude00"'),
        ('say "hi"\n', 'They say "hi"\nand go'),
    ],
)
def test_it_does_not_matter_how_text_is_spelt(pattern: str, text: str) -> None:
    assert places(events.Custom("custom.note", {"text": text}), pattern) == ["text"]


def test_numbers_are_found_but_neither_pictures_nor_the_names_of_our_own_fields(log: SessionLog) -> None:
    log.append("s-42", events.Custom("custom.note", {"phone": 351912345678, "big": 2**70, "flag": True}))
    log.append("s-42", message(0, "user", PICTURE))
    note, picture = (recorded.event for recorded in log.read("s-42"))

    assert places(note, "1234") == ["phone"]
    assert places(note, str(2**70)) == ["big"]
    assert places(note, "True") == []
    assert places(picture) == places(picture, "toolResult|content", is_fixed=False) == []


def test_a_pattern_is_a_regular_expression_unless_it_is_fixed(talk: SessionLog, run: Run) -> None:
    assert [hit["where"] for hit in hits(run, r"j\w+t\.$")] == ["message.content[0].text"]
    assert hits(run, r"j\w+t\.$", "--fixed", exit_code=1) == []
    assert hits(run, "LISBON", exit_code=1) == []
    assert len(hits(run, "LISBON", "--ignore-case")) == 1
    assert "--fixed" in run("grep", "+351", exit_code=2).stderr
    assert "PATTERN ''" in run("grep", "", exit_code=2).stderr


def test_hits_are_chosen_by_session_agent_type_time_and_number(talk: SessionLog, run: Run) -> None:
    talk.append("other", message(0, "user", "Pack what?", agent="critic"))
    talk.append("other", events.Custom("custom.note", {"text": "pack"}))

    assert sorted(hit["session_id"] for hit in hits(run, "pack", "-i")) == ["other", "other", "s-42"]
    assert [hit["session_id"] for hit in hits(run, "pack", "-i", "s-42", "s-42")] == ["s-42"]
    assert [hit["agent"] for hit in hits(run, "pack", "-i", "--agent", "critic")] == ["critic"]
    assert [hit["type"] for hit in hits(run, "pack", "-i", "--type", "custom.*")] == ["custom.note"]
    assert len(hits(run, "pack", "-i", "--limit", "1")) == 1
    assert len(hits(run, "pack", "-i", "--since", "-1h")) == 3
    assert hits(run, "pack", "-i", "--since", "2999-01-01", exit_code=1) == []
    assert "--since '12' is no time" in run("grep", "pack", "--since", "12", exit_code=2).stderr
    assert "'nobody'" in run("grep", "pack", "nobody", exit_code=3).stderr


def test_what_was_not_looked_for_is_not_told_to_be_nowhere(talk: SessionLog, run: Run) -> None:
    assert "further than --limit" in run("grep", "pack", "-i", "--limit", "1").stderr
    assert "further" not in run("grep", "pack", "-i").stderr
    for as_json in ([], ["--json"]):
        told = run("grep", "pack", "-i", "--type", "mesage.added", *as_json, exit_code=1).stderr
        assert "no events of type 'mesage.added'; did you mean 'message.added'" in told
        assert "nothing found" not in told


def test_a_long_text_is_cut_off_around_what_was_found(log: SessionLog, run: Run) -> None:
    log.append("s-42", events.Custom("custom.note", {"text": f"{'a' * 500} Lisbon {'b' * 500}"}))

    (hit,) = hits(run, "Lisbon")

    assert re.fullmatch(r"…a+ Lisbon b+…", hit["excerpt"])
    assert len(hit["excerpt"]) < 150


def test_as_text_a_line_has_what_erases_it_and_standard_error_says_how(talk: SessionLog, run: Run) -> None:
    found = run("grep", "jacket")

    id_ = str(talk.head("s-42"))
    assert found.stdout == f"s-42  {id_}  message.added  default  message.content[0].text  A light jacket.\n"
    assert f"found in 1 event of 1 session; to erase what they hold: session-log erase s-42 {id_}" in found.stderr
    assert "nothing found in 1 session" in run("grep", "Atlantis", exit_code=1).stderr


def test_what_an_excerpt_holds_does_nothing_to_the_terminal(log: SessionLog, run: Run) -> None:
    log.append("s-42", message(0, "user", "\x1b[31mred\nJane\x07"))

    (line,) = run("grep", "Jane").stdout.splitlines()

    assert "\x1b" not in line
    assert "red Jane" in line


def test_what_cannot_be_read_is_named_and_the_rest_is_searched(talk: SessionLog, run: Run) -> None:
    talk.append("broken", events.Custom("custom.note", {"text": "jacket"}))
    key = talk._events.keyspace.session("broken").events
    talk.client.execute_command("XADD", key, f"{talk.head('broken').ms + 1}-2", "type", "nonsense")
    talk.append("wrong", events.Custom("custom.note", {"text": "jacket"}))
    talk.client.execute_command("SET", talk._events.keyspace.session("wrong").events, "junk")

    found = run("grep", "jacket", exit_code=6)

    assert sorted(line.split()[0] for line in found.stdout.splitlines()) == ["broken", "s-42"]
    assert "session 'broken': entry" in found.stderr
    assert "session 'wrong': the key" in found.stderr


def test_behind_an_event_that_cannot_be_read_the_search_goes_on(talk: SessionLog, run: Run) -> None:
    key = talk._events.keyspace.session("s-42").events
    third = [*talk.read("s-42")][2].id
    entries = talk.client.execute_command("XRANGE", key, "-", "+")
    talk.client.execute_command("DEL", key)
    for id_, fields in entries:
        flat = [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else fields
        damaged = ["type", "nonsense"] if id_ in (str(third), str(third).encode()) else flat
        talk.client.execute_command("XADD", key, id_, *damaged)

    assert "A light jacket." in run("grep", "jacket", exit_code=6).stdout


def test_a_directory_that_cannot_be_read_is_not_taken_for_nothing_found(talk: SessionLog, run: Run) -> None:
    key = talk._events.keyspace.session("s-42").sessions
    talk.client.execute_command("DEL", key)
    talk.client.execute_command("SET", key, "junk")

    assert "cannot be used" in run("grep", "jacket", exit_code=6).stderr


def test_a_session_that_is_deleted_meanwhile_is_passed_over(
    talk: SessionLog, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    for _ in range(3):
        talk.append("gone", [events.Custom("custom.note", {"text": "jacket"}) for _ in range(100)])
    whole = SessionLog.read

    def read(log: SessionLog, session_id: str, *where: Any, **more: Any) -> Any:
        for number, recorded in enumerate(whole(log, session_id, *where, **more)):
            if session_id == "gone" and number == 1:
                talk.delete("gone")
            yield recorded

    monkeypatch.setattr(SessionLog, "read", read)

    assert {hit["session_id"] for hit in hits(run, "jacket")} == {"gone", "s-42"}


def test_a_hit_is_printed_before_the_next_session_is_read(
    log: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        log.append(f"s-{number}", events.Custom("custom.note", {"text": "Lisbon"}))
    whole, lines = SessionLog.read, list[int]()

    def read(log: SessionLog, session_id: str, *where: Any, **more: Any) -> Any:
        lines.append(cast(io.BytesIO, sys.stdout.buffer).getvalue().count(b"\n"))
        return whole(log, session_id, *where, **more)

    monkeypatch.setattr(SessionLog, "read", read)
    run("grep", "Lisbon")

    assert lines == [0, 1, 2]


def test_a_reader_that_has_enough_ends_it(log: SessionLog, environment: Mapping[str, str]) -> None:
    for number in range(300):
        log.append(f"s-{number}", events.Custom("custom.note", {"text": "Lisbon"}))

    with Program([*COMMAND_LINE, "grep", "Lisbon"], env=environment, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"s-2")
        process.stdout.close()
    assert process.returncode == 141


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("background", ["15;0", "0;15"])
def test_on_a_terminal_hits_stand_under_their_session_and_fit(
    log: SessionLog, terminal: Callable[..., Terminal], width: int, background: str
) -> None:
    log.append("s-42", message(0, "user", "where " * 30 + "Lisbon" + " there" * 30))
    log.append("s-42", message(1, "assistant", "Lisbon"))

    shown = terminal("grep", "Lisbon", width=width, COLORFGBG=background).to_the_end()

    lines = words_in(shown).splitlines()
    hits = lines[: next(number for number, line in enumerate(lines) if line.startswith("session-log:"))]
    assert [line for line in hits if not line.startswith(" ")] == ["s-42"]
    assert max(map(len, hits)) <= width
    assert "\x1b[1;31mLisbon" in shown


def test_on_a_terminal_a_bar_tells_how_far_it_is_below_the_hits(
    log: SessionLog, terminal: Callable[..., Terminal]
) -> None:
    for number in range(120):
        log.append(f"s-{number}", events.Custom("custom.note", {"text": "Lisbon" if number % 40 == 0 else "x"}))

    one = terminal("grep", "Lisbon")
    shown = one.to_the_end()

    assert "sessions" in shown
    assert "%" in shown
    wait_until(lambda: one.process.poll() == 0, "it to end")
    for name in ("s-0", "s-40", "s-80"):
        assert f"{name}\n" in words_in(shown)
