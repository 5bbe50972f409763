"""The verifier of evidence bundles, as a module and as the one file that a bundle has."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strands_session_log.evidence.verifier import verify
from strands_session_log.evidence.verifiers import verifier_files
from support import vectors
from support.both_verifiers import SCRIPT, node
from support.handmade_bundles import SessionFiles, bundle


def told() -> list[SessionFiles]:
    """A session of which something was erased, and a fork of it."""
    return [SessionFiles.of(one.id, one.root, one.entries) for one in vectors.made()]


def report_on(data: bytes, *expect: str) -> dict[str, Any]:
    return verify(io.BytesIO(data), expect)


@pytest.fixture
def verify_py(tmp_path: Path) -> Path:
    path = tmp_path / "verify.py"
    path.write_bytes(dict(verifier_files())["verify.py"])
    return path


def test_a_session_and_its_fork_are_as_they_were_written() -> None:
    report = report_on(bundle(*told()))
    assert report["ok"], report
    counts = [(one["session_id"], one["events"], one["erased"]) for one in report["sessions"]]
    assert counts == [("s-42", 7, 1), ("s-42-other", 8, 1)]


def test_the_one_file_names_nothing_twice_and_is_python_3_9() -> None:
    tree = ast.parse(dict(verifier_files())["verify.py"], feature_version=(3, 9))
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    names += [
        one.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for one in node.targets
        if isinstance(one, ast.Name)
    ]
    assert len(names) == len(set(names))


def test_the_one_file_needs_nothing_but_python(verify_py: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(bundle(*told()))
    command = [sys.executable, "-I", "-S", str(verify_py), str(path)]
    assert subprocess.run(command, check=True, capture_output=True).stdout.endswith(
        b"Everything is as it was written.\n"
    )
    found = subprocess.run([*command, "--json"], check=True, capture_output=True).stdout
    assert json.loads(found) == report_on(path.read_bytes())


def test_its_exit_code_tells_what_is_wrong_from_what_cannot_be_read(verify_py: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    session = told()[0]
    session.events[3]["agent"] = "another"
    path.write_bytes(bundle(session))
    command = [sys.executable, "-I", "-S", str(verify_py), str(path)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    path.write_bytes(bundle(session)[:-1])
    found = subprocess.run(command, check=False, capture_output=True)
    assert (found.returncode, found.stderr) == (2, b"")


def test_people_are_told_the_same_by_both_and_what_nothing_was_compared_with(verify_py: Path, tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.zip", tmp_path / "damaged.zip"
    session = told()[0]
    noted = f"s-42:7:{session.events[-1]['link']}"
    whole.write_bytes(bundle(*told()))
    session.events[3]["type"] = "a\x1b[31m\u202e"
    damaged.write_bytes(bundle(session))
    for given in ([str(whole)], [str(whole), "--expect", noted], [str(damaged)]):
        by_python, by_node = (
            subprocess.run([*command, *given], check=False, capture_output=True).stdout
            for command in ([sys.executable, "-I", "-S", str(verify_py)], [node(), str(SCRIPT)])
        )
        assert (b"Nothing from outside was compared" in by_python) is (given == [str(whole)])
        assert b"\x1b" not in by_python + by_node
        assert "\u202e" not in (by_python + by_node).decode()
        if given[0] == str(whole):
            assert by_node == by_python
