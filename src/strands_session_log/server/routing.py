"""Where a cluster client sends what: a log reads what was written, so it reads from primaries.

A client with `read_from_replicas=True` reads what may be old: a resume would go on from there. For as long as it serves
a call of ours it reads from primaries; for all else it is the client it was. And scripts that only read (`EVALSHA_RO`)
go to their keys' node at once; valkey-py would ask a server which keys they have (`COMMAND GETKEYS`), each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, cast

from valkey import ValkeyCluster
from valkey import exceptions as driver

from .timed import here

_READ_ONLY_SCRIPTS = ("EVALSHA_RO", "EVAL_RO")
# A node that moved its slots away says so; one that died, hangs or was cut off from the others cannot.
_ELSEWHERE = (
    driver.MovedError,
    driver.ConnectionError,
    driver.TimeoutError,
    driver.ClusterDownError,
    driver.ValkeyClusterException,
)


class Client(Protocol):
    """The part of a sync valkey-py client this library uses; `valkey.Valkey` and `valkey.ValkeyCluster` have it."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its parsed reply."""

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        """Collect commands to send in one round trip."""

    def close(self) -> None:
        """Close its connections."""


def source_of(client: Any) -> Any:
    """Where a client takes connections from: its pool, or a cluster's node table; None if it does not tell."""
    return getattr(client, "connection_pool", None) or getattr(client, "nodes_manager", None)


def options_of(client: Any) -> dict[str, Any]:
    """What the connections of a client are made with; nothing if it does not tell."""
    options: dict[str, Any] = getattr(source_of(client), "connection_kwargs", {})
    return options


def primaries(client: Client) -> list[tuple[str, Client]]:
    """Clients of the servers that hold data, by name: the client itself, or those of a cluster's primaries."""
    if not isinstance(client, ValkeyCluster):
        return [("", client)]
    cluster: Any = client
    nodes = sorted(cluster.get_primaries(), key=lambda node: str(node.name))
    return [(node.name, cluster.get_valkey_connection(node)) for node in nodes]


def node_of(client: Client, key: str) -> str:
    """The name of the node that serves a key, as far as a cluster client knows without asking; else nothing."""
    if not isinstance(client, ValkeyCluster):
        return ""
    cluster: Any = client
    try:
        return str(cluster.get_node_from_key(key).name)
    except (AttributeError, driver.ValkeyError, driver.ValkeyClusterException):
        # Nobody is known to serve it.
        return ""


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


def steer(cluster: Any) -> None:
    """Let a cluster client route our commands so; those it collects in pipelines, too.

    Args:
        cluster: A `valkey.ValkeyCluster`.
    """
    _read_from_primaries(cluster.nodes_manager)
    _know_keys_of_scripts(cluster.commands_parser)


def _read_from_primaries(manager: Any) -> None:
    if "get_node_from_slot" in vars(manager):
        return
    choose = manager.get_node_from_slot

    def of_primaries(slot: int, read_from_replicas: bool = False, *others: Any, **named: Any) -> Any:
        return choose(slot, read_from_replicas and here.call is None, *others, **named)

    manager.get_node_from_slot = of_primaries


def _know_keys_of_scripts(parser: Any) -> None:
    if "get_keys" in vars(parser):
        return
    ask = parser.get_keys

    def get_keys(connection: Any, *command: Any) -> Any:
        if command[0] in _READ_ONLY_SCRIPTS:
            return list(command[3 : 3 + int(command[2])])
        return ask(connection, *command)

    parser.get_keys = get_keys
