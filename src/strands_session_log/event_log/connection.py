"""A client whose pipeline runs on one connection to the node that holds a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from valkey import ValkeyCluster
from valkey.exceptions import MovedError

from ..server.border import Client


@contextmanager
def connection_to(client: Client, key: str) -> Iterator[Client]:
    """The client itself, or in a cluster the client of the node that serves the key now.

    `WAIT` answers for the writes of its own connection only, and a cluster client cannot send it beside a script. A
    slot that has moved is looked up again before the error goes on to whoever repeats the command.
    """
    if not isinstance(client, ValkeyCluster):
        yield client
        return
    cluster: Any = client
    try:
        yield cast(Client, cluster.get_valkey_connection(cluster.get_node_from_key(key)))
    except MovedError:
        cluster.nodes_manager.initialize()
        raise
