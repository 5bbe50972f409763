"""The session directory: one sorted set a partition, by last activity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..events import SessionInfo
from ..keys import Keyspace
from ..server.border import Client
from ..server.replies import pairs, text


def newest(client: Client, keyspace: Keyspace, limit: int, before: SessionInfo | datetime | None) -> list[str]:
    """The ids of the sessions last active, newest first; one round trip, whatever the number of partitions."""
    if limit < 1:
        return []
    cursor = _cursor(before)
    pipeline = client.pipeline(transaction=False)
    for partition in range(keyspace.partitions):
        key = keyspace.sessions(partition)
        below = f"({cursor[0]}" if cursor else "+inf"
        pipeline.execute_command("ZRANGE", key, below, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit, "WITHSCORES")
        if cursor and cursor[1]:
            pipeline.execute_command("ZRANGE", key, cursor[0], cursor[0], "BYSCORE", "WITHSCORES")
    lines = [line for reply in pipeline.execute() for line in _lines(reply)]
    older = sorted((line for line in lines if cursor is None or line < cursor), reverse=True)
    return [session_id.decode() for _, session_id in older[:limit]]


def count(client: Client, keyspace: Keyspace, since: datetime) -> int:
    """How many sessions were active at or after a time; one round trip."""
    pipeline = client.pipeline(transaction=False)
    for partition in range(keyspace.partitions):
        pipeline.execute_command("ZCOUNT", keyspace.sessions(partition), int(since.timestamp() * 1000), "+inf")
    return sum(pipeline.execute())


def heads(client: Client, keyspace: Keyspace, session_ids: Sequence[str]) -> list[Any]:
    """Revision, first and last time of each session; None where one was deleted meanwhile."""
    if not session_ids:
        return []
    pipeline = client.pipeline(transaction=False)
    for session_id in session_ids:
        pipeline.execute_command("HMGET", keyspace.session(session_id).head, "revision", "created", "ms")
    return list(pipeline.execute())


def _cursor(before: SessionInfo | datetime | None) -> tuple[int, bytes] | None:
    match before:
        case None:
            return None
        case datetime():
            return int(before.timestamp() * 1000), b""
    return round(before.last_event_at.timestamp() * 1000), before.session_id.encode()


def _lines(reply: Any) -> list[tuple[int, bytes]]:
    """Members with scores, as (ms, id); ids order as UTF-8 bytes, the way the server orders them."""
    return [(int(float(score)), text(member).encode()) for member, score in pairs(reply)]
