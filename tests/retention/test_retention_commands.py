"""Retention and holds on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from strands_session_log import SessionLog, events
from support.aging import age, sessions
from support.command_line import Run
from support.erasing import fill
from support.waiting import wait_until

WHO = ("--by", "counsel", "--reason", "matter 4711")


def test_a_session_is_held_listed_and_released(log: SessionLog, run: Run) -> None:
    fill(log, 2)
    held = json.loads(run("hold", "s", *WHO, "--json").stdout)
    assert held == {"session_id": "s", "id": str(log.head("s"))}
    refused = run("delete", "s", "--yes", exit_code=1)
    assert "held by event" in refused.stderr
    assert "`session-log release`" in refused.stderr
    assert "matter 4711" in run("holds").stdout
    assert json.loads(run("holds", "s", "--json").stdout)["by"] == "counsel"
    assert "[held]" in run("sessions").stdout
    assert "held by counsel: matter 4711" in run("events", "s").stdout
    run("release", "s", *WHO)
    assert "not held" in run("holds", "s").stderr
    run("release", "s", *WHO, exit_code=2)
    run("delete", "s", "--yes")


def test_of_several_holds_it_wants_to_know_which(log: SessionLog, run: Run) -> None:
    fill(log, 1)
    run("hold", "s", *WHO)
    run("hold", "s", "--by", "ada", "--reason", "another")
    assert "--hold, or --all" in run("release", "s", *WHO, exit_code=2).stderr
    assert "still held by 3 (another)" in run("release", "s", "--hold", "2", *WHO).stdout
    run("release", "s", "--all", *WHO)
    assert log.delete("s") == 5


def test_who_and_why_are_asked_for(log: SessionLog, run: Run) -> None:
    fill(log, 1)
    run("hold", "s", "--by", "ada", exit_code=2)
    run("hold", "s", "--by", "", "--reason", "why", exit_code=2)
    assert list(log.retention.holds()) == []


def test_an_erasure_tells_of_the_held_fork(log: SessionLog, run: Run) -> None:
    fill(log, 2)
    log.fork("s", None, "fork")
    run("hold", "fork", *WHO)
    assert "fork is held: 1 of it stay" in run("erase", "s", "1", "--dry-run").stdout
    run("erase", "s", "1", "--yes", exit_code=1)
    told = json.loads(run("erase", "s", "1", "--yes", "--leave-held", "--json").stdout)
    assert list(told["held"]) == ["fork"]
    assert list(told["erased"]) == ["s"]


def test_prune_tells_each_session_and_the_sum(log: SessionLog, run: Run) -> None:
    for days in range(4):
        fill(log, 1, f"s{days}")
        age(log, f"s{days}", timedelta(days=days, hours=1))
    shown = run("prune", "--older-than", "1d", "--keep-last", "2", "--dry-run").stdout
    assert "s3  would go" in shown
    assert "2 sessions would go of 4." in shown
    run("prune", "--older-than", "1d", exit_code=2)
    lines = run("prune", "--older-than", "1d", "--keep-last", "2", "--yes", "--json").stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["deleted", "deleted"]
    assert sessions(log) == {"s0", "s1"}
    run("prune", "--yes", exit_code=2)
    run("prune", "--older-than", "soon", "--yes", exit_code=2)
    run("prune", "--older-than", "1d", "--label", "x", "--yes", exit_code=2)


def test_a_file_of_policies_is_checked_and_applied(log: SessionLog, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text('[[policy]]\nname = "tests"\nolder_than = "7 days"\n')
    told = run("retention", "apply", str(file), "--dry-run", exit_code=2).stderr
    assert f"{file}, line 3, policy[1].older_than: '7 days' is no duration" in told
    file.write_text('[[policy]]\nname = "tests"\nolder_than = "7d"\n')
    fill(log, 1)
    age(log, "s", timedelta(days=8))
    assert "1 session would go of 1." in run("retention", "apply", str(file), "--dry-run").stdout
    run("retention", "apply", str(file), "--yes")
    assert sessions(log) == set()


def test_a_time_to_live_is_set_told_and_swept(log: SessionLog, run: Run) -> None:
    fill(log, 1)
    assert "no time to live" in run("retention", "ttl", "s").stdout
    assert json.loads(run("retention", "ttl", "s", "30d", "--json").stdout)["ttl_seconds"] == 2_592_000
    age(log, "s", timedelta(days=31))
    assert "s  would go" in run("retention", "sweep", "--dry-run").stdout
    assert "Deleted 1 session of 1." in run("retention", "sweep").stdout
    run("retention", "ttl", "s", exit_code=3)


def test_the_service_sweeps_again_and_again_until_it_is_told_to_end(
    log: SessionLog, server_url: str, namespace: str
) -> None:
    command = [sys.executable, "-m", "strands_session_log.cli", "retention", "sweep", "--every", "1s"]
    with subprocess.Popen([*command, "--url", server_url, "--namespace", namespace], stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        try:
            assert b"Deleted 0 sessions" in service.stdout.readline()
            log.append("s", events.Custom("custom.note", {}))
            log.retention.set_ttl("s", "1s")
            wait_until(lambda: sessions(log) == set(), "the session is swept")
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0
        finally:
            service.kill()
    assert next(log.tombstones("s")).reason == "no event for 1s, its time to live"


@pytest.mark.parametrize("words", [("prune", "--keep-last", "1"), ("retention", "apply", "FILE")])
def test_without_a_terminal_to_ask_on_it_refuses(
    log: SessionLog, run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "policies.toml"
    file.write_text("[[policy]]\nkeep_last = 1\n")
    fill(log, 1)
    run(*(str(file) if word == "FILE" else word for word in words), exit_code=2)
    assert sessions(log) == {"s"}
