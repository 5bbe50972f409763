"""A small cluster on loopback, put together through the client, so that no command line tool is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import valkey
from valkey.cluster import ClusterNode

from support.clients import Client
from support.processes import HOST
from support.servers import Server, ValkeyliteServer
from support.waiting import wait_until

_SLOTS = 16_384


class Cluster:
    """`primaries` servers that share the slots, each with `replicas` replicas.

    It has the same verbs as a single server, meant for all nodes; for one node, take it from `nodes` or
    `node_for(key)`. Other keyword arguments are configuration directives.
    """

    def __init__(
        self, *, kind: type[Server] = ValkeyliteServer, primaries: int = 3, replicas: int = 0, **config: str
    ) -> None:
        settings = {
            "cluster_enabled": "yes",
            "cluster_announce_ip": HOST,
            # Long enough that a busy machine does not look like a dead one; a failover test may set it to 500.
            "cluster_node_timeout": "2000",
            "repl_diskless_sync_delay": "0",
            # Nodes name a replica to clients only after its first ping, by default 10 s.
            "repl_ping_replica_period": "1",
            **config,
        }
        self._primaries = primaries
        self.nodes: list[Server] = [kind(**settings) for _ in range(primaries * (1 + replicas))]
        self._clients: list[Client] = []

    @property
    def url(self) -> str:
        return "valkey+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes[: self._primaries])

    def client(self, **options: Any) -> Client:
        """A new cluster client, closed when the cluster stops."""
        startup = [ClusterNode(HOST, node.port) for node in self.nodes]
        client = cast(Client, valkey.ValkeyCluster(startup_nodes=startup, **options))
        self._clients.append(client)
        return client

    def node_for(self, key: str) -> Server:
        """The primary that holds `key` now, by what the cluster itself says."""
        with contextlib.closing(self.client()) as client:
            holder = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == holder)

    def start(self) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            for node in self.nodes:
                node.start()
            self._introduce()
            self._share_slots()
            self._attach_replicas()
            self._wait_for_agreement()
            undo.pop_all()

    def restart(self) -> None:
        """Stop all nodes, start them with their data, and wait for the cluster to agree again."""
        for node in self.nodes:
            node.restart()
        self._wait_for_agreement()

    def empty(self) -> None:
        """Close its clients, and delete all keys."""
        self._close_clients()
        for node in self.nodes:
            node.execute("FLUSHALL")

    def stop(self) -> None:
        self._close_clients()
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        for node in self.nodes:
            node.resume()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()

    def _introduce(self) -> None:
        first, *others = self.nodes
        for epoch, node in enumerate(self.nodes, start=1):
            node.execute("CLUSTER SET-CONFIG-EPOCH", epoch)
        for node in others:
            node.execute("CLUSTER MEET", HOST, first.port, first.bus_port)
        wait_until(lambda: all(_known(node) == len(self.nodes) for node in self.nodes), "the nodes to know each other")

    def _share_slots(self) -> None:
        bounds = [_SLOTS * i // self._primaries for i in range(self._primaries + 1)]
        for node, first, end in zip(self.nodes, bounds, bounds[1:], strict=False):
            node.execute("CLUSTER ADDSLOTSRANGE", first, end - 1)

    def _attach_replicas(self) -> None:
        for replica, primary in self._replicas():
            primary_id = primary.execute("CLUSTER MYID")
            replica.execute("CLUSTER REPLICATE", primary_id)

    def _replicas(self) -> Iterator[tuple[Server, Server]]:
        for i, replica in enumerate(self.nodes[self._primaries :]):
            yield replica, self.nodes[i % self._primaries]

    def _wait_for_agreement(self) -> None:
        """A cluster that looks ready to one node only answers CLUSTERDOWN or MOVED from the others."""
        wait_until(lambda: all(_is_ok(node) for node in self.nodes), "cluster_state:ok on every node", timeout=20)
        wait_until(lambda: all(_is_linked(node) for node in self.nodes), "the replicas' links", timeout=20)
        everyone = {node.port for node in self.nodes}
        wait_until(lambda: all(_ports_in_slots(node) == everyone for node in self.nodes), "one view of the slots")


def _cluster_info(node: Server) -> dict[str, str]:
    told: dict[str, str] = node.execute("CLUSTER INFO")
    return told


def _known(node: Server) -> int:
    return int(_cluster_info(node)["cluster_known_nodes"])


def _is_ok(node: Server) -> bool:
    return _cluster_info(node)["cluster_state"] == "ok"


def _is_linked(node: Server) -> bool:
    replication = node.execute("INFO", "replication")
    return bool(replication["role"] == "master" or replication["master_link_status"] == "up")


def _ports_in_slots(node: Server) -> set[int]:
    return {member[1] for _, _, *members in node.execute("CLUSTER SLOTS") for member in members}
