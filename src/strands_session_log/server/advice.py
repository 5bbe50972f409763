"""What should be changed about a server; pure, for `session-log doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .checks import NEEDED, ServerReport

Level: TypeAlias = Literal["ok", "warn", "error"]

STREAM_NODE_BYTES = 65_536
_NEARLY_FULL = 0.8
_MOST_NAMED = 5
# With which command a server forgets what it kept by a setting.
_RESETS = {
    "slowlog-log-slower-than": "SLOWLOG RESET",
    "commandlog-request-larger-than": "COMMANDLOG RESET large-request",
    "commandlog-reply-larger-than": "COMMANDLOG RESET large-reply",
}
_UNKNOWN = "unknown: the server does not tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a server.

    Attributes:
        level: `ok`, `warn` or `error`: whether a log can be kept on it.
        subject: What was looked at.
        found: How it is.
        cure: What to do about it; empty when nothing need be done.
    """

    level: Level
    subject: str
    found: str
    cure: str = ""


def advice(report: ServerReport) -> list[Finding]:
    """Judge a server; one finding for each subject of which something can be said."""
    findings = (
        _version(report),
        _role(report),
        _persistence(report),
        _appendfsync(report),
        _eviction(report),
        _memory(report),
        _stream_nodes(report),
        _excerpts(report),
        *_permissions(report.missing_permissions or {}),
    )
    return [finding for finding in findings if finding is not None]


def _version(report: ServerReport) -> Finding:
    match report.is_supported:
        case None:
            return Finding("warn", "version", _UNKNOWN, f"make sure that it is {NEEDED} or newer, and allow INFO")
        case False:
            return Finding("error", "version", report.name, f"upgrade to {NEEDED} or newer")
        case True:
            return Finding("ok", "version", report.name)


def _role(report: ServerReport) -> Finding | None:
    match report.role:
        case None:
            return None
        case "replica":
            return Finding("error", "role", "replica", "connect to its primary: a replica takes no writes")
        case "primary":
            known = (
                "primary",
                report.mode,
                None if report.replicas is None else f"connected replicas: {report.replicas}",
            )
            return Finding("ok", "role", ", ".join(filter(None, known)))


def _persistence(report: ServerReport) -> Finding:
    cure = "CONFIG SET appendonly yes"
    if report.last_save_ok is False:
        return Finding("error", "persistence", "the last write to disk failed", "look for the reason in its log")
    match report.aof_enabled, report.is_persistent:
        case True, _:
            return Finding("ok", "persistence", "append-only file")
        case _, True:
            found = f"snapshots only (save {report.rdb_save}): a crash loses what came after the last one"
            return Finding("warn", "persistence", found, cure)
        case _, False:
            return Finding("error", "persistence", "none: a restart loses every session", cure)
        case _:
            return Finding("warn", "persistence", _UNKNOWN, "make sure that it writes an append-only file")


def _appendfsync(report: ServerReport) -> Finding | None:
    if not report.aof_enabled or report.appendfsync is None:
        return None
    if report.appendfsync == "no":
        found = "no: the operating system decides what a power failure loses, often 30 s"
        return Finding("warn", "appendfsync", found, "CONFIG SET appendfsync everysec (or always)")
    return Finding("ok", "appendfsync", report.appendfsync)


def _eviction(report: ServerReport) -> Finding:
    policy, cure = report.maxmemory_policy, "CONFIG SET maxmemory-policy noeviction"
    if policy is None:
        return Finding("warn", "eviction", _UNKNOWN, "make sure that maxmemory-policy is noeviction")
    if report.evicts_anything:
        return Finding("error", "eviction", f"{policy}: sessions may be deleted without a trace", cure)
    if policy.startswith("volatile-"):
        return Finding("warn", "eviction", f"{policy}: keys that expire may be deleted before their time", cure)
    return Finding("ok", "eviction", policy)


def _memory(report: ServerReport) -> Finding | None:
    used, limit = report.used_memory, report.maxmemory
    if used is None or limit is None:
        return None
    if not limit:
        cure = "CONFIG SET maxmemory to what the machine can spare: appends are then refused, and nothing is killed"
        return Finding("warn", "memory", f"{_megabytes(used)} used, no limit", cure)
    found = f"{_megabytes(used)} of {_megabytes(limit)} used"
    if used > limit * _NEARLY_FULL:
        return Finding("warn", "memory", found, "delete or archive sessions, or raise maxmemory")
    return Finding("ok", "memory", found)


def _stream_nodes(report: ServerReport) -> Finding | None:
    size = report.stream_node_max_bytes
    if size is None:
        return None
    if 0 < size < STREAM_NODE_BYTES:
        cure = f"CONFIG SET stream-node-max-bytes {STREAM_NODE_BYTES}: less memory for the same events"
        return Finding("warn", "stream-node-max-bytes", str(size), cure)
    return Finding("ok", "stream-node-max-bytes", str(size))


def _excerpts(report: ServerReport) -> Finding | None:
    """A server that logs slow and large commands keeps the beginning of their arguments, after an erasure, too."""
    if report.excerpts is None:
        return None
    if not report.excerpts:
        return Finding("ok", "excerpts", "no commands are kept in excerpts")
    kept = ", ".join(f"{name} {value}" for name, value in report.excerpts.items())
    found = f"{kept}: it keeps the first 128 bytes of each argument of such commands, also of what is erased later"
    cure = "; ".join(f"CONFIG SET {name} -1, {_RESETS[name]}" for name in report.excerpts)
    return Finding("warn", "excerpts", found, cure)


def _permissions(missing: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """One finding for each role; somebody who may not take any has no use of a log."""
    has_none = all(missing.values())
    for role, commands in missing.items():
        subject = f"as {role}"
        if not commands:
            yield Finding("ok", subject, "may do all that is needed")
            continue
        allowed = " ".join(f"+{command.lower()}" for command in commands)
        cure = f"session-log acl {role} prints what it needs; here: ACL SETUSER <user> {allowed}"
        lacking = ", ".join(commands) if len(commands) <= _MOST_NAMED else f"{len(commands)} of its commands"
        yield Finding("error" if has_none else "warn", subject, f"lacks {lacking}", cure)


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"
