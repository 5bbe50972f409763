"""Trouble that time cures, made on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Thread
from typing import TypeAlias

from valkey.exceptions import ResponseError, ValkeyError

from .cluster import Cluster
from .processes import HOST
from .servers import Server
from .waiting import wait_until

_BALLAST = 100
# While it loads it says so only now and then, by how much it has read.
_SLOW_LOADING = {"rdbcompression": "no", "loading-process-events-interval-bytes": "1024", "key-load-delay": "25000"}

Trouble: TypeAlias = "Callable[[Server], AbstractContextManager[None]]"
"""The server is in trouble while the `with` block lasts."""


@contextmanager
def out_of_memory(server: Server) -> Iterator[None]:
    """It holds more than `maxmemory`, and may evict nothing."""
    server.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.execute("CONFIG", "SET", "maxmemory", "1")
    yield
    server.execute("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def too_few_replicas(server: Server) -> Iterator[None]:
    """It wants a replica, and has none."""
    server.execute("CONFIG", "SET", "min-replicas-to-write", "1")
    yield
    server.execute("CONFIG", "SET", "min-replicas-to-write", "0")


@contextmanager
def a_busy_script(server: Server) -> Iterator[None]:
    """Somebody's script does not end."""
    server.execute("CONFIG", "SET", "busy-reply-threshold", "5")

    def run() -> None:
        with suppress(ValkeyError):
            server.client().execute_command("EVAL", "while true do end", 0)

    thread = Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: _refusal(server) == "BUSY", "the script to be too slow")
    yield
    server.execute("SCRIPT KILL")
    thread.join()


@contextmanager
def a_full_disk(server: Server) -> Iterator[None]:
    """It could not write its snapshot, and is told not to go on without."""
    place = server.directory / "dump.rdb"
    place.unlink(missing_ok=True)
    place.mkdir()
    server.execute("CONFIG", "SET", "save", "3600 1")
    _save(server, "err")
    yield
    place.rmdir()
    _save(server, "ok")


@contextmanager
def a_replica(server: Server) -> Iterator[None]:
    """Another server is the primary, which its address does not lead to."""
    server.execute("REPLICAOF", "127.0.0.1", "1")
    yield
    server.execute("REPLICAOF", "NO", "ONE")


@contextmanager
def a_replica_without_its_primary(server: Server) -> Iterator[None]:
    """It must not even tell what it has, which may be old."""
    server.execute("CONFIG", "SET", "replica-serve-stale-data", "no")
    with a_replica(server):
        yield
    server.execute("CONFIG", "SET", "replica-serve-stale-data", "yes")


@contextmanager
def still_loading(server: Server) -> Iterator[None]:
    """It reads its data, which takes it some seconds."""
    for name, value in _SLOW_LOADING.items():
        server.execute("CONFIG", "SET", name, value)
    for number in range(_BALLAST):
        server.execute("SET", f"ballast:{number}", "x" * 5_000)
    probe, loader = server.client(), server.client()
    thread = Thread(target=lambda: loader.execute_command("DEBUG", "RELOAD"), daemon=True)
    thread.start()
    wait_until(lambda: probe.info("persistence")["loading"], "it to load")
    yield
    thread.join()


@contextmanager
def gone(server: Server) -> Iterator[None]:
    """It was killed."""
    server.kill()
    yield
    server.restart()


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """It answers nothing, and takes no connection down."""
    server.pause()
    yield
    server.resume()


@contextmanager
def a_slot_half_moved(cluster: Cluster, key: str) -> Iterator[None]:
    """Some keys of a slot are on one node and some on another; then all of them are on the other."""
    source = cluster.node_for(key)
    target = next(node for node in cluster.nodes if node is not source)
    slot = source.execute("CLUSTER KEYSLOT", key)
    source_id, target_id = (node.execute("CLUSTER MYID") for node in (source, target))
    target.execute("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
    source.execute("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
    _move(source, target, sorted(source.execute("CLUSTER GETKEYSINSLOT", slot, 1000))[::2])
    yield
    while left := source.execute("CLUSTER GETKEYSINSLOT", slot, 1000):
        _move(source, target, left)
    for node in (target, source, *cluster.nodes):
        node.execute("CLUSTER SETSLOT", slot, "NODE", target_id)


def _move(source: Server, target: Server, keys: Sequence[str]) -> None:
    source.execute("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)


def _refusal(server: Server) -> str:
    """The first word of what it says instead of answering."""
    try:
        server.execute("GET", "anything")
    except ResponseError as error:
        return str(error).partition(" ")[0]
    return ""


def _save(server: Server, status: str) -> None:
    server.execute("BGSAVE")
    wait_until(lambda: server.execute("INFO", "persistence")["rdb_last_bgsave_status"] == status, f"a save: {status}")
