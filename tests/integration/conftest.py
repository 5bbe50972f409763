"""Fixtures of more than one integration suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strands_session_log import SessionLog
from support.command_line import Run, runner, write_session


@pytest.fixture
def log(server_url: str, namespace: str) -> Iterator[SessionLog]:
    """A log of this test alone, which the command line finds, too."""
    with SessionLog.connect(server_url, namespace) as log:
        yield log


@pytest.fixture
def run(server_url: str, namespace: str) -> Run:
    """`session-log` on that log."""
    return runner(server_url, namespace)


@pytest.fixture
def talk(log: SessionLog) -> SessionLog:
    """A log with one session `s-42` of six events."""
    write_session(log)
    return log


@pytest.fixture
def appended(session_log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The event types of every append, in order."""
    calls: list[list[str]] = []
    append = session_log.events.append

    def spy(session_id: str, batch: Any, *arguments: Any) -> Any:
        calls.append([getattr(one, "event", one).type for one in batch])
        return append(session_id, batch, *arguments)

    monkeypatch.setattr(session_log.events, "append", spy)
    return calls
