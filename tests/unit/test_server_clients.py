"""What a client made from a URL is told, as far as that can be seen without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import valkey
from valkey.connection import SSLConnection
from valkey.sentinel import SentinelConnectionPool

from strands_session_log.errors import ServerUnavailableError
from strands_session_log.server import release
from support.clients import connect


def kwargs(client: Any) -> dict[str, Any]:
    return dict(client.connection_pool.connection_kwargs)


def test_defaults_bound_every_wait_and_name_the_client() -> None:
    told = kwargs(connect("valkey://h"))

    assert told["socket_connect_timeout"] == 5.0
    assert told["socket_timeout"] == 10.0
    assert told["client_name"] == "strands-session-log"
    assert told["socket_keepalive"] is True
    assert not told.get("decode_responses")


def test_options_win_over_defaults_and_the_url_over_options() -> None:
    told = kwargs(connect("valkey://h/3?socket_timeout=1.5", socket_timeout=2.0, client_name="mine", db=1))

    assert (told["socket_timeout"], told["client_name"], told["db"]) == (1.5, "mine", 3)


def test_a_database_may_be_an_option() -> None:
    assert kwargs(connect("valkey://h", db=2))["db"] == 2
    assert kwargs(connect("valkey+sentinel://h/main", db=2))["db"] == 2


@pytest.mark.parametrize("scheme", ["valkeys", "rediss"])
def test_tls(scheme: str) -> None:
    client = connect(f"{scheme}://user:pass%2Fword@h:1/2?ssl_cert_reqs=none")

    assert issubclass(client.connection_pool.connection_class, SSLConnection)
    assert kwargs(client)["password"] == "pass/word"
    assert kwargs(client)["ssl_cert_reqs"] == "none"


def test_a_unix_socket() -> None:
    told = kwargs(connect("unix:///run/my%20valkey.sock?db=2"))

    assert (told["path"], told["db"]) == ("/run/my valkey.sock", 2)


def test_sentinels_share_timeouts_and_tls_but_not_the_password() -> None:
    client = connect(
        "valkeys+sentinel://u:secret@a:1,b/main/4?socket_timeout=3&ssl_ca_certs=/ca",
        sentinel_kwargs={"password": "other"},
    )

    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert (pool.service_name, kwargs(client)["db"], kwargs(client)["password"]) == ("main", 4, "secret")
    sentinel = kwargs(pool.sentinel_manager.sentinels[1])
    assert (sentinel["host"], sentinel["port"]) == ("b", 26379)
    assert (sentinel["password"], sentinel["socket_timeout"], sentinel["ssl_ca_certs"]) == ("other", 3.0, "/ca")
    assert sentinel["username"] is None


def test_a_cluster_that_cannot_be_reached_is_reported_at_once() -> None:
    with pytest.raises(ServerUnavailableError):
        connect("valkey+cluster://127.0.0.1:1,127.0.0.1:2")


@pytest.mark.parametrize("make", [lambda: connect("valkey://h"), valkey.Valkey], ids=["ours", "of its own"])
def test_releasing_a_client_of_any_server_closes_it(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client, closed = make(), list[bool]()
    monkeypatch.setattr(client, "close", lambda: closed.append(True))
    release(client)
    assert closed == [True]
