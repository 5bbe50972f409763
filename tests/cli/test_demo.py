"""`session-log demo` shows what it promises, and says so only when it is true."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from strands_session_log import SessionLog
from strands_session_log.cli.app import app
from strands_session_log.demo import AgentResumed, Began, DemoError, Killed, StoryEnded, child, play, story
from support import programs
from support.strands_agents import runs_the_demo

pytestmark = runs_the_demo


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["demo", *arguments], env={"COLUMNS": "100"}, catch_exceptions=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A demo that was played to its end, and whose directory stays."""
    return run("--keep", str(tmp_path_factory.mktemp("kept") / "a demo"))


def test_the_demo_tells_its_story(kept: Any) -> None:
    assert kept.exit_code == 0, kept.output
    assert "kill -9" in kept.stdout
    assert "✗" not in kept.stdout
    assert "✓ the hash chain of all events verifies" in kept.stdout


def test_a_killed_process_leaves_a_session_that_another_one_finishes(server_url: str, namespace: str) -> None:
    began, killed, resumed, ended = play(server_url, namespace)

    assert isinstance(began, Began)
    assert isinstance(killed, Killed)
    assert isinstance(resumed, AgentResumed)
    assert isinstance(ended, StoryEnded)
    assert killed.code == -9
    assert killed.pid != resumed.pid
    assert resumed.restored == 3
    assert list(ended.events[: len(killed.events)]) == list(killed.events)
    assert [promise.text for promise in ended.promises if not promise.kept] == []
    with SessionLog.connect(server_url, namespace) as log:
        assert log.verify(began.session_id) == ended.verification


def test_a_kept_demo_can_be_looked_at_with_the_commands_it_prints(kept: Any) -> None:
    printed = kept.stdout.split("Try next")[1]

    commands = [line.partition("  #")[0].strip() for line in printed.splitlines() if line.strip()]
    url = subprocess.run(
        ["sh", "-c", f'{commands[0]}; printf %s "$SESSION_LOG_URL"'], capture_output=True, text=True, check=True
    ).stdout
    for command in (one for one in commands[1:-1] if " view " not in one):
        arguments = subprocess.run(
            ["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        result = CliRunner().invoke(app, arguments[1:], env={"SESSION_LOG_URL": url}, catch_exceptions=False)
        assert result.exit_code == 0, result.output


def test_a_demo_on_a_server_leaves_its_session_there(server_url: str, namespace: str) -> None:
    result = run("--url", server_url, "--namespace", namespace)

    assert f"SESSION_LOG_URL={server_url}" in result.stdout
    assert f"--namespace {namespace}" in result.stdout
    with SessionLog.connect(server_url, namespace) as log:
        assert [info.session_id[:5] for info in log.sessions()] == ["demo-"]


def test_a_broken_promise_is_marked_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_EXPECTED", [])

    result = run()

    assert result.exit_code == 1
    assert "✗ the conversation is whole" in result.stdout


def test_a_process_that_fails_is_named_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_url_for_others", lambda *_: "nonsense:")

    with pytest.raises(DemoError, match="InvalidUrlError"):
        list(play("embedded:", "strands"))


def test_url_and_keep_exclude_each_other(tmp_path: Path) -> None:
    result = run("--url", "valkey://localhost", "--keep", str(tmp_path))

    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_process_whose_parent_dies_ends_by_itself(server_url: str, namespace: str) -> None:
    environment = {**os.environ, child.URL_VARIABLE: server_url}
    program = ["-m", "strands_session_log.demo", namespace, "s-42", "pause"]
    orphan = programs.run(program, timeout=30, env=environment)

    assert orphan.stdout.splitlines()[-1].startswith("waiting ")
    assert orphan.returncode == 1
