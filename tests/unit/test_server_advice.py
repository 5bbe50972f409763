"""What the doctor says about a server."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from strands_session_log.server import Finding, ServerReport, advice

FIT = ServerReport(
    flavour="valkey",
    version=(8, 0, 1),
    mode="standalone",
    role="primary",
    replicas=0,
    aof_enabled=True,
    rdb_save="",
    appendfsync="everysec",
    maxmemory=1_000_000_000,
    maxmemory_policy="noeviction",
    used_memory=1_000_000,
    stream_node_max_bytes=65_536,
    missing_permissions={"reader": (), "writer": ()},
    excerpts={},
)
NOTHING_TOLD: list[Any] = [None] * 13
TIGHT_LIPPED = ServerReport(*NOTHING_TOLD)
VIEWER = {"viewer": ()}


def finding(subject: str, **changes: Any) -> Finding:
    [found] = [entry for entry in advice(dataclasses.replace(FIT, **changes)) if entry.subject == subject]
    return found


def test_a_fit_server_needs_no_cure() -> None:
    assert {(entry.level, entry.cure) for entry in advice(FIT)} == {("ok", "")}


@pytest.mark.parametrize(
    ("subject", "changes", "level", "cure"),
    [
        ("version", {"version": (7, 0, 9)}, "error", "Valkey 7.2 or Redis 7.0"),
        ("version", {"flavour": "redis", "version": (6, 2, 14)}, "error", "Valkey 7.2 or Redis 7.0"),
        ("version", {"flavour": "redis", "version": (7, 0, 0)}, "ok", ""),
        ("role", {"role": "replica"}, "error", "primary"),
        ("persistence", {"aof_enabled": False}, "error", "appendonly yes"),
        ("persistence", {"aof_enabled": False, "rdb_save": "3600 1"}, "warn", "appendonly yes"),
        ("persistence", {"aof_enabled": False, "rdb_save": None}, "warn", "append-only"),
        ("persistence", {"last_save_ok": False}, "error", "its log"),
        ("appendfsync", {"appendfsync": "no"}, "warn", "everysec"),
        ("appendfsync", {"appendfsync": "always"}, "ok", ""),
        ("eviction", {"maxmemory_policy": "allkeys-lru"}, "error", "noeviction"),
        ("eviction", {"maxmemory_policy": "volatile-ttl"}, "warn", "noeviction"),
        ("memory", {"maxmemory": 0}, "warn", "maxmemory"),
        ("memory", {"used_memory": 900_000_000}, "warn", "maxmemory"),
        ("stream-node-max-bytes", {"stream_node_max_bytes": 4096}, "warn", "65536"),
        ("stream-node-max-bytes", {"stream_node_max_bytes": 0}, "ok", ""),
        ("as viewer", {"missing_permissions": {"viewer": ("XRANGE",)}}, "error", "session-log acl viewer"),
        ("as writer", {"missing_permissions": {"writer": ("XADD", "EVAL")}}, "error", "ACL SETUSER <user> +xadd +eval"),
        ("as writer", {"missing_permissions": {**VIEWER, "writer": ("XADD",)}}, "warn", "+xadd"),
        ("as viewer", {"missing_permissions": {**VIEWER, "writer": ("XADD",)}}, "ok", ""),
        ("excerpts", {"excerpts": {"slowlog-log-slower-than": 10_000}}, "warn", "SET slowlog-log-slower-than -1"),
        (
            "excerpts",
            {"excerpts": {"commandlog-request-larger-than": 1_048_576}},
            "warn",
            "CONFIG SET commandlog-request-larger-than -1",
        ),
    ],
)
def test_what_should_be_changed(subject: str, changes: dict[str, Any], level: str, cure: str) -> None:
    found = finding(subject, **changes)

    assert found.level == level
    assert cure in found.cure
    assert (level == "ok") == (not found.cure)


def test_what_a_server_does_not_tell_is_never_an_error() -> None:
    findings = advice(TIGHT_LIPPED)

    assert {entry.subject for entry in findings} == {"version", "persistence", "eviction"}
    assert {entry.level for entry in findings} == {"warn"}


def test_what_is_known_of_a_server_that_hides_its_version() -> None:
    assert TIGHT_LIPPED.name == "server of unknown kind, version unknown"
    assert dataclasses.replace(TIGHT_LIPPED, flavour="valkey").name == "Valkey, version unknown"
    assert TIGHT_LIPPED.is_supported is None
    assert TIGHT_LIPPED.is_persistent is None
    assert not TIGHT_LIPPED.evicts_anything


def test_snapshots_alone_are_persistence() -> None:
    assert dataclasses.replace(FIT, aof_enabled=False, rdb_save="60 1").is_persistent is True
    assert dataclasses.replace(FIT, aof_enabled=False).is_persistent is False


def test_many_commands_that_a_role_lacks_are_counted_and_named_only_in_the_cure() -> None:
    commands = ("XADD", "HSET", "HDEL", "ZADD", "ZREM", "SET")
    few, many = (finding("as writer", missing_permissions={"writer": commands[:most]}) for most in (5, 6))
    assert few.found == "lacks XADD, HSET, HDEL, ZADD, ZREM"
    assert many.found == "lacks 6 of its commands"
    assert many.cure.endswith("+xadd +hset +hdel +zadd +zrem +set")


def test_a_role_is_described_by_what_the_server_tells() -> None:
    assert finding("role", replicas=2).found == "primary, standalone, connected replicas: 2"
    assert finding("role", replicas=None, mode=None).found == "primary"
