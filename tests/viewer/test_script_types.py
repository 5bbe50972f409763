"""The scripts of the pages: what their comments say of types is so, by TypeScript's compiler, which writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from strands_session_log_consumers.viewer.settings import STATIC

CHECKED = Path(__file__).parent / "axe"

pytestmark = pytest.mark.viewer


def compiler(project: Path) -> subprocess.CompletedProcess[str]:
    """What the compiler says of a project."""
    command = [str(CHECKED / "node_modules/.bin/tsc"), "--project", str(project), "--pretty", "false"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_types_of_all_scripts_agree() -> None:
    assert compiler(CHECKED).stdout == ""


def test_a_mistake_in_a_script_is_noticed(tmp_path: Path) -> None:
    for script in STATIC.glob("*.js"):
        shutil.copy(script, tmp_path)
    (tmp_path / "mistake.js").write_text('import { on } from "./live.js";\non(1, "no function");\n')
    options = json.loads((CHECKED / "tsconfig.json").read_text())
    (tmp_path / "tsconfig.json").write_text(json.dumps({**options, "include": ["*.js"]}))
    said = compiler(tmp_path).stdout
    assert "mistake.js(2,4): error TS2345" in said
    assert said.count("error") == 1
