"""A client for any URL the tests may be given: apart from the library's own, so that one can check the other."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

import valkey
from valkey.cluster import ClusterNode
from valkey.sentinel import Sentinel

Client: TypeAlias = "valkey.Valkey | valkey.ValkeyCluster"


def open_client(url: str, **options: object) -> Client:
    """A sync valkey-py client for `valkey://` and its kin, `valkey+cluster://` or `valkey+sentinel://`."""
    parts = urlsplit(url)
    if parts.scheme.endswith("+cluster"):
        nodes = [ClusterNode(*address) for address in _addresses(parts.netloc)]
        return valkey.ValkeyCluster(startup_nodes=nodes, **_credentials(parts.netloc), **options)
    if parts.scheme.endswith("+sentinel"):
        sentinel = Sentinel(_addresses(parts.netloc), sentinel_kwargs={})
        return sentinel.master_for(parts.path.strip("/"), **_credentials(parts.netloc), **options)
    return valkey.Valkey.from_url(url, **options)


def _addresses(netloc: str) -> list[tuple[str, int]]:
    hosts = netloc.rpartition("@")[2].split(",")
    return [(host, int(port)) for host, _, port in (address.rpartition(":") for address in hosts)]


def _credentials(netloc: str) -> dict[str, str]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return {name: value for name, value in (("username", user), ("password", password)) if value}
