"""How the groups of a log stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..keys import GroupKeys, Keyspace
from ..scripts import GROUP_STATUS
from ..server.border import Client, insist
from .taken import Gap, parse_gap


class GroupStatus(NamedTuple):
    """How a group stands in one partition.

    Attributes:
        group: Its name.
        partition: The partition, from 0.
        lag: How many envelopes it has not been given yet.
        lag_seconds: How old the oldest is that it has not settled, by the server's clock; 0 when there is none.
        pending: How many it was given and has not settled.
        parked: How many events are parked.
        consumers: How many consumers it has had that did not leave.
        redeliveries: How many deliveries were repeated since it began.
        abandoned: Whether nobody has read it for so long that the feed is trimmed without regard to it.
        idle_seconds: How long ago one of its consumers was last heard of; None for never.
        checkpoint: Up to where everything is settled, as a stream id of the feed.
        gap: What is gone and was not delivered; None when nothing is.
        work: What is to be done beside the feed: `history`, `between` two times, `replay`; empty for nothing.
    """

    group: str
    partition: int
    lag: int
    lag_seconds: float
    pending: int
    parked: int
    consumers: int
    redeliveries: int
    abandoned: bool
    idle_seconds: float | None
    checkpoint: str
    gap: Gap | None
    work: str


_FIELDS = ("redeliveries", "abandoned", "checkpoint", "gap", "work", "replay", "seen")


def groups(client: Client, keyspace: Keyspace, retry_for: float) -> list[GroupStatus]:
    """All groups in all partitions, in two round trips."""
    calls = [([keyspace.feed(partition)], ()) for partition in range(keyspace.partitions)]
    feeds = insist(lambda: GROUP_STATUS.many(client, calls), retry_for)
    rows = [row for partition, reply in enumerate(feeds) for row in _rows(partition, reply)]
    keys = [keyspace.group(row.partition, row.group) for row in rows]
    notes = insist(lambda: _notes(client, keys), retry_for)
    return sorted(_status(row, *note) for row, note in zip(rows, notes, strict=True))


class _Row(NamedTuple):
    group: str
    partition: int
    lag: int
    lag_seconds: float
    pending: int
    consumers: int
    idle_seconds: float | None
    delivered: str
    now_ms: int


def _rows(partition: int, reply: Any) -> Iterator[_Row]:
    now, last, _, flat = reply
    for at in range(0, len(flat), 7):
        name, delivered, pending, least, consumers, idle, first = flat[at : at + 7]
        behind = _sequence(last) - _sequence(delivered) if first else 0
        oldest = min((int(id_.partition(b"-")[0]) for id_ in (least, first) if id_), default=now)
        heard = idle / 1000 if idle >= 0 else None
        yield _Row(
            *(name.decode(), partition, max(0, behind), max(0, now - oldest) / 1000, pending, consumers, heard),
            *(delivered.decode(), now),
        )


def _notes(client: Client, keys: Sequence[GroupKeys]) -> list[tuple[list[Any], int]]:
    pipeline = client.pipeline(transaction=False)
    for one in keys:
        pipeline.execute_command("HMGET", one.group, *_FIELDS, NEVER_DECODE=True)
        pipeline.execute_command("XLEN", one.parked)
    replies = pipeline.execute() if keys else []
    return list(zip(replies[::2], replies[1::2], strict=True))


def _status(row: _Row, noted: Sequence[Any], parked: int) -> GroupStatus:
    redeliveries, abandoned, checkpoint, gap, work, replay, seen = (value or b"" for value in noted)
    # Consumers that left are not among those of XINFO, and on older servers idle ones seem away.
    heard = [row.idle_seconds] if row.idle_seconds is not None else []
    heard += [max(0, row.now_ms - int(seen)) / 1000] if seen else []
    return GroupStatus(
        *(row.group, row.partition, row.lag, row.lag_seconds, row.pending, parked, row.consumers),
        redeliveries=int(redeliveries or 0),
        abandoned=bool(abandoned),
        idle_seconds=min(heard, default=None),
        checkpoint=checkpoint.decode() or row.delivered,
        gap=parse_gap(row.partition, gap),
        work=work.decode() or ("replay" if replay else ""),
    )


def _sequence(stream_id: bytes) -> int:
    return int(stream_id.rpartition(b"-")[2])
