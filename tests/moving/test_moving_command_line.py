"""`session-log import` and `session-log export`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog
from support import ValkeyliteServer
from support.command_line import Run, runner, write_session
from support.moving_agents import contents, file_agent

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two sessions of the file session manager."""
    for session in ("a", "b"):
        file_agent(tmp_path / "files", ["Hello."], session=session)("Hello?")
    return tmp_path / "files"


def source(files: Path) -> str:
    return f"file-session:{files}"


def objects(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_import_tells_what_became_of_each_session(log: SessionLog, run: Run, files: Path) -> None:
    assert run("import", source(files)).stdout.splitlines() == [
        "✓ a  imported 5 events, 2 messages among them",
        "✓ b  imported 5 events, 2 messages among them",
        "2 imported.",
    ]
    file_agent(files, ["Once more."], session="b")("Again?")
    assert run("import", source(files)).stdout.splitlines() == [
        "- a  is there already",
        "✓ b  added 3 events, 2 messages among them",
        "1 completed, 1 skipped.",
    ]
    assert log.verify("b").ok


@pytest.mark.parametrize("as_json", [False, True])
def test_a_directory_may_be_called_anything_and_is_told_of_in_a_line(run: Run, files: Path, as_json: bool) -> None:
    for name in (b"session_\xff\xfe", b"session_x\n\xe2\x9c\x93 y  imported 9 events\x1b[31m"):
        (files / os.fsdecode(name)).mkdir()
    result = run("import", source(files), *["--json"] * as_json, exit_code=1)
    assert len(result.stdout.splitlines()) == (4 if as_json else 5)
    if as_json:
        assert [one["outcome"] for one in objects(result)] == ["imported", "imported", "failed", "failed"]
    else:
        assert result.stdout.splitlines()[-1] == "2 imported, 2 failed."
        assert not [line for line in result.stdout.splitlines() if line.startswith("✓ y")]


def test_a_dry_run_says_what_would_be_written(log: SessionLog, run: Run, files: Path) -> None:
    before = log.client.execute_command("DBSIZE")

    shown = run("import", source(files), "--dry-run", "--session", "b").stdout

    assert shown.splitlines() == [
        "✓ b  would import 5 events, 2 messages among them",
        "Nothing was written; would be: 1 imported.",
    ]
    assert log.client.execute_command("DBSIZE") == before


def test_conflicts_and_damage_are_told_of_and_end_with_1(log: SessionLog, run: Run, files: Path) -> None:
    write_session(log)
    file_agent(files, session="s-42")("Hello?")
    torn = next((files / "session_a").rglob("message_1.json"))
    torn.write_text('{"message"')

    a, b, conflict, verdict = run("import", source(files), exit_code=1).stdout.splitlines()

    assert a.startswith(f"✗ a  failed: {torn}: not valid JSON")
    assert b.startswith("✓ b")
    assert conflict.startswith("✗ s-42  conflict: the log has events of its own under this id")
    assert verdict == "1 imported, 1 conflict, 1 failed."


@pytest.mark.parametrize(
    ("name", "exit_code", "told"),
    [
        ("file-session:/no/where", 2, "/no/where: there is no such directory"),
        ("snapshots:/no/where", 2, "/no/where: there is no such directory"),
        ("s3:bucket", 2, "s3:bucket: not a place to import from; give valkey-session-manager:URL"),
        ("file-session:", 2, "not a place to import from"),
        ("valkey-session-manager:nonsense", 2, "cannot use the URL 'nonsense'"),
        ("valkey-session-manager:valkey://me:secret@127.0.0.1:1", 4, "the server to import from cannot be used"),
    ],
)
def test_a_source_that_cannot_be_used_is_told_in_one_line(run: Run, name: str, exit_code: int, told: str) -> None:
    result = run("import", name, exit_code=exit_code)

    (line,) = result.stderr.splitlines()
    assert told in line
    assert "secret" not in line


def test_a_server_that_may_evict_sessions_is_no_place_to_move_to(files: Path) -> None:
    with ValkeyliteServer(maxmemory_policy="allkeys-lru") as server:
        result = runner(server.url, "strands")("import", source(files), exit_code=4)

    assert "noeviction" in result.stderr


def test_the_directory_of_one_session_is_not_taken_for_many(run: Run, files: Path) -> None:
    assert "this is one session" in run("import", source(files / "session_a"), exit_code=2).stderr


def test_export_writes_what_import_reads(log: SessionLog, run: Run, files: Path, tmp_path: Path) -> None:
    run("import", source(files))

    shown = run("export", "a", "b", "--to", "file-session", str(tmp_path / "out")).stdout

    assert [line.split()[:4] for line in shown.splitlines()] == [
        ["✓", "a", "2", "messages"],
        ["✓", "b", "2", "messages"],
    ]
    assert contents(tmp_path / "out") == contents(files)
    run("export", "--all", "--to", "file-session", str(tmp_path / "all"))
    assert contents(tmp_path / "all") == contents(files)


def test_export_does_not_overwrite_unless_forced(log: SessionLog, run: Run, tmp_path: Path) -> None:
    write_session(log)
    arguments = ("export", "s-42", "--to", "file-session", str(tmp_path))
    run(*arguments)

    assert "exists already" in run(*arguments, exit_code=1).stderr
    run(*arguments, "--force")


def test_export_refuses_what_it_cannot_do(log: SessionLog, run: Run, tmp_path: Path) -> None:
    run("export", "s-42", "--to", "file-session", str(tmp_path), exit_code=3)
    assert "'s3'" in run("export", "s-42", "--to", "s3", "bucket", exit_code=2).stderr
    for sessions in ((), ("s-42", "--all")):
        assert "--all" in run("export", *sessions, "--to", "file-session", str(tmp_path), exit_code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_about_the_command_line_lists_the_fields_of_json(
    log: SessionLog, run: Run, files: Path, tmp_path: Path
) -> None:
    imported = objects(run("import", source(files), "--json"))
    exported = objects(run("export", "a", "--json", "--to", "file-session", str(tmp_path)))

    for command, found in (("import", imported), ("export", exported)):
        page = DOCUMENTATION.read_text().partition(f"### session-log {command}")[2]
        documented = re.search(r"--json`: `\{(.*?)\}`", page, re.DOTALL)
        assert documented is not None
        assert list(found[0]) == re.findall(r'"(\w+)"', documented[1])
