"""What a server is, whether it is fit to keep a log, and what about it should be changed.

A server may refuse to tell: managed ones often forbid `CONFIG` and `ACL`. What it does not tell is unknown (`None`),
never a failure. Driver errors pass through; whoever calls decides whether to try again.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from valkey.exceptions import ResponseError

from ..errors import EvictionPolicyError, UnsupportedServerError
from .permissions import refused, send
from .replies import record, text
from .routing import Client, primaries

logger = logging.getLogger(__name__)

T = TypeVar("T")

OLDEST: Mapping[str, tuple[int, ...]] = {"valkey": (7, 2), "redis": (7, 0)}
NEEDED = "Valkey 7.2 or Redis 7.0"
_EXCERPTS = {
    "slowlog-log-slower-than": "slowlog-max-len",
    "commandlog-request-larger-than": "commandlog-large-request-max-len",
    "commandlog-reply-larger-than": "commandlog-large-reply-max-len",
}
"""From which threshold on a server keeps excerpts of commands, and how many of them."""
_SECTIONS = ("server", "cluster", "memory", "persistence", "replication")
"""Of `INFO`: it says as much again about other things."""
_TOLD = {
    *("valkey_version", "redis_version", "cluster_enabled", "role", "connected_slaves", "maxmemory", "used_memory"),
    *("maxmemory_policy", "aof_enabled", "aof_last_write_status", "rdb_last_bgsave_status"),
}
_CONFIG = ("save", "appendfsync", "stream-node-max-bytes", *_EXCERPTS.keys(), *_EXCERPTS.values())


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server says about itself; in a cluster, one of its primaries.

    Attributes:
        flavour: `valkey` or `redis`; None when it does not tell.
        version: For example `(8, 0, 1)`.
        mode: `standalone` or `cluster`; a primary behind sentinels is standalone.
        role: `primary` or `replica`.
        replicas: How many replicas are connected.
        aof_enabled: Whether it writes an append-only file.
        rdb_save: When it takes snapshots, as in its configuration; empty means never.
        appendfsync: `always`, `everysec` or `no`.
        maxmemory: In bytes; 0 means no limit.
        maxmemory_policy: What it does at that limit.
        used_memory: In bytes.
        stream_node_max_bytes: How full a stream's nodes get; 0 means no limit.
        missing_permissions: By role, the commands it needs that the user may not run on the keys of the log; None when
            that was not asked.
        last_save_ok: Whether it could write to its disk the last time it tried.
        node: In a cluster, the node's address, `host:port`; else empty.
        excerpts: The settings by which it keeps excerpts of commands (`SLOWLOG`, `COMMANDLOG`), where they let it; None
            when it does not tell.
    """

    flavour: Literal["valkey", "redis"] | None
    version: tuple[int, ...] | None
    mode: Literal["standalone", "cluster"] | None
    role: Literal["primary", "replica"] | None
    replicas: int | None
    aof_enabled: bool | None
    rdb_save: str | None
    appendfsync: str | None
    maxmemory: int | None
    maxmemory_policy: str | None
    used_memory: int | None
    stream_node_max_bytes: int | None
    missing_permissions: Mapping[str, tuple[str, ...]] | None
    last_save_ok: bool | None = None
    node: str = ""
    excerpts: Mapping[str, int] | None = None

    @property
    def name(self) -> str:
        """For people: `Valkey 8.0.1`."""
        flavour = "server of unknown kind" if self.flavour is None else self.flavour.capitalize()
        return f"{flavour} {'.'.join(map(str, self.version))}" if self.version else f"{flavour}, version unknown"

    @property
    def is_supported(self) -> bool | None:
        """Whether it is new enough."""
        return None if self.version is None or self.flavour is None else self.version >= OLDEST[self.flavour]

    @property
    def is_persistent(self) -> bool | None:
        """Whether anything of it survives a restart."""
        if self.aof_enabled or self.rdb_save:
            return True
        return None if self.aof_enabled is None or self.rdb_save is None else False

    @property
    def evicts_anything(self) -> bool:
        """Whether it may delete sessions when memory runs out."""
        return (self.maxmemory_policy or "").startswith("allkeys-")


def inspect(client: Client, roles: Mapping[str, tuple[str, Sequence[str]]] | None = None) -> ServerReport:
    """Ask a server about itself, in one round trip; in two more for each role.

    Args:
        client: Any sync valkey-py client.
        roles: Of which roles to ask whether the user may take them: by name, a key that does not exist of those they
            touch, and the commands they need.
    """
    # Chance picks one of a cluster, so that whoever tries again asks another one.
    _, node = random.choice(primaries(client))
    report = _inspect(node)
    if roles is None:
        return report
    return replace(report, missing_permissions={name: refused(node, *role[::-1]) for name, role in roles.items()})


def inspect_all(client: Client) -> list[ServerReport]:
    """Ask every primary about itself: one, or those of a cluster."""
    return [_inspect(node, name) for name, node in primaries(client)]


def _inspect(node: Client, name: str = "") -> ServerReport:
    """`HELLO` is allowed for everybody; it tells what the server is where `INFO` is refused."""
    asked = send(node, [(b"INFO", *_SECTIONS), ("HELLO",), ("CONFIG", "GET", *_CONFIG)])
    info, hello, settings = (None if isinstance(reply, ResponseError) else reply for reply in asked)
    known = {name: text(value) for name, value in record(settings).items()}
    told = _told(info) if info else _from_greeting(record(hello))
    return _report(told, {name: known.get(name) for name in _CONFIG}, name)


def _told(info: bytes | str) -> dict[str, Any]:
    """What of `INFO` is read; the driver makes something of every line, which takes longer than the server does."""
    lines = (line.partition(":") for line in text(info).splitlines())
    return {name: int(value) if value.isdigit() else value for name, _, value in lines if name in _TOLD}


def check(client: Client, allow_eviction: bool = False) -> ServerReport:
    """Refuse a server that cannot keep a log, and warn of one that keeps it in memory only.

    Raises:
        UnsupportedServerError: When it is older than Valkey 7.2 or Redis 7.0.
        EvictionPolicyError: When it may delete sessions without a trace, unless that is allowed.
    """
    report = inspect(client)
    if report.is_supported is False:
        raise UnsupportedServerError(report.name, NEEDED)
    if report.evicts_anything and not allow_eviction:
        raise EvictionPolicyError(report.maxmemory_policy or "")
    if report.is_persistent is False:
        logger.warning("server=<%s> | the server keeps nothing on disk, every session ends with it", report.name)
    return report


def _from_greeting(hello: Mapping[str, Any]) -> dict[str, Any]:
    """What `HELLO` says, by the names it has in `INFO`."""
    told = {name: text(value) for name, value in hello.items() if isinstance(value, (bytes, str))}
    if told.get("server") not in OLDEST or "version" not in told:
        return {}
    return {
        f"{told['server']}_version": told["version"],
        "role": {"replica": "slave"}.get(told.get("role", ""), told.get("role")),
        "cluster_enabled": {"cluster": 1, "standalone": 0}.get(told.get("mode", "")),
    }


def _report(info: Mapping[str, Any], config: Mapping[str, str | None], node: str = "") -> ServerReport:
    valkey_version, redis_version = info.get("valkey_version"), info.get("redis_version")
    node_bytes = config["stream-node-max-bytes"]
    return ServerReport(
        flavour="valkey" if valkey_version else "redis" if redis_version else None,
        version=_version(valkey_version or redis_version),
        mode=_name(info.get("cluster_enabled"), {1: "cluster", 0: "standalone"}),
        role=_name(info.get("role"), {"master": "primary", "slave": "replica"}),
        replicas=info.get("connected_slaves"),
        aof_enabled=_name(info.get("aof_enabled"), {1: True, 0: False}),
        rdb_save=config["save"],
        appendfsync=config["appendfsync"],
        maxmemory=info.get("maxmemory"),
        maxmemory_policy=info.get("maxmemory_policy"),
        used_memory=info.get("used_memory"),
        stream_node_max_bytes=None if node_bytes is None else int(node_bytes),
        missing_permissions=None,
        last_save_ok=_saves(info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")),
        node=node,
        excerpts=_excerpts(config),
    )


def _excerpts(config: Mapping[str, str | None]) -> dict[str, int] | None:
    """The thresholds that are in force: neither below zero, nor of a log that holds nothing."""
    known = {
        name: (int(value), config[most]) for name, most in _EXCERPTS.items() if (value := config[name]) is not None
    }
    return {name: value for name, (value, most) in known.items() if value >= 0 and most != "0"} if known else None


def _saves(*statuses: object) -> bool | None:
    known = [status for status in statuses if status is not None]
    return all(status == "ok" for status in known) if known else None


def _name(value: Any, names: Mapping[Any, T]) -> T | None:
    return names.get(value)


def _version(value: object) -> tuple[int, ...] | None:
    return None if value is None else tuple(int(part) for part in re.findall(r"[0-9]+", str(value))[:3])
