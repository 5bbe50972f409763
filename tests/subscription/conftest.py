"""Logs and helpers for tests of subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strands_session_log import SessionLog
from support.clients import Client

from .helpers import Told


@pytest.fixture
def log(client: Client, namespace: str) -> Iterator[SessionLog]:
    """A log of this test alone, on the chosen server."""
    with SessionLog(client, namespace) as log:
        yield log


@pytest.fixture
def told(log: SessionLog) -> Told:
    """Appends events that carry a number."""
    return Told(log)


@pytest.fixture
def another_log(make_client: Callable[..., Client], namespace: str) -> Callable[..., SessionLog]:
    """Makes further logs of the same namespace."""

    def make(**options: Any) -> SessionLog:
        return SessionLog(make_client(**options), namespace)

    return make
