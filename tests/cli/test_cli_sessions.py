"""What happened last night: `sessions` with its filters, and `why`."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.events import listing
from support.command_line import Run, message
from support.terminal import in_terminal, shown_in_terminal

EXECUTABLE = Path(sys.executable).with_name("session-log")
THROTTLED = {"error": "ModelThrottledException", "error_text": "Too many requests"}


@pytest.fixture
def night(log: SessionLog) -> SessionLog:
    """Sessions as a night leaves them."""
    began = events.InvocationStarted({"invocation": "i"}, "default")
    log.append("fine", [began, message(0, "user", "Hello"), message(1, "assistant", "Good evening.")])
    log.append("fine", events.InvocationCompleted({"stop_reason": "end_turn"}, "default"))
    log.append("failed", [_again(began), message(0, "user", "Refund order 77")])
    log.append(
        "failed", events.ToolFailed({"name": "lookup", "error": "KeyError", "error_text": "order 77"}, "default")
    )
    log.append("failed", events.InvocationFailed(THROTTLED, "default"))
    log.append("asks", [_again(began), message(0, "user", "Pay the bill")])
    log.append("asks", events.ModelCompleted({"usage": {"inputTokens": 1200, "outputTokens": 34}}, "default"))
    reason = {"amount": 300}
    log.append("asks", events.InterruptRaised({"id": "v1:x", "name": "approve", "reason": reason}, "default"))
    log.append("asks", events.InvocationCompleted({"stop_reason": "interrupt"}, "default"))
    log.append("asks", events.SessionAnnotated({"team": "billing", "prio": 1}))
    log.append("two", [events.InvocationStarted({}, "writer"), events.InvocationStarted({}, "editor")])
    log.append("two", events.ToolStarted({"name": "render"}, "writer"))
    return log


@pytest.fixture
def environment(night: SessionLog, server_url: str) -> Mapping[str, str]:
    """Where the command line finds them."""
    return {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": night.namespace}


def _again(event: Any) -> Any:
    return type(event)(event.data, event.agent)


def listed(run: Run, *options: str) -> list[str]:
    return [json.loads(line)["session_id"] for line in run("sessions", *options, "--json").stdout.splitlines()]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), ["two", "asks", "failed", "fine"]),
        (("--ascending",), ["fine", "failed", "asks", "two"]),
        (("--failed",), ["failed"]),
        (("--waiting",), ["asks"]),
        (("--failed", "--waiting"), ["asks", "failed"]),
        (("--agent", "writer"), ["two"]),
        (("--agent", "nobody"), []),
        (("--label", "team=billing"), ["asks"]),
        (("--label", "team=billing", "--label", "prio=1"), ["asks"]),
        (("--label", "team=other"), []),
        (("--waiting", "--label", "team=billing", "--since", "-8h"), ["asks"]),
        (("--failed", "--since", "-8h", "--until", "2999-01-01"), ["failed"]),
        (("--until", "-8h"), []),
        (("--since", "2999-01-01"), []),
        (("--grep", "REFUND"), ["failed"]),
        (("--grep", "waits for"), ["two", "asks"]),
        (("--failed", "--grep", "bill"), []),
    ],
)
def test_sessions_are_found_by_what_they_stand_at(
    night: SessionLog, run: Run, options: tuple[str, ...], found: list[str]
) -> None:
    assert listed(run, *options) == found


def test_a_line_as_json_has_all_that_is_known(night: SessionLog, run: Run) -> None:
    (line,) = run("sessions", "--waiting", "--json").stdout.splitlines()
    found = json.loads(line)
    (agent,) = found["agents"]
    assert (found["status"], found["errors"], found["messages"]) == ("answer", 0, 1)
    assert (found["input_tokens"], found["output_tokens"]) == (1200, 34)
    assert found["labels"] == {"team": "billing", "prio": 1}
    assert (agent["agent"], agent["name"], agent["since"].rpartition("-")[2]) == ("default", "approve", "4")
    assert found["last_message"]["data"]["message"]["content"] == [{"text": "Pay the bill"}]


@pytest.mark.parametrize("columns", [80, 160])
def test_a_terminal_shows_what_happened_in_lines_that_fit(
    night: SessionLog, environment: Mapping[str, str], columns: int
) -> None:
    shown = in_terminal(environment, "sessions", columns=columns)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= columns
    assert re.search(r"failed +failed at 4, \d\d:\d\d", shown)
    assert re.search(r"asks +waits for an answer since \d\d:\d\d", shown)
    assert re.search(r"two +writer: waits for render since", shown)
    assert "Refund order 77" in shown
    assert ("TOKENS" in lines[0]) is (columns == 160)


def test_what_failed_is_red_on_a_terminal(night: SessionLog, environment: Mapping[str, str]) -> None:
    shown = shown_in_terminal(environment, "sessions", "--failed")
    assert "\x1b[31mfailed at 4" in shown


def test_pages_go_on_in_both_directions(night: SessionLog, run: Run) -> None:
    for direction, rest in (((), ["failed", "fine"]), (("--ascending",), ["asks", "two"])):
        page = run("sessions", "--limit", "2", *direction).stdout.splitlines()
        cursor = shlex.split(page[-1])[-1]
        assert listed(run, "--before", cursor, *direction) == rest


ODD = ["it's", "-x", "--help", "a b", "100%", "$(exit 9)", "`a`", "!a", "a\\b", "[bold]x", "büro 😀", "ㅤ\\'ㅤ", "x" * 256]


@pytest.mark.parametrize("session_id", ODD)
def test_a_page_goes_on_behind_whatever_id_when_its_cursor_is_pasted(
    log: SessionLog, run: Run, session_id: str
) -> None:
    for ms, one in enumerate(("last", session_id, "first"), 1_700_000_000_000):
        log.append(one, events.SessionCreated({"session_id": one}))
        log.client.execute_command("ZADD", log._events.keyspace.session(one).sessions, ms, one)
    pasted = run("sessions", "--limit", "2").stdout.splitlines()[-1].partition(": ")[2]
    assert listed(run, *_words(pasted)) == ["last"]


@pytest.mark.parametrize("session_id", ODD)
@pytest.mark.parametrize("ends", [events.InvocationFailed({"error": "E"}, "default"), None], ids=["failed", "silent"])
def test_what_why_prints_can_be_pasted_whatever_the_session_is_called(
    log: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch, session_id: str, ends: Any
) -> None:
    monkeypatch.setattr(listing, "SILENT_AFTER", timedelta(0))
    log.append(session_id, [events.SessionCreated({}), events.InvocationStarted({}, "default")])
    log.append(session_id, [message(0, "user", "Hello"), *([_again(ends)] if ends else [])])
    commands = json.loads(run("why", "--json", "--", session_id).stdout)["commands"]
    assert [_words(one)[:2] for one in commands] == [["session-log", name] for name in ("replay", "fork", "rewind")]
    for one in commands:
        _, name, *words = _words(one)
        run(name, *(["--yes"] if name == "rewind" else []), *words)
    assert next(iter(log.read(session_id[:250] + "-again", types=["session.forked"])))
    assert next(iter(log.read(session_id, types=["session.rewound"])))


def _words(typed: str) -> list[str]:
    """What a shell makes of it."""
    program = "import json, sys; print(json.dumps(sys.argv[1:]))"
    script = f"set -f; {shlex.quote(sys.executable)} -c {shlex.quote(program)} {typed}"
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    return list(json.loads(told))


def test_answers_are_python_of_whatever_ids_all_of_them_in_one_call(night: SessionLog, run: Run) -> None:
    ids = ["v1:\"😀\x7f\\n'", "v1:y"]
    raised = [events.InterruptRaised({"id": one, "name": "approve"}, "default") for one in ids]
    night.append("asked twice", [events.InvocationStarted({}, "default"), *raised])
    (answer,) = (one for one in run("why", "asked twice").stdout.splitlines() if "agent(" in one)
    given = ast.literal_eval(answer.strip().removeprefix("agent(").removesuffix(")"))
    assert [one["interruptResponse"]["interruptId"] for one in given] == ids


def test_a_node_that_failed_is_where_its_graph_did(log: SessionLog, run: Run) -> None:
    failed = {"node": "one", "status": "failed", "error": "ValueError", "error_text": "no"}
    log.append("s", [events.NodeStarted({"node": "one"}, "graph"), events.NodeCompleted(failed, "graph")])
    log.append("s", events.MultiAgentUpdated({"status": "failed"}, "graph"))
    told = run("why", "s").stdout
    assert "node.completed one" in told
    assert "ValueError: no" in told


def test_many_agents_are_told_of_with_one_look_at_the_session(
    log: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, read = list[object](), SessionLog.read

    def watched(log: SessionLog, *of: Any, **how: Any) -> Any:
        looks.append(of)
        return read(log, *of, **how)

    monkeypatch.setattr(SessionLog, "read", watched)
    log.append("s", [events.InvocationFailed({"error": "E"}, f"agent {number}") for number in range(200)])
    assert len(json.loads(run("why", "s", "--json").stdout)["troubles"]) > 90
    assert len(looks) == 1


@pytest.mark.parametrize("field", ["counts", "open"])
def test_one_whose_head_sums_up_half_of_it_is_not_summed_up(night: SessionLog, run: Run, field: str) -> None:
    night.client.execute_command("HDEL", night._events.keyspace.session("failed").head, field)
    (status,) = [
        one["status"]
        for line in run("sessions", "--json").stdout.splitlines()
        if (one := json.loads(line))["session_id"] == "failed"
    ]
    assert status == "unknown"
    assert "Too many requests" in run("why", "failed").stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--label", "team"), "--label 'team' must look like name=value"),
        *((("--before", junk), "neither a time nor a cursor") for junk in ("1/", "1/\udcff", f"{'9' * 5000}/s")),
        (("--agent", ""), "agent"),
        (("--agent", "\udcff"), "U+DCFF"),
        (("--since", "banana"), "--since 'banana' is no time"),
        (("--until", "12"), "--until '12' is no time"),
    ],
)
def test_what_is_no_filter_is_named(night: SessionLog, run: Run, options: tuple[str, ...], told: str) -> None:
    assert told in run("sessions", *options, exit_code=2).stderr


def test_who_should_be_at_work_and_is_not_heard_of_is_silent(
    night: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SILENT_AFTER", timedelta(0))
    assert "writer: silent since" in run("sessions").stdout
    told = run("why", "two").stdout
    assert "its process may have been killed" in told
    assert "session-log replay two --from 1" in told
    assert "session-log rewind two 1" in told


def test_why_names_the_failure_with_its_text_and_the_way_on(night: SessionLog, run: Run) -> None:
    told = run("why", "failed").stdout
    assert "ModelThrottledException: Too many requests" in told
    assert "3 tool.failed lookup: KeyError: order 77" in told
    assert "session-log replay failed --from 1" in told
    found = json.loads(run("why", "failed", "--json").stdout)
    (trouble,) = found["troubles"]
    assert (trouble["agent"], trouble["error"], trouble["error_text"]) == ("default", *THROTTLED.values())
    assert trouble["id"] == str(night.head("failed"))
    assert [one["type"] for one in trouble["errors"]] == ["tool.failed", "invocation.failed"]


def test_why_says_what_a_person_is_asked_and_how_to_answer(night: SessionLog, run: Run) -> None:
    told = run("why", "asks").stdout
    assert 'approve: {"amount": 300}' in told
    assert 'agent([{"interruptResponse": {"interruptId": "v1:x", "response": "yes"}}])' in told
    (trouble,) = json.loads(run("why", "asks", "--json").stdout)["troubles"]
    assert [(one["name"], one["reason"]) for one in trouble["interrupts"]] == [("approve", {"amount": 300})]


def test_why_of_one_that_nothing_is_the_matter_with_says_so(night: SessionLog, run: Run) -> None:
    assert "Nothing failed, and nothing is waited for." in run("why", "fine").stdout
    night.append("failed", [events.InvocationStarted({}, "default"), events.InvocationCompleted({}, "default")])
    assert "got over: invocation.failed at 4" in run("why", "failed").stdout
    assert json.loads(run("why", "failed", "--json").stdout)["last_error"]["error_text"] == "Too many requests"
    run("why", "nobody", exit_code=3)


def test_what_an_error_said_and_who_labelled_it_can_be_erased(night: SessionLog, run: Run) -> None:
    night.erase("failed", 4, reason="asked to")
    night.erase("asks", 6, reason="asked to")
    assert "(erased)" in run("why", "failed").stdout
    assert "Too many" not in run("why", "failed", "--json").stdout
    assert listed(run, "--label", "team=billing") == []
    assert listed(run, "--failed") == ["failed"]


def test_a_session_of_before_is_summed_up_on_demand(night: SessionLog, run: Run) -> None:
    key = night._events.keyspace.session("failed").head
    night.client.execute_command("HDEL", key, "counts", "open")
    assert "not summed up" in run("sessions").stdout
    assert listed(run, "--failed") == []
    assert "Too many requests" in run("why", "failed").stdout
    assert "does not sum up" in run("verify", "failed").stdout
    assert "1 not summed up as their events say" in run("verify", "--all", "--recount").stdout
    assert listed(run, "--failed") == ["failed"]
    assert "summed up" not in run("verify", "--all").stdout


def test_sessions_tells_what_models_cost_at_the_prices_that_are_named(
    night: SessionLog, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.append("fine", events.ModelCompleted({"model_id": "m-1", "usage": {"inputTokens": 1500}}, "default"))
    mine, others = tmp_path / "mine.yaml", tmp_path / "others.yaml"
    mine.write_text("- {model: m-1, input: 3}")
    others.write_text("- {model: m-1, input: 2000}")
    told = {one["session_id"]: one["cost"] for one in map(json.loads, _lines(run, "--prices", str(mine), "--json"))}
    assert told["fine"] == {"dollars": 0.0045, "unpriced_tokens": 0, "exact": True}
    assert told["asks"] == {"dollars": 0.0, "unpriced_tokens": 1234, "exact": True}
    monkeypatch.setenv("SESSION_LOG_PRICES", str(others))
    headings, *rows = (re.split(r"  +", line.strip()) for line in _lines(run, "--cost"))
    shown = {row[0]: row[headings.index("COST")] for row in rows}
    assert shown == {"fine": "$3.00", "asks": "-", "failed": "$0.0000", "two": "$0.0000"}


def test_sessions_reads_no_session_for_its_cost_unless_asked(night: SessionLog, run: Run) -> None:
    assert all("cost" not in json.loads(line) for line in _lines(run, "--json"))
    assert "nowhere.yaml" in run("sessions", "--prices", "nowhere.yaml", exit_code=2).stderr


def _lines(run: Run, *options: str) -> list[str]:
    return list(run("sessions", *options).stdout.splitlines())
