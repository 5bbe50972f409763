"""`session-log index` and `session-log search`."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE

import pytest

from strands_session_log import SessionLog
from support.command_line import Run, message
from support.programs import COMMAND_LINE, Program


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "search.db"
    monkeypatch.setenv("SESSION_LOG_SEARCH_INDEX", str(file))
    return file


def test_what_was_indexed_is_found_with_its_place(talk: SessionLog, run: Run, file: Path) -> None:
    told = run("index", "--once")
    assert "Indexed 4 messages" in told.stderr
    found = run("search", "light jacket").stdout
    assert found.startswith("s-42 6  ")
    assert found.endswith("default assistant: A light jacket.\n")
    line = json.loads(run("search", "forecast", "--json").stdout)
    assert (line["session_id"], line["agent"], line["found"]) == ("s-42", "default", ["forecast"])
    assert talk.event("s-42", line["id"]).event.type == "message.added"
    assert run("search", "pack", "--role", "assistant", exit_code=1).stdout == ""
    assert run("search", "pack", "--since", "-1h", "--agent", "default", "--session", "s-42").stdout


def test_what_cannot_be_searched_is_told_in_one_line(talk: SessionLog, run: Run, file: Path) -> None:
    assert "`session-log index` makes it" in run("search", "x", exit_code=2).stderr
    run("index", "--once")
    assert "parenthesis" in run("search", "(x", exit_code=2).stderr
    assert "name=value" in run("search", "x", "--label", "open", exit_code=2).stderr
    assert "'banana'" in run("search", "x", "--since", "banana", exit_code=2).stderr
    assert "'7'" in run("search", "x", "--until", "7", exit_code=2).stderr
    assert "--index" in run("search", "x", "--index", "", exit_code=2).stderr


def test_escapes_in_what_was_said_do_nothing_to_the_terminal(log: SessionLog, run: Run, file: Path) -> None:
    log.append("a", message(0, "user", "a refund\nof \x1b[31mred\u202e text"))
    run("index", "--once", "--rebuild")
    found = run("search", "refund").stdout
    assert "\x1b" not in found
    assert "\u202e" not in found
    assert found.count("\n") == 1


def test_the_service_indexes_until_it_is_told_to_stop(
    talk: SessionLog, run: Run, file: Path, environment: Mapping[str, str]
) -> None:
    with Program([*COMMAND_LINE, "index", "--index", str(file)], env=environment, stderr=PIPE, text=True) as service:
        assert service.stderr is not None
        assert "Indexed 4 messages" in service.stderr.readline()
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    assert run("search", "jacket").stdout
