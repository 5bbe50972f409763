"""Pytest fixtures for what is built on the log; pytest finds them once the package is installed.

`session_log` is a real log on a real server, in a namespace of its own that is removed afterwards. The server is an
embedded one; override the fixture `session_log_url` to choose another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
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

    with SessionLog.connect(session_log_url, namespace=f"test-{uuid4().hex[:12]}", allow_eviction=True) as log:
        yield log
        # Sessions first: no snapshot of one that is gone can be saved meanwhile.
        for session in log.sessions(limit=1_000_000):
            if session.held:
                log.retention.release(session.session_id, by="the fixture", reason="the test is over")
            log._events.delete(session.session_id)
        client: Any = log.client
        for key in client.scan_iter(match=f"{log.namespace}:*", count=1000):
            client.unlink(key)
