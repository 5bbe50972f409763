"""What `session-log doctor` says of encryption: of keys that are missing or wrong, and of what stands in the clear."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from strands_session_log import LocalKeys, SessionLog, inspect_server
from support.command_line import runner
from support.erasing import fill


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys.new(tmp_path / "keys")


def told(server_url: str, namespace: str, keys: LocalKeys | str | None) -> dict[str, list[tuple[str, str]]]:
    """What is found of keys and of what is encrypted, by subject."""
    found = dict[str, list[tuple[str, str]]]()
    for one in inspect_server(server_url, namespace, encryption=keys).findings:
        found.setdefault(one.subject, []).append((one.level, one.found))
    return found


def test_where_nothing_is_encrypted_it_says_nothing_of_it(server_url: str, namespace: str) -> None:
    with SessionLog.connect(server_url, namespace) as log:
        fill(log, 1)
    assert told(server_url, namespace, None).keys().isdisjoint({"encryption", "key store", "session keys", "plaintext"})


def test_where_all_is_well_it_says_so(server_url: str, namespace: str, keys: LocalKeys) -> None:
    with SessionLog.connect(server_url, namespace, encryption=keys) as log:
        fill(log, 1)
        log.fork("s", None, "fork")
    found = told(server_url, namespace, keys)
    assert found["encryption"] == [("ok", "all 2 sessions are encrypted")]
    assert found["session keys"] == [("ok", "those of 1 session are there, and open")]
    assert found["key store"][0][0] == "ok"
    assert "plaintext" not in found


def test_it_names_the_sessions_whose_keys_are_missing_or_shredded(
    server_url: str, namespace: str, keys: LocalKeys, tmp_path: Path
) -> None:
    other = LocalKeys.new(tmp_path / "other")
    for name, its in (("s-1", keys), ("s-2", keys), ("s-3", other)):
        with SessionLog.connect(server_url, namespace, encryption=its) as log:
            fill(log, 1, name)
    keys.shred("s-2", reason="request 4711")
    levels = told(server_url, namespace, keys)["session keys"]
    assert [level for level, _ in levels] == ["ok", "ok", "warn"]
    assert "'s-2'" in levels[1][1]
    assert "shredded" in levels[1][1]
    assert "'s-3'" in levels[2][1]
    assert "missing" in levels[2][1]
    assert told(server_url, namespace, None)["session keys"] == [("warn", "unknown: there is no key store")]


def test_keys_that_cannot_be_opened_are_an_error(
    server_url: str, namespace: str, keys: LocalKeys, tmp_path: Path
) -> None:
    with SessionLog.connect(server_url, namespace, encryption=keys) as log:
        fill(log, 1)
    other = LocalKeys.new(tmp_path / "other")
    shutil.copytree(keys.path / "sessions", other.path / "sessions", dirs_exist_ok=True)
    ((level, found),) = told(server_url, namespace, str(other.path))["session keys"]
    assert (level, "cannot be opened" in found) == ("error", True)


def test_what_stands_in_the_clear_beside_it_is_told(server_url: str, namespace: str, keys: LocalKeys) -> None:
    with SessionLog.connect(server_url, namespace) as clear:
        fill(clear, 1, "began")
        fill(clear, 1, "clear")
    with SessionLog.connect(server_url, namespace, encryption=keys) as log:
        fill(log, 1, "began")
        fill(log, 1, "sealed")
    found = told(server_url, namespace, keys)
    assert found["encryption"] == [("warn", "2 of 3 sessions are encrypted, 1 in the clear")]
    ((level, plain),) = found["plaintext"]
    assert level == "warn"
    assert "'began'" in plain
    assert "correct-horse" not in str(found)


def test_what_was_erased_is_not_said_to_stand_in_the_clear(server_url: str, namespace: str, keys: LocalKeys) -> None:
    with SessionLog.connect(server_url, namespace) as clear:
        fill(clear, 1, "began")
    with SessionLog.connect(server_url, namespace, encryption=keys) as log:
        fill(log, 1, "began")
        fill(log, 2, "sealed")
        for name in ("began", "sealed"):
            log.erase(name, 1, reason="asked")
    assert "plaintext" not in told(server_url, namespace, keys)


def test_a_key_store_that_is_being_written_to_is_looked_at_all_the_same(
    server_url: str, namespace: str, keys: LocalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda path, pattern: [*listed(path, pattern), path / "aside" / "gone"])
    assert told(server_url, namespace, keys)["key store"][0][0] == "ok"


def test_a_key_store_that_others_may_read_is_an_error_and_so_is_none(
    server_url: str, namespace: str, keys: LocalKeys, tmp_path: Path
) -> None:
    (keys.path / "master.key").chmod(0o644)
    run = runner(server_url, namespace)
    shown = run("doctor", "--encryption-keys", str(keys.path), exit_code=1).output
    assert "others may read" in shown
    assert "chmod" in shown
    shown = run("doctor", "--encryption-keys", str(tmp_path / "none"), exit_code=1).output
    assert "keys new" in shown
