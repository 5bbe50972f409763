"""Pytest fixtures for what is built on the log; pytest finds them once the package is installed.

`session_log` is a real log on a real server, in a namespace of its own that is removed afterwards. The server is an
embedded one; override the fixture `session_log_url` to choose another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from ..session_log import SessionLog


@pytest.fixture(scope="session")
def session_log_url() -> str:
    """Where tests keep their sessions; an embedded server unless overridden."""
    return "embedded:"


@pytest.fixture
def session_log(session_log_url: str) -> Iterator[SessionLog]:
    """A log of its own for one test."""
    from ..session_log import SessionLog
    from .emptying import empty

    with SessionLog.connect(session_log_url, namespace=f"test-{uuid4().hex[:12]}", allow_eviction=True) as log:
        yield log
        empty(log)
