"""What is about a person, on the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from strands_session_log import SessionLog
from support.command_line import Run
from support.erasing import SECRET, fill, note


@pytest.fixture(autouse=True)
def key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The key for persons, as people give it to commands."""
    file = tmp_path / "key"
    file.write_bytes(b"k" * 32)
    monkeypatch.setenv("SESSION_LOG_SUBJECT_KEY_FILE", str(file))
    return file


def test_a_session_is_said_to_be_about_somebody_found_exported_and_erased(
    log: SessionLog, run: Run, tmp_path: Path
) -> None:
    fill(log, 2)
    assert "by event 3" in run("subject", "add", "s", "user-77").stdout
    assert "already" in run("subject", "add", "s", "user-77").stderr
    assert run("subject", "find", "user-77").stdout == "s  all of it\n"
    file = tmp_path / "user-77.jsonl"
    assert "1 session, 3 events" in run("subject", "export", "user-77", "--to", str(file)).stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line)["kind"] for line in file.read_text().splitlines()] == [
        *("export", "session", "event", "event", "event", "end")
    ]
    run("subject", "export", "user-77", "--to", str(file), exit_code=2)
    assert SECRET in run("subject", "export", "user-77", "--to", "-").stdout
    assert "s  would go, 3 events" in run("subject", "erase", "user-77", "--dry-run").stdout
    run("subject", "erase", "user-77", exit_code=2)
    told = json.loads(run("subject", "erase", "user-77", "--reason", "request 4711", "--yes", "--json").stdout)
    assert (told["outcome"], told["erased_events"]) == ("erased", 3)
    run("subject", "find", "user-77", exit_code=1)
    assert SECRET not in str([one.event.data for one in log.read("s")])


def test_what_is_held_stays_and_the_code_says_so(log: SessionLog, run: Run) -> None:
    fill(log, 1)
    run("subject", "add", "s", "user-77", "--event", "1")
    run("hold", "s", "--by", "counsel", "--reason", "matter 4711")
    shown = run("subject", "erase", "user-77", "--yes", exit_code=1).stdout
    assert "s  held, stays" in shown
    assert "Held, stays: 1." in shown


def test_the_reason_must_not_name_them(log: SessionLog, run: Run) -> None:
    log.append("s", note(1))
    run("subject", "add", "s", "user-77")
    refused = run("subject", "erase", "user-77", "--reason", "user-77 asked", "--yes", exit_code=2)
    assert "user-77" not in refused.stderr


def test_without_a_key_it_says_where_one_goes(log: SessionLog, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append("s", note(1))
    monkeypatch.delenv("SESSION_LOG_SUBJECT_KEY_FILE")
    assert "SESSION_LOG_SUBJECT_KEY_FILE" in run("subject", "find", "user-77", exit_code=2).stderr
    assert "1 session" not in run("subject", "reindex").stdout
