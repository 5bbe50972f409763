"""Logs that encrypt, and others that read along without the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strands_session_log import KeyProvider, LocalKeys, SessionLog
from support.clients import Client

Opened = Callable[[KeyProvider | None], SessionLog]


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys.new(tmp_path / "keys")


@pytest.fixture
def opened(client: Client, namespace: str) -> Iterator[Opened]:
    """Opens the namespace of this test with some keys, or without any."""
    logs = list[SessionLog]()

    def open_with(keys: KeyProvider | None) -> SessionLog:
        logs.append(SessionLog(client, namespace, encryption=keys))
        return logs[-1]

    yield open_with
    for log in logs:
        log.close()


@pytest.fixture
def encrypted(opened: Opened, keys: LocalKeys) -> SessionLog:
    """A log that encrypts."""
    return opened(keys)


@pytest.fixture
def plain(opened: Opened) -> SessionLog:
    """The same, seen by who has no key."""
    return opened(None)
