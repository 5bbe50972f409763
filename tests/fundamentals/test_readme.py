"""The Python of the README and of the page about subscriptions, run as it stands, top to bottom, on a real server."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import strands

from strands_session_log import SessionLog, Subscriber
from strands_session_log.testing.model import ScriptedModel
from support.command_line import write_session

README = Path(__file__).parents[2] / "README.md"
SUBSCRIPTIONS = README.parent / "docs" / "subscriptions.md"


def blocks_of(page: Path) -> list[str]:
    """Its Python."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def test_the_readme_runs_from_top_to_bottom(
    session_log: SessionLog, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "\n".join(blocks_of(README)).replace(
        '"valkey://localhost:6379"', f'"{server_url}", "{session_log.namespace}"'
    )
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


def test_the_page_about_subscriptions_runs_from_top_to_bottom(session_log: SessionLog) -> None:
    write_session(session_log)
    with Subscriber(session_log, "audit") as deliveries:
        next(deliveries).park("why")
    printed: list[tuple[object, ...]] = []

    def show(*words: object) -> None:
        """The first block runs until somebody ends the process."""
        printed.append(words)
        if len(printed) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    code = "\n".join(blocks_of(SUBSCRIPTIONS))
    program = compile(code, str(SUBSCRIPTIONS), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    coroutine = eval(program, {"log": session_log, "print": show})
    assert inspect.iscoroutine(coroutine)
    asyncio.run(coroutine)
    assert [words[2] for words in printed[:4]] == ["message.added"] * 4
    assert printed[-1][-1] == "why"
    assert [one.is_replayed for one in session_log.parked("audit")] == [True]
