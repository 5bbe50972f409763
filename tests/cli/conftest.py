"""`session-log` in terminals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import strands_session_log
from support.terminal import Terminal

SOURCE = str(Path(strands_session_log.__file__).parents[1])
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PAGER", "LESS")


@pytest.fixture
def environment(server_url: str, namespace: str) -> Mapping[str, str]:
    mine = {"SESSION_LOG_URL": server_url, "SESSION_LOG_NAMESPACE": namespace, "PYTHONPATH": SOURCE, "TERM": "xterm"}
    return {**{name: value for name, value in os.environ.items() if name not in UNSET}, **mine}


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*arguments: str, width: int = 80, height: int = 24, **more: str) -> Terminal:
        opened.append(Terminal({**environment, **more}, *arguments, width=width, height=height))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()
