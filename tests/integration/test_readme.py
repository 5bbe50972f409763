"""The README's Python, run as it stands, top to bottom, on a real server with a scripted model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import strands

from strands_session_log import SessionLog
from strands_session_log.testing.model import ScriptedModel

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_runs_from_top_to_bottom(
    session_log: SessionLog, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    code = "\n".join(blocks).replace('"valkey://localhost:6379"', f'"{server_url}", "{session_log.namespace}"')
    assert code.count("session_manager=") == 3
    assert code.count("SessionRecorder(") == 1

    class Agent(strands.Agent):
        """The real one; only the model's address is missing where tests run."""

        def __init__(self, **options: Any) -> None:
            super().__init__(model=ScriptedModel(["Ada."]), callback_handler=None, **options)

    monkeypatch.setattr(strands, "Agent", Agent)
    scope: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), scope)
    assert len(scope["state"].agents["default"].messages) == 4
