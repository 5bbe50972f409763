"""What `pip install strands-session-log` adds to pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strands_session_log import SessionLog, Subscriber
from support import Keyspace
from support.clients import open_client
from support.strands_agents import make_agent


@pytest.fixture
def left(server_url: str) -> Iterator[list[str]]:
    """The namespaces to look at when `session_log` has been taken down, which comes first."""
    namespaces: list[str] = []
    yield namespaces
    client = open_client(server_url)
    keys = [key for namespace in namespaces for key in Keyspace(client).under(namespace)]
    client.close()
    assert keys == []


def test_a_log_of_the_fixture_leaves_no_key_behind(left: list[str], session_log: SessionLog) -> None:
    left.append(session_log.namespace)
    make_agent(session_log, ["Hi."])("Hello")
    with Subscriber(session_log, "audit") as deliveries:
        next(deliveries).ack()
    assert session_log.sessions()
