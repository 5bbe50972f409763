"""`session-log export --to evidence` and `session-log import`: what they write, what they say, and what they refuse."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strands_session_log import SessionLog, verify_bundle
from support.bundles import Bundle, bundle_of
from support.command_line import Run, message, runner
from support.tampering import entries_of, tamper


@pytest.fixture
def elsewhere(server_url: str, new_namespace: Callable[[], str]) -> Iterator[SessionLog]:
    with SessionLog.connect(server_url, new_namespace()) as log:
        yield log


@pytest.fixture
def there(server_url: str, elsewhere: SessionLog) -> Run:
    """`session-log` on the empty log."""
    return runner(server_url, elsewhere.namespace)


def test_sessions_are_written_to_a_file_only_its_owner_may_read(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    talk.append("another", message(0, "user", "Hello"))
    path = tmp_path / "case.zip"
    shown = run("export", "s-42", "another", "--to", "evidence", str(path)).stdout
    assert f"✓ s-42  6 events, link {talk.anchor('s-42').link}" in shown
    assert "2 sessions, 7 events in" in shown.replace("\n", " ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert verify_bundle(path).ok
    assert list(tmp_path.iterdir()) == [path]


def test_all_of_them_are_a_backup(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    talk.append("another", message(0, "user", "Hello"))
    run("export", "--all", "--to", "evidence", str(tmp_path / "all.zip"))
    manifest = Bundle((tmp_path / "all.zip").read_bytes()).manifest
    assert {one["session_id"] for one in manifest["sessions"]} == {"s-42", "another"}


def test_filters_leave_out_content(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "case.zip")
    shown = run("export", "s-42", "--to", "evidence", path, "--type", "message.*", "--after", "3").stdout
    assert "content of 3 withheld" in shown
    (one,) = map(
        json.loads,
        run("export", "s-42", "--to", "evidence", path, "--redact-bodies", "--force", "--json").stdout.splitlines(),
    )
    assert (one["session_id"], one["withheld"], one["problems"], one["bundle"]) == ("s-42", 6, [], path)


def test_standard_output_may_take_it(talk: SessionLog, run: Run) -> None:
    data = run("export", "s-42", "--to", "evidence", "-").stdout_bytes
    assert verify_bundle(io.BytesIO(data)).ok


def test_an_existing_file_stays_unless_forced(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    path.write_bytes(b"mine")
    assert "--force replaces it" in run("export", "s-42", "--to", "evidence", str(path), exit_code=1).stderr
    assert path.read_bytes() == b"mine"
    run("export", "s-42", "--to", "evidence", str(path), "--force")
    assert verify_bundle(path).ok


def test_a_failed_export_leaves_nothing(talk: SessionLog, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "case.zip"
    run("export", "s-42", "nobody", "--to", "evidence", str(path), exit_code=3)
    run("export", "s-42", "--to", "evidence", str(path), "--after", "99", exit_code=2)
    run("export", "s-42", "--to", "evidence", str(tmp_path / "no" / "such" / "place.zip"), exit_code=5)
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_is_not_what_was_written_is_exported_with_a_warning(
    talk: SessionLog, run: Run, tmp_path: Path
) -> None:
    tamper(talk, 3, lambda fields: {**fields, "body": fields["body"].replace(b"pack", b"sell")}, "s-42")
    path = str(tmp_path / "case.zip")
    result = run("export", "s-42", "--to", "evidence", path, exit_code=1)
    assert "is not what was written" in result.stderr.replace("\n", " ")
    assert not verify_bundle(path).ok


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--to", "evidence", "x.zip"), "either sessions or --all"),
        (("s-42", "--all", "--to", "evidence", "x.zip"), "either sessions or --all"),
        (("s-42", "--to", "html", "x.html", "--agent", "a"), "are for --to evidence"),
        (("s-42", "--to", "file-session", "x", "--redact-bodies"), "are for --to evidence"),
        (("s-42", "--to", "evidense", "x.zip"), "'evidense' is not known; it can be file-session, evidence"),
    ],
)
def test_wrong_usage_is_told(talk: SessionLog, run: Run, arguments: tuple[str, ...], named: str) -> None:
    assert named in run("export", *arguments, exit_code=2).stderr.replace("\n", " ")


def test_what_was_exported_is_brought_back(
    talk: SessionLog, run: Run, elsewhere: SessionLog, there: Run, tmp_path: Path
) -> None:
    path = str(tmp_path / "case.zip")
    run("export", "s-42", "--to", "evidence", path)
    shown = there("import", path, "--dry-run").stdout
    assert "✓ s-42  would import 6 events" in shown
    assert "Nothing was written; would be: 1 imported." in shown
    shown = there("import", path).stdout
    assert "✓ s-42  imported 6 events" in shown
    assert entries_of(elsewhere, "s-42") == entries_of(talk, "s-42")
    assert "- s-42  is there already" in there("import", path).stdout
    assert "1 session: 1 intact" in there("verify", "--all", "--feed").stdout


def test_what_is_refused_is_told_and_the_others_come_back(
    talk: SessionLog, run: Run, elsewhere: SessionLog, there: Run, tmp_path: Path
) -> None:
    talk.append("another", message(0, "user", "Hello"))
    path = str(tmp_path / "case.zip")
    run("export", "--all", "--to", "evidence", path)
    there("import", path, "--session", "s-42")
    elsewhere.delete("s-42", reason="asked to")
    result = there("import", path, "--json", exit_code=1)
    told = {one["session_id"]: one for one in map(json.loads, result.stdout.splitlines())}
    assert (told["another"]["outcome"], told["s-42"]["outcome"]) == ("imported", "deleted")
    assert "because asked to" in told["s-42"]["reason"]


def test_what_cannot_be_imported_is_told_in_one_line(talk: SessionLog, there: Run, tmp_path: Path) -> None:
    data = bundle_of(talk, "s-42").data
    (tmp_path / "cut.zip").write_bytes(data[:-100])
    (tmp_path / "whole.zip").write_bytes(data)
    assert "it is no bundle" in there("import", str(tmp_path / "cut.zip"), exit_code=2).stderr
    assert "there is no file" in there("import", str(tmp_path / "none.zip"), exit_code=2).stderr
    whole = str(tmp_path / "whole.zip")
    assert "'nobody'" in there("import", whole, "--session", "nobody", exit_code=2).stderr
    assert "one other source" in there("import", whole, "file-session:x", exit_code=2).stderr


def test_a_damaged_bundle_ends_with_1_and_the_place(talk: SessionLog, there: Run, tmp_path: Path) -> None:
    tamper(talk, 3, lambda fields: {**fields, "body": fields["body"].replace(b"pack", b"sell")}, "s-42")
    path = tmp_path / "case.zip"
    path.write_bytes(bundle_of(talk, "s-42").data)
    told = there("import", str(path), exit_code=1).stderr
    assert "not what was written" in told
    assert "event" in told
