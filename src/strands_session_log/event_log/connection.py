"""A client whose pipeline runs on one connection to the node that holds a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from valkey import ValkeyCluster
from valkey import exceptions as driver

from ..server.border import Client

# A node that moved its slots away says so; one that died, hangs or was cut off from the others cannot.
_ELSEWHERE = (
    driver.MovedError,
    driver.ConnectionError,
    driver.TimeoutError,
    driver.ClusterDownError,
    driver.ValkeyClusterException,
)


@contextmanager
def connection_to(client: Client, key: str) -> Iterator[Client]:
    """The client itself, or in a cluster the client of the node that serves the key now.

    `WAIT` answers for the writes of its own connection only, and a cluster client cannot send it beside a script. After
    an error that may mean that the slot has moved, the cluster is asked where its slots are, for whoever repeats it.
    """
    if not isinstance(client, ValkeyCluster):
        yield client
        return
    cluster: Any = client
    try:
        yield cast(Client, cluster.get_valkey_connection(cluster.get_node_from_key(key)))
    except _ELSEWHERE:
        with suppress(driver.ValkeyError, driver.ValkeyClusterException):
            cluster.nodes_manager.initialize()
        raise
