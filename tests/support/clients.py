"""A client for any URL the tests may be given: apart from the library's own, so that one can check the other."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import valkey
from valkey.cluster import ClusterNode
from valkey.sentinel import Sentinel

from strands_session_log import SessionLog, server


class Client:
    """A sync client of valkey-py; its own annotations say of every reply that it may have to be awaited."""

    def __getattr__(self, name: str) -> Any:
        """A command, or what else it has."""

    def __enter__(self) -> Client:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""


def open_client(url: str, **options: Any) -> Client:
    """A sync valkey-py client for `valkey://` and its kin, `valkey+cluster://` or `valkey+sentinel://`."""
    parts = urlsplit(url)
    client: object
    if parts.scheme.endswith("+cluster"):
        nodes = [ClusterNode(*address) for address in _addresses(parts.netloc)]
        client = valkey.ValkeyCluster(startup_nodes=nodes, **_credentials(parts.netloc), **options)
    elif parts.scheme.endswith("+sentinel"):
        sentinel = Sentinel(_addresses(parts.netloc), sentinel_kwargs={})
        client = sentinel.master_for(parts.path.strip("/"), **_credentials(parts.netloc), **options)
    else:
        client = valkey.Valkey.from_url(url, **options)
    return cast(Client, client)


def connect(url: str, **options: Any) -> Client:
    """The library's own client for a URL."""
    return cast(Client, server.connect(url, **options))


def client_of(log: SessionLog) -> Client:
    """The client that a log was opened with, for commands that the library itself does not send."""
    return cast(Client, log.client)


def _addresses(netloc: str) -> list[tuple[str, int]]:
    hosts = netloc.rpartition("@")[2].split(",")
    return [(host, int(port)) for host, _, port in (address.rpartition(":") for address in hosts)]


def _credentials(netloc: str) -> dict[str, Any]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return {name: value for name, value in (("username", user), ("password", password)) if value}
