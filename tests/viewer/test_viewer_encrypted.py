"""Of an encrypted session the viewer shows structure, and content only with the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from strands_session_log import KeyProvider, LocalKeys, SessionLog
from strands_session_log_consumers.viewer import app
from support.clients import Client
from support.strands_agents import make_agent

SECRET = "correct-horse-battery-staple"
Ask = Callable[[str], tuple[int, str]]


@pytest.fixture
def keys(tmp_path: Path, client: Client, namespace: str) -> LocalKeys:
    keys = LocalKeys.new(tmp_path / "keys")
    log = SessionLog(client, namespace, encryption=keys)
    make_agent(log, [SECRET])("Tell me.")
    log.close()
    return keys


def asking(client: Client, namespace: str, keys: KeyProvider | None) -> Ask:
    viewer = TestClient(app(SessionLog(client, namespace, encryption=keys)), base_url="http://localhost")

    def ask(path: str) -> tuple[int, str]:
        answer = viewer.get(path)
        return answer.status_code, answer.text

    return ask


def test_with_the_key_it_shows_what_was_said(client: Client, namespace: str, keys: LocalKeys) -> None:
    ask = asking(client, namespace, keys)
    for path in ("/", "/s/s", "/api/v1/sessions/s/state"):
        status, text = ask(path)
        assert (status, SECRET in text) == (200, True)


def test_without_it_who_did_what_and_when(client: Client, namespace: str, keys: LocalKeys) -> None:
    ask = asking(client, namespace, None)
    for path in ("/", "/s/s", "/s/s?at=3", "/s/s/e/3", "/s/s/verify", "/inbox", "/api/v1/sessions/s/events"):
        status, text = ask(path)
        assert (status, SECRET in text) == (200, False), path
    assert "message added, encrypted" in ask("/s/s")[1]


def test_what_takes_the_key_says_so(client: Client, namespace: str, keys: LocalKeys) -> None:
    status, text = asking(client, namespace, None)("/api/v1/sessions/s/state")
    assert status == 409
    assert "is encrypted, and no keys were given" in text


def test_what_was_shredded_is_shown_as_structure(client: Client, namespace: str, keys: LocalKeys) -> None:
    keys.shred("s", reason="request 4711")
    status, text = asking(client, namespace, keys)("/s/s")
    assert (status, SECRET in text) == (200, False)
    assert "request 4711" in text
