"""`session-log keys`, and what the other commands say of content whose key they are not given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strands_session_log import LocalKeys, SessionLog
from support.command_line import Run

from .helpers import SECRET, begin


@pytest.fixture
def store(keys: LocalKeys) -> str:
    return str(keys.path)


def test_a_key_store_is_made_once(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "made")
    made = json.loads(run("keys", "new", "--encryption-keys", path, "--json").stdout)
    assert made == {"path": path, "master": LocalKeys(path).master_ids[0]}
    assert "there is a key store already" in run("keys", "new", "--encryption-keys", path, exit_code=2).stderr


def test_which_key_store_has_to_be_said(run: Run) -> None:
    assert "which key store? pass --encryption-keys DIR" in run("keys", "list", exit_code=2).stderr


def test_what_is_encrypted_is_shown_to_who_names_the_key_store(run: Run, encrypted: SessionLog, store: str) -> None:
    begin(encrypted)
    for arguments in (("show", "s", "--encryption-keys", store), ("--encryption-keys", store, "show", "s")):
        assert SECRET in run(*arguments).stdout
    assert SECRET in run("grep", SECRET, "--encryption-keys", store).stdout


@pytest.mark.parametrize(
    "command", ["show s", "diff s 3", "grep correct s", "export s --to file-session DIR", "fork s t"]
)
def test_without_it_the_error_says_so(run: Run, encrypted: SessionLog, command: str, tmp_path: Path) -> None:
    begin(encrypted)
    told = run(*command.replace("DIR", str(tmp_path / "files")).split(), exit_code=6)
    assert "is encrypted, and no keys were given" in told.stderr
    assert SECRET not in told.stdout


def test_structure_and_proof_are_there_for_everybody(run: Run, encrypted: SessionLog) -> None:
    begin(encrypted)
    assert "user: (encrypted)" in run("events", "s").stdout
    lines = [json.loads(line) for line in run("events", "s", "--json").stdout.splitlines()]
    assert [line["sealed"] for line in lines] == [True] * 4
    assert "(encrypted)" in run("sessions").stdout
    assert "user       (encrypted)" in run("replay", "s").stdout
    run("verify", "s")


def test_keys_are_listed_and_never_shown(run: Run, encrypted: SessionLog, keys: LocalKeys, store: str) -> None:
    begin(encrypted)
    (line,) = run("keys", "list", "--json", "--encryption-keys", store).stdout.splitlines()
    (kept,) = keys.keys_of("s").keys
    listed = {"id": kept.id.hex(), "master": kept.wrapper, "created_at": kept.created_at}
    assert json.loads(line) == {"session_id": "s", "keys": [listed], "shredded": []}
    assert kept.id.hex() in run("keys", "list", "s", "--encryption-keys", store).stdout


def test_both_kinds_of_keys_can_be_rotated(run: Run, encrypted: SessionLog, keys: LocalKeys, store: str) -> None:
    begin(encrypted)
    before = keys.master_ids
    assert "wraps the keys of 1 session now" in run("keys", "rotate", "--encryption-keys", store).stdout
    assert keys.master_ids != before
    run("keys", "rotate", "s", "--encryption-keys", store)
    assert len(keys.keys_of("s").keys) == 2
    assert SECRET in run("show", "s", "--encryption-keys", store).stdout


def test_a_session_is_shredded_with_all_its_forks(run: Run, encrypted: SessionLog, store: str) -> None:
    begin(encrypted)
    encrypted.fork("s", None, "fork")
    where = ("--encryption-keys", store)
    refused = run("keys", "shred", "fork", "--yes", *where, exit_code=2)
    assert "session 'fork' is a fork, and encrypted with the key of 's'" in refused.stderr
    shredded = run("keys", "shred", "s", "--yes", "--reason", "request 4711", "--by", "privacy", "--json", *where)
    assert json.loads(shredded.stdout) == {"session_id": "s", "shredded": 1}
    for name in ("s", "fork"):
        told = run("show", name, *where, exit_code=6).stderr
        assert "by privacy: request 4711; its content, and that of its forks, cannot be read any more" in told
        run("verify", name)
    assert "was shredded" in run("grep", SECRET, *where, exit_code=6).stderr
    run("keys", "shred", "s", "--yes", *where)


def test_what_has_no_key_is_not_found(run: Run, store: str) -> None:
    told = run("keys", "shred", "nothing", "--yes", "--encryption-keys", store, exit_code=3)
    assert "session 'nothing': the key store has no key of it" in told.stderr
