"""The words in which commands tell what happened, how much of them fits a terminal, and what JSON calls things."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from typer.main import get_command

from strands_session_log import (
    Envelope,
    EventId,
    FeedId,
    Recorded,
    SessionLog,
    Subscriber,
    ValkeySessionManager,
    events,
)
from strands_session_log.cli.app import app
from strands_session_log.cli.render.events import envelope_summary, summary
from strands_session_log.seals import make_key_file
from support import rerun_models
from support.command_line import CALL, Run, commands_in, message
from support.programs import COMMAND_LINE, Program
from support.terminal import in_terminal

EXECUTABLE = Path(sys.executable).with_name("session-log")
POSITION = re.compile(r"\d{12,16}-\d+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FREE = {"data", "facts", "state", "message", "redact_message", "session", "multi_agents", "before", "after"}
"""What users and Strands fill with names of their own."""


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    ours = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace, "NO_COLOR": "1"}
    return {**{name: value for name, value in os.environ.items() if name != "COLUMNS"}, **ours}


class Watched:
    """`session-log` in a terminal, until it is interrupted."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, columns: int) -> None:
        self._near, far = pty.openpty()
        size = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}
        self.process = Program(
            [*COMMAND_LINE, *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            env={**environment, **size},
            start_new_session=True,
        )
        os.close(far)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._near)

    def until(self, text: str, times: int = 1) -> str:
        """What it shows, up to and with a text, when that has come so often."""
        shown = ""
        while shown.count(text) < times and (more := self._read()):
            shown += more
        return shown

    def interrupt(self) -> str:
        """What it says when it is interrupted."""
        self.process.send_signal(signal.SIGINT)
        said = ""
        while more := self._read():
            said += more
        assert self.process.wait(30) == 130, said
        return said

    def _read(self) -> str:
        try:
            return os.read(self._near, 65_536).decode().replace("\r", "")
        except OSError:
            return ""


def numbered(shown: str) -> dict[int, str]:
    """The summaries of a table, by revision."""
    return {
        int(line.split()[0].rpartition("-")[2]): line
        for line in shown.splitlines()[1:]
        if line[0].isdigit() or line[0] == " "
    }


def test_every_event_says_in_words_what_happened(talk: SessionLog, run: Run) -> None:
    talk.append(
        "s-42",
        [
            events.SessionAnnotated({"case": "4711"}),
            events.WindowChanged({"items": [[1, 3]], "removed": 0, "next": 4}, "default"),
            events.AgentUpdated({"agent_id": "default", "state": {"luggage": "none"}}, "default"),
            events.ToolCompleted({"name": "forecast", "status": "success", "duration_ms": 12}, "default"),
            events.InvocationFailed({"error": "ValueError", "duration_ms": 12}, "default"),
            events.RecordingGap({"lost": 12, "error": "TimeoutError"}, "default"),
            events.MultiAgentCreated({"type": "graph", "status": "executing"}, "plan"),
            events.MessageRedacted({"message_id": 0, "redact_message": {"role": "user", "content": [{"text": "-"}]}}),
            events.Custom("custom.note", {"text": "red"}),
        ],
    )
    talk.erase("s-42", 4, reason="asked for")
    talk.rewind("s-42", 3)

    shown = {at: re.split("  +", line)[-1] for at, line in numbered(run("events", "s-42").stdout).items()}

    assert shown[1] == "session created"
    assert shown[2] == 'agent created: state luggage="hand"'
    assert shown[4] == "assistant: (erased)"
    assert shown[7] == 'session annotated: case="4711"'
    assert shown[8] == "the agent now holds messages 4\u20136"
    assert shown[9] == 'agent updated: state luggage="none"'
    assert shown[10] == "tool completed: forecast, success, 12 ms"
    assert shown[11] == "invocation failed: ValueError, 12 ms"
    assert shown[12] == "12 events could not be recorded: TimeoutError"
    assert shown[13] == 'multi agent created: type="graph", status="executing"'
    assert shown[14] == "user (redacted): -"
    assert shown[15] == 'custom note: text="red"'
    assert shown[16] == "content of 4 erased: asked for"
    assert shown[max(shown)] == "back to revision 3"


def test_replay_says_it_in_the_same_words(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", events.WindowChanged({"items": [[1, 3]], "removed": 0, "next": 4}, "default"))
    talk.append("s-42", events.ToolFailed({"name": "forecast", "error": "TimeoutError"}, "default"))
    talk.erase("s-42", 4, reason="asked for")

    shown = run("replay", "s-42").stdout

    for told in (
        "session created",
        "the agent now holds messages 4\u20136",
        "tool failed: forecast, TimeoutError",
        "content of 4 erased: asked for",
    ):
        assert told in shown


def test_what_an_agent_holds_is_counted_where_it_was_not_seen(talk: SessionLog, run: Run) -> None:
    talk.append("s-42", events.WindowChanged({"items": [[0, 0], {"message": {}}, [2, 3]], "next": 4}, "default"))

    shown = run("events", "s-42", "--type", "window.changed").stdout

    assert "the agent now holds 3 messages and 1 message beside the transcript" in shown


@pytest.mark.parametrize(
    "event",
    [
        events.SessionCreated({"session_type": "AGENT"}),
        events.ToolCompleted({"name": "forecast", "status": "success", "duration_ms": 12.5}, "a"),
        events.InvocationCompleted({"stop_reason": "end_turn", "usage": {"totalTokens": 14}}, "a"),
        events.InvocationFailed({"error": "ValueError at a.py:3"}, "a"),
        events.NodeCompleted({"node": "critic", "status": "completed"}, "a"),
        events.SessionRewound({"from": "1700000000000-9", "to": "1700000000000-3"}),
        events.SessionForked({"parent": "s-1", "at": "1700000000000-3"}),
    ],
    ids=lambda event: event.type,
)
def test_the_feed_alone_says_the_same_of_what_has_no_content(event: events.Event) -> None:
    recorded = Recorded(EventId(1_700_000_000_000, 3), event, "")

    assert envelope_summary(Envelope.of(FeedId(0, 1, 1), "s", recorded)) == summary(event)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (message(3, "user", "secret"), "user: message 3"),
        (message(3, "assistant", "secret", CALL), "assistant: → forecast"),
        (events.WindowChanged({"items": [[0, 3]], "removed": 1, "next": 4}, "a"), "the agent now holds other messages"),
        (events.PayloadErased({"erased": ["1700000000000-4"], "reason": "secret"}), "content of 4 erased"),
        (events.AgentUpdated({"agent_id": "a", "state": {"secret": 1}}, "a"), "agent updated"),
        (events.Custom("custom.note", {"text": "secret"}), "custom note"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_feed_alone_says_who_and_what_but_no_content(event: events.Event, told: str) -> None:
    recorded = Recorded(EventId(1_700_000_000_000, 3), event, "")

    assert envelope_summary(Envelope.of(FeedId(0, 1, 1), "s", recorded)) == told


@pytest.mark.parametrize("columns", [80, 160])
def test_summaries_have_room_on_every_terminal(talk: SessionLog, environment: Mapping[str, str], columns: int) -> None:
    said = "".join(map(str, range(100)))
    talk.append("s-42", [message(4, "user", said, agent="a-researcher-with-a-long-name")] * 1)
    talk.append("s-42", events.InvocationCompleted({"stop_reason": said}, "a-researcher-with-a-long-name"))

    shown = numbered(in_terminal(environment, "events", "s-42", columns=columns))

    assert said[:33] in shown[7].replace("user: ", "")
    assert "invocation completed: " in shown[8]
    assert all(len(line) <= columns for line in shown.values())
    assert ("message.added" in shown[7]) == (columns == 160)


@pytest.mark.parametrize("columns", [80, 160])
def test_tail_of_all_says_what_events_says(talk: SessionLog, environment: Mapping[str, str], columns: int) -> None:
    session_id, agent = "a-session-with-a-long-name-too", "a-researcher-with-a-long-name"
    talk.append(session_id, message(0, "user", "x" * 34, agent=agent))
    talk.append(session_id, events.ToolCompleted({"name": "forecast", "status": "success", "duration_ms": 12}, agent))
    summaries = [summary(one.event) for name in ("s-42", session_id) for one in talk.read(name)]

    with Watched(environment, "tail", "--since", "-1h", columns=columns) as tail:
        lines = tail.until("\n", len(summaries)).splitlines()
        interrupted = tail.interrupt()

    shown = sorted(re.split("  +", line)[-1].removesuffix("…") for line in lines)
    assert all(told.startswith(line) for line, told in zip(shown, sorted(summaries), strict=True))
    assert all(line == told or len(line) >= 39 for line, told in zip(shown, sorted(summaries), strict=True))
    assert all(len(line) <= columns for line in lines)
    assert interrupted.strip().startswith("session-log: stopped; go on with: session-log tail --after ")


def ids_in(value: Any) -> Iterator[tuple[str, Any]]:
    """What is called `id` or `event_id` in something that was printed, but for what users fill."""
    if isinstance(value, list):
        for one in value:
            yield from ids_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in ("id", "event_id"):
                yield name, one
            elif name not in FREE:
                yield from ids_in(one)


def test_id_is_where_an_event_stands_and_event_id_its_uuid_in_all_json(
    talk: SessionLog, run: Run, environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Subscriber(talk, "g") as deliveries:
        next(deliveries).park("why")
    (parked,) = talk.parked("g")
    rerun_models.make_agent(rerun_models.the_same(), ValkeySessionManager("s-1", log=talk))("What should I pack?")
    calls = {
        **{name: ["s-42"] for name in ("show", "replay", "events", "why")},
        **{name: [] for name in ("sessions", "anchor", "groups", "doctor")},
        "grep": ["jacket"],
        "acl": ["viewer"],
        "seal": ["--to", str(tmp_path / "seals"), "--key", str(tmp_path / "seal.key")],
        "diff": ["s-42", "3"],
        "fork": ["s-42", "s-43"],
        "rewind": ["s-42", "3", "--yes"],
        "testcase": ["s-42"],
        "rerun": ["s-1", "--at", "4", "--model", "support.rerun_models:the_same"],
        "verify": ["s-43"],
        "erase": ["s-43", "4", "--yes"],
        "export": ["s-42", "--to", "file-session", str(tmp_path)],
        "import": [f"file-session:{tmp_path}", "--dry-run"],
        "parked list": ["g"],
        "parked show": ["g", parked.parked_id],
        "parked replay": ["g", parked.parked_id],
        "parked drop": ["g", "--all", "--yes"],
        "hold": ["s-42", "--by", "ada", "--reason", "why"],
        "holds": [],
        "release": ["s-42", "--by", "ada", "--reason", "why"],
        "prune": ["--keep-last", "1", "--dry-run"],
        "retention apply": [str(tmp_path / "policies.json"), "--dry-run"],
        "retention ttl": ["s-42", "30d"],
        "subject add": ["s-42", "user-77"],
        "subject find": ["user-77"],
        "subject export": ["user-77", "--to", str(tmp_path / "user-77.jsonl")],
        "subject erase": ["user-77", "--dry-run"],
        "subject reindex": [],
        "archive": ["s-43", "--archive", str(tmp_path / "archive"), "--drop"],
        "archived": ["--archive", str(tmp_path / "archive")],
        "restore": ["s-43", "--archive", str(tmp_path / "archive")],
        "search": ["jacket", "--index", str(tmp_path / "search.db")],
        "delete": ["s-43", "--yes"],
        "groups delete": ["g", "--yes"],
    }
    make_key_file(tmp_path / "seal.key", "example.com/agents")
    (tmp_path / "key").write_bytes(b"k" * 32)
    monkeypatch.setenv("SESSION_LOG_SUBJECT_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "policies.json").write_text('{"policy": [{"keep_last": 1}]}')
    run("index", "--index", str(tmp_path / "search.db"), "--once")
    with_json = {name for name, one in commands_in(get_command(app)) if any("--json" in it.opts for it in one.params)}
    of_keys = {f"keys {name}" for name in ("new", "list", "rotate", "shred")}
    elsewhere = {"tail", "groups catch-up", "groups skip", "retention sweep", "witness", "forward", "otel"} | of_keys
    assert with_json - set(calls) == elsewhere, "call the new one here, too"
    printed = {
        name: run(*name.split(), *words, "--json", exit_code=None).stdout.splitlines()
        for name, words in calls.items()
        if name in with_json
    }
    for words in (["s-42", "--since", "0"], ["--since", "-1h"], ["s-42", "--live", "--since", "0"]):
        with Program([*COMMAND_LINE, "tail", *words, "--json"], env=environment, stdout=PIPE, text=True) as tail:
            assert tail.stdout is not None
            printed[f"tail {words}"] = [tail.stdout.readline()]
            tail.send_signal(signal.SIGINT)

    assert all(printed.values()), "each prints something"
    found = [pair for lines in printed.values() for line in lines for pair in ids_in(json.loads(line))]
    assert len({name for name, _ in found}) == 2
    for name, value in found:
        assert (UUID if name == "event_id" else POSITION).fullmatch(value), (name, value)
    for command in ("fork", "rewind", "events", "replay"):
        assert {"id", "event_id"} <= set(json.loads(printed[command][0])), command


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize(
    ("typed", "shown", "again"),
    [
        (["tail", "s-42"], "A light jacket.", "session-log tail s-42 --since 6"),
        (
            ["tail", "s-42", "--type", "message.*", "--since", "5"],
            "A light jacket.",
            "session-log tail s-42 --since 6 --type 'message.*'",
        ),
        (["replay", "s-42", "--follow", "--speed", "0.00001", "--max-pause", "1h"], "session created", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_control_c_prints_the_command_that_goes_on(
    talk: SessionLog, environment: Mapping[str, str], typed: list[str], shown: str, again: str | None, columns: int
) -> None:
    with Watched(environment, *typed, columns=columns) as terminal:
        terminal.until(shown)
        told = terminal.interrupt()

    assert "Traceback" not in told
    _, _, command = told.partition("session-log: stopped; go on with: ")
    if again is None:
        assert re.fullmatch(r"session-log replay s-42 --from \d --follow --speed 1e-05 --max-pause 3600\s*", command)
    else:
        assert command.strip() == again
