"""What a server is, whether it is fit to keep a log, and what about it should be changed.

A server may refuse to tell: managed ones often forbid `CONFIG` and `ACL`. What it does not tell is unknown (`None`),
never a failure. Driver errors pass through; whoever calls decides whether to try again.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import valkey
from valkey.exceptions import ResponseError

from ..errors import EvictionPolicyError, UnsupportedServerError
from ..keys import config_key
from .border import Client
from .replies import record, text

logger = logging.getLogger(__name__)

T = TypeVar("T")

OLDEST: Mapping[str, tuple[int, ...]] = {"valkey": (7, 2), "redis": (7, 0)}
NEEDED = "Valkey 7.2 or Redis 7.0"
_CONFIG = ("save", "appendfsync", "stream-node-max-bytes")
# Every command of this library, in scripts and outside, with arguments it could have.
_PROBES = (
    *("EVAL x 1 KEY", "EVALSHA x 1 KEY", "TIME", "WAIT 0 0", "INFO"),
    *("XADD KEY * f v", "XRANGE KEY - +", "XREVRANGE KEY + -", "XINFO STREAM KEY", "XLEN KEY", "INCRBY KEY 1"),
    *("XDEL KEY 1-1", "XTRIM KEY MAXLEN 1", "XREAD STREAMS KEY 0", "XREADGROUP GROUP g c STREAMS KEY >"),
    *("XGROUP CREATE KEY g 0", "XGROUP DESTROY KEY g", "XINFO GROUPS KEY", "XINFO CONSUMERS KEY g"),
    *("XACK KEY g 1-1", "XCLAIM KEY g c 0 1-1", "XPENDING KEY g"),
    *("HGET KEY f", "HSET KEY f v", "HSETNX KEY f v", "HMGET KEY f", "HDEL KEY f", "HKEYS KEY", "HLEN KEY"),
    *("HEXISTS KEY f", "HSTRLEN KEY f", "HGETALL KEY", "HINCRBY KEY f 1", "HSCAN KEY 0", "HRANDFIELD KEY"),
    *("ZADD KEY 0 m", "ZREM KEY m", "ZSCORE KEY m", "ZRANGE KEY 0 0", "ZCOUNT KEY 0 0", "ZCARD KEY"),
    *("EXISTS KEY", "GET KEY", "SET KEY v", "UNLINK KEY", "RENAME KEY KEY", "PEXPIRE KEY 1", "PERSIST KEY"),
)
COMMANDS = tuple(sorted({probe.split()[0] for probe in _PROBES}))
"""Their names."""


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server says about itself; in a cluster, one of its primaries.

    Attributes:
        flavour: `valkey` or `redis`.
        version: For example `(8, 0, 1)`; None when `INFO` is forbidden.
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
        missing_permissions: Commands of this library that the user may not run on its keys.
        last_save_ok: Whether it could write to its disk the last time it tried.
        node: In a cluster, the node's address, `host:port`; else empty.
    """

    flavour: Literal["valkey", "redis"]
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
    missing_permissions: tuple[str, ...] | None
    last_save_ok: bool | None = None
    node: str = ""

    @property
    def name(self) -> str:
        """For people: `Valkey 8.0.1`."""
        return f"{self.flavour.capitalize()} {'.'.join(map(str, self.version or ('of unknown version',)))}"

    @property
    def is_supported(self) -> bool | None:
        """Whether it is new enough."""
        return None if self.version is None else self.version >= OLDEST[self.flavour]

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


def inspect(client: Client, namespace: str = "strands") -> ServerReport:
    """Ask a server about itself, in two round trips.

    Args:
        client: Any sync valkey-py client.
        namespace: The log whose keys the user must be allowed to touch.
    """
    return _inspect(_one_node(client), namespace)


def inspect_all(client: Client, namespace: str = "strands") -> list[ServerReport]:
    """Ask every primary about itself: one, or those of a cluster."""
    if not isinstance(client, valkey.ValkeyCluster):
        return [_inspect(client, namespace)]
    cluster: Any = client
    primaries = sorted(cluster.get_primaries(), key=lambda node: str(node.name))
    return [_inspect(cluster.get_valkey_connection(node), namespace, node.name) for node in primaries]


def _inspect(node: Client, namespace: str, name: str = "") -> ServerReport:
    info, user, *settings = _ask(node, [("INFO",), ("ACL", "WHOAMI"), *(("CONFIG", "GET", name) for name in _CONFIG)])
    config = {name: _setting(reply, name) for name, reply in zip(_CONFIG, settings, strict=True)}
    missing = None if user is None else _missing_permissions(node, text(user), config_key(namespace))
    return _report(info or {}, config, missing, name)


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


def _one_node(client: Client) -> Client:
    """In a cluster, any primary; chance picks it, so that whoever tries again asks another one."""
    if not isinstance(client, valkey.ValkeyCluster):
        return client
    cluster: Any = client
    node: Client = cluster.get_valkey_connection(random.choice(cluster.get_primaries()))
    return node


def _ask(client: Client, commands: Sequence[Sequence[str]]) -> list[Any]:
    """The replies; None in place of one that was refused."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        # The driver knows commands of two words by both.
        words = [" ".join(command[:2]), *command[2:]] if command[0] in ("ACL", "CONFIG") else command
        pipeline.execute_command(*words)
    replies = pipeline.execute(raise_on_error=False)
    return [None if isinstance(reply, ResponseError) else reply for reply in replies]


def _missing_permissions(client: Client, user: str, key: str) -> tuple[str, ...] | None:
    probes = [[key if word == "KEY" else word for word in probe.split()] for probe in _PROBES]
    replies = _ask(client, [("ACL", "DRYRUN", user, *probe) for probe in probes])
    if None in replies:
        return None
    return tuple(_command(probe) for probe, reply in zip(probes, replies, strict=True) if text(reply) != "OK")


def _command(words: Sequence[str]) -> str:
    """What access lists call it."""
    return "|".join(words[:2]) if words[0] in ("XGROUP", "XINFO") else words[0]


def _setting(reply: Any, name: str) -> str | None:
    found = record(reply).get(name)
    return None if found is None else text(found)


def _report(
    info: Mapping[str, Any], config: Mapping[str, str | None], missing: tuple[str, ...] | None, node: str = ""
) -> ServerReport:
    valkey_version = info.get("valkey_version")
    node_bytes = config["stream-node-max-bytes"]
    return ServerReport(
        flavour="valkey" if valkey_version else "redis",
        version=_version(valkey_version or info.get("redis_version")),
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
        missing_permissions=missing,
        last_save_ok=_saves(info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")),
        node=node,
    )


def _saves(*statuses: object) -> bool | None:
    known = [status for status in statuses if status is not None]
    return all(status == "ok" for status in known) if known else None


def _name(value: Any, names: Mapping[Any, T]) -> T | None:
    return names.get(value)


def _version(value: object) -> tuple[int, ...] | None:
    return None if value is None else tuple(int(part) for part in re.findall(r"[0-9]+", str(value))[:3])
