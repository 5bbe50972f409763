"""Which clients a log takes, and what it says to the others, before anything is asked of a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
import valkey
import valkey.asyncio
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, errors
from support import Cluster
from support.servers import Server

UNUSABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "a stand-in for a client": (lambda: MagicMock(spec=valkey.Valkey), "SessionLog.connect\\('embedded:'\\)"),
    "a stand-in for a cluster": (lambda: MagicMock(spec=valkey.ValkeyCluster), "SessionLog.connect\\('embedded:'\\)"),
    "a stand-in for anything": (MagicMock, "give a valkey.Valkey"),
    "an asynchronous client": (valkey.asyncio.Valkey, "it is asynchronous; give a valkey.Valkey"),
    "a URL": (lambda: "valkey://localhost", "or a URL to SessionLog.connect"),
    "the options of one": (lambda: {"host": "localhost"}, "give a valkey.Valkey"),
    "nothing": (lambda: None, "give a valkey.Valkey"),
    "a connection pool": (valkey.ConnectionPool, "give a valkey.Valkey"),
    "replies nobody can read": (
        lambda: valkey.Valkey(decode_responses=True, encoding="utf-16"),
        "leave out decode_responses=True",
    ),
}


@pytest.mark.parametrize(("make", "cure"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_no_usable_client_is_refused_in_one_sentence(make: Callable[[], Any], cure: str) -> None:
    with pytest.raises(errors.UnusableClientError, match=cure) as refusal:
        SessionLog(make())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    ["valkey://u:hunter2@h", b"valkey://u:hunter2@h", {"password": "hunter2"}],
    ids=["text", "bytes", "options"],
)
def test_what_is_given_in_place_of_a_client_is_not_repeated(given: Any) -> None:
    """It may have a password in it."""
    with pytest.raises(errors.UnusableClientError) as refusal:
        SessionLog(given)
    assert "hunter2" not in f"{refusal.value}{refusal.value!r}{vars(refusal.value)}"
    with pytest.raises(SessionException) as refused:
        ValkeySessionManager("s", client=given)
    assert "hunter2" not in str(refused.value)


def test_a_client_with_a_single_connection_is_refused(tcp_server: Server) -> None:
    """Background work would share it with an agent's turn."""
    client = tcp_server.client(single_connection_client=True)
    with pytest.raises(errors.UnusableClientError, match="leave it out"):
        SessionLog(client)
    with pytest.raises(SessionException, match="leave it out"):
        ValkeySessionManager("s", client=client)


def test_a_client_of_a_cluster_that_writes_keys_otherwise_is_refused() -> None:
    with Cluster() as cluster, pytest.raises(errors.UnusableClientError, match="leave out encoding="):
        SessionLog(cluster.client(encoding="latin-1"))


def test_a_subclass_of_a_client_is_one(tcp_server: Server) -> None:
    class Own(valkey.Valkey):
        pass

    assert SessionLog(Own(port=tcp_server.port)).sessions() == []
