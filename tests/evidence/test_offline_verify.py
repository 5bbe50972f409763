"""Verifying a bundle offline: by the package, by the command line, and by the file that the bundle has with it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import SessionLog, verify_bundle
from strands_session_log.errors import BundleError
from strands_session_log.evidence import sessions_in
from support.bundles import Bundle, bundle_of, rewritten
from support.command_line import Run, message, runner

NOWHERE = "valkey://127.0.0.1:1"


@pytest.fixture
def offline() -> Run:
    """`session-log` where there is no server."""
    return runner(NOWHERE, "nowhere")


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def changed(bundle: Bundle) -> bytes:
    """A forger's bundle: one word of one body is another, and all digests fit."""

    def change(members: dict[str, bytes]) -> None:
        name = "sessions/0001/events.jsonl"
        members[name] = members[name].replace(b"light jacket", b"heavy jacket")

    return rewritten(bundle, change)


FILTERS: list[dict[str, Any]] = [{}, {"types": "message.*"}, {"redact_bodies": True}, {"after": 2, "until": 4}]


@pytest.mark.parametrize("filters", FILTERS)
def test_an_untouched_bundle_is_intact_whatever_was_left_out(talk: SessionLog, filters: dict[str, Any]) -> None:
    talk.fork("s-42", 4, "fork", allow_unanswered=True)
    talk.append("fork", message(2, "user", "Thanks."))
    talk.erase("fork", 3, "asked to")
    talk.fork("fork", 6, "fork of fork", allow_unanswered=True)
    bundle = bundle_of(talk, **filters)
    found = verify_bundle(io.BytesIO(bundle.data))
    assert [(one.session_id, one.problems) for one in found.sessions] == [
        (one["session_id"], ()) for one in bundle.manifest["sessions"]
    ]
    assert found.ok
    assert sessions_in(io.BytesIO(bundle.data)) == [one.session_id for one in found.sessions]


def test_content_erased_while_it_was_exported_raises_no_alarm(talk: SessionLog) -> None:
    file = io.BytesIO()

    class Once:
        """Erases when the first bytes are written: the head was read then, no event was."""

        is_done = False

        def write(self, data: bytes) -> int:
            if not self.is_done:
                self.is_done = True
                talk.erase("s-42", 4, "meanwhile")
            return file.write(data)

    talk.export("s-42", Once())
    found = verify_bundle(file)
    assert found.ok, found.to_json()


def test_a_change_is_found_and_located(talk: SessionLog) -> None:
    found = verify_bundle(io.BytesIO(changed(bundle_of(talk, "s-42"))))
    (problem,) = found.sessions[0].problems
    assert (found.ok, problem.revision, problem.code) == (False, 6, "link")


def test_a_noted_link_must_be_there(talk: SessionLog) -> None:
    anchor, data = talk.anchor("s-42"), bundle_of(talk, "s-42").data
    assert verify_bundle(io.BytesIO(data), expect=[anchor]).ok
    assert verify_bundle(io.BytesIO(data), expect=[f"s-42:6:{anchor.link}"]).ok
    other = f"s-42:6:{talk.event('s-42', 5).link}"
    assert not verify_bundle(io.BytesIO(data), expect=[other]).ok


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no bundle at all", b"\x00" * 1000])
def test_what_is_no_bundle_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(BundleError, match="it is no bundle that can be read"):
        verify_bundle(io.BytesIO(data))


def test_the_command_line_verifies_a_file_without_a_server(talk: SessionLog, tmp_path: Path, offline: Run) -> None:
    bundle = bundle_of(talk, "s-42")
    path, forged = written(tmp_path / "case.zip", bundle.data), written(tmp_path / "forged", changed(bundle))

    shown = offline("verify", path).stdout
    assert "✓ s-42  6 events, chain intact, link" in shown
    assert "1 session: 1 intact, 0 broken" in shown
    assert "✗ s-42  6 events, 1 problem" in offline("verify", forged, exit_code=1).stdout
    assert "it is no bundle" in offline("verify", written(tmp_path / "other.zip", b"PK"), exit_code=2).stderr


def test_it_takes_what_anchor_printed_and_passes_over_other_sessions(
    talk: SessionLog, run: Run, tmp_path: Path, offline: Run
) -> None:
    talk.append("another", message(0, "user", "Hello"))
    anchors = tmp_path / "anchors.txt"
    anchors.write_text(run("anchor").stdout)
    path = written(tmp_path / "case.zip", bundle_of(talk, "s-42").data)
    assert "intact" in offline("verify", path, "--expect-file", str(anchors)).stdout

    anchors.write_text(f"6:{talk.event('s-42', 5).link} s-42\n")
    assert "noted" in offline("verify", path, "--expect-file", str(anchors), exit_code=1).stdout
    anchors.write_text(f"1:{talk.event('another', 1).link} another\n")
    assert "no line" in offline("verify", path, "--expect-file", str(anchors), exit_code=2).stderr


def test_package_command_line_and_the_file_in_the_bundle_say_the_same(
    talk: SessionLog, tmp_path: Path, offline: Run
) -> None:
    bundle = bundle_of(talk, "s-42", types="message.*")
    script = written(tmp_path / "verify.py", bundle.members["verify.py"])
    for name, data in (("case.zip", bundle.data), ("forged.zip", changed(bundle))):
        path = written(tmp_path / name, data)
        package = verify_bundle(path).to_json()
        alone = subprocess.run([sys.executable, "-I", script, path, "--json"], capture_output=True, check=False).stdout
        shown = offline("verify", path, "--json", exit_code=None).stdout
        assert json.loads(alone) == package
        assert json.loads(shown) == package


def test_options_about_a_server_are_refused(talk: SessionLog, tmp_path: Path, offline: Run) -> None:
    path = written(tmp_path / "case.zip", bundle_of(talk, "s-42").data)
    assert "not about a bundle" in offline("verify", path, "--feed", exit_code=2).stderr
    assert "the key of seals" in offline("verify", "s-42", "--key", "a+b+c", exit_code=2).stderr
