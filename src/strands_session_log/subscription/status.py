"""How the groups of a log stand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import GroupNotFoundError, InvalidIdError, ServerRefusedError
from ..event_log.diagnosis import CURES, naming
from ..ids import check_id
from ..keys import GroupKeys
from ..scripts import groups as scripts
from ..scripts.group_protocol import FeedStatus, Gap, is_stream_id, parse_backfill, parse_gap
from ..server import Argument, Store, number

GapResolution: TypeAlias = Literal["catch_up", "skip"]
"""How a gap is settled: what is missing is read from the sessions, or skipped."""

ACTIVE_MS = 60_000
"""A consumer asks the server every few seconds, so one that was silent for so long has gone, or hangs."""
_AHEAD_MS = 10_000
"""What is heard of while one looks is no further ahead; of what is, nobody knows when it was: the clock went back."""
_HEARTBEAT = b"heartbeat:"


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How a group stands in one partition.

    Attributes:
        group: Its name.
        partition: The partition, from 0.
        lag: How many envelopes it has not been given yet.
        lag_seconds: How old the oldest is that it has not settled, by the server's clock, where the user may not ask
            for that (`TIME`) by this machine's; 0 when there is none, and while that clock is behind what it was.
        pending: How many it was given and has not settled.
        parked: How many events are parked.
        consumers: How many consumers it has had that did not leave.
        redeliveries: How many deliveries were repeated since it began.
        abandoned: Whether no consumer has read it for so long that the feed is trimmed without regard to it.
        idle_seconds: How long ago one of its consumers was last heard of; None for never.
        checkpoint: Up to where everything is settled, as a stream id of the feed.
        gap: What is gone and was not delivered; None when nothing is.
        backfill: What is to be read beside the feed: `history`, `between` two times, `replay`; empty for nothing.
        active: The consumers that were heard of within the last minute, by what they note themselves: the server would
            count all as heard of when it starts. Of those that do not, by what the server knows.
        problem: What is broken: a key that holds something else than it should. The counts of what is in it are 0.
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
    backfill: str
    active: tuple[str, ...] = ()
    problem: str = ""


_FIELDS = ("redeliveries", "abandoned", "checkpoint", "gap", "backfill", "last_read")
_NOTHING = (None,) * len(_FIELDS)


def groups(store: Store) -> list[GroupStatus]:
    """All groups in all partitions, in two round trips; see `GroupStatus.problem` for what is broken in one.

    Raises:
        ServerRefusedError: When it is not even known of which groups.
    """
    keyspace, feeds = store.keyspace, scripts.status(store)
    with naming(store, {keyspace.feed(partition): ("stream", CURES["feed"]) for partition in range(len(feeds))}):
        rows = _rows_of(feeds)
    keys = [keyspace.group(row.partition, row.group) if row.is_ours else None for row in rows]
    notes = _notes(store, keys, rows)
    statuses = (_status(row, *note) for row, note in zip(rows, notes, strict=True))
    return sorted(statuses, key=lambda status: (status.group, status.partition))


def settle_gaps(store: Store, group: str, how: GapResolution, partitions: Sequence[int] = ()) -> list[Gap]:
    """Settle what a group lacks, in some partitions or in all; see `SessionLog.settle_gaps`."""
    places = partitions or range(store.keyspace.partitions)
    keys = [store.keyspace.group(partition, group).group for partition in places]
    with naming(store, dict.fromkeys(keys, ("hash", CURES["group"]))):
        return scripts.settle_gaps(store, group, how, places)


def check_group(store: Store, group: str) -> None:
    """Make sure that there is such a group.

    Raises:
        GroupNotFoundError: When there is none.
    """
    if group not in (known := {one.group for one in groups(store)}):
        raise GroupNotFoundError(group, sorted(known))


def delete_group(store: Store, group: str) -> bool:
    """Remove a group and all that it keeps; false when there was nothing of it."""
    return scripts.delete(store, group)


class _Row(NamedTuple):
    group: str
    partition: int
    lag: int = 0
    lag_seconds: float = 0.0
    pending: int = 0
    delivered: str = "0-0"
    consumers: Sequence[tuple[bytes, int]] = ()
    now_ms: int = 0
    problem: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether a subscription can have this name."""
        try:
            return bool(check_id("group", self.group))
        except InvalidIdError:
            return False


def _rows_of(feeds: Sequence[FeedStatus | ServerRefusedError]) -> list[_Row]:
    """Of a feed that is broken, those are told of that other partitions know."""
    broken = {partition: reply for partition, reply in enumerate(feeds) if isinstance(reply, ServerRefusedError)}
    sound = [(partition, reply) for partition, reply in enumerate(feeds) if isinstance(reply, FeedStatus)]
    rows = [row for partition, reply in sound for row in _rows(partition, reply)]
    if broken and not rows:
        raise next(iter(broken.values()))
    names = {row.group for row in rows}
    return rows + [_Row(name, at, problem=f"feed: {error.reason}") for at, error in broken.items() for name in names]


def _rows(partition: int, feed: FeedStatus) -> Iterator[_Row]:
    last = feed.last
    now = feed.now_ms or max(round(time.time() * 1000), int(last.partition(b"-")[0]))
    for name, delivered, pending, least, first, consumers in feed.groups:
        # Somebody else may have written the last under any number; what is there was not delivered.
        behind = max(1, _sequence(last) - _sequence(delivered)) if first else 0
        oldest = min((int(id_.partition(b"-")[0]) for id_ in (least, first) if id_), default=now)
        yield _Row(
            *(_name(name), partition, behind, max(0, now - oldest) / 1000, pending),
            *(delivered.decode(), consumers, now),
        )


def _name(text: bytes) -> str:
    """Names of others may be any bytes."""
    return text.decode("utf-8", "replace")


def _notes(store: Store, keys: Sequence[GroupKeys | None], rows: Sequence[_Row]) -> list[tuple[Any, Any, Any]]:
    """What the hash of each group says, how much it has parked, and how much of that is to be tried again.

    An error stands in place of what is broken.
    """
    commands = list[Sequence[Argument]]()
    for one, row in zip(keys, rows, strict=True):
        if one:
            heartbeats = [_HEARTBEAT + name for name, _ in row.consumers]
            commands.append(("HMGET", one.group, *_FIELDS, *heartbeats))
            commands += (("XLEN", one.parked), ("ZCARD", one.replay))
    replies = iter(store.pipeline(commands, is_lenient=True))
    return [(next(replies), next(replies), next(replies)) if one else (_NOTHING, 0, 0) for one in keys]


def _status(row: _Row, noted: Any, parked: Any, waiting: Any) -> GroupStatus:
    problems = [row.problem] if row.problem else []
    if isinstance(noted, ServerRefusedError):
        problems, noted = [*problems, f"group: {noted.reason}"], _NOTHING
    if isinstance(parked, ServerRefusedError):
        problems, parked = [*problems, f"parked: {parked.reason}"], 0
    if isinstance(waiting, ServerRefusedError):
        problems, waiting = [*problems, f"replay: {waiting.reason}"], 0
    redeliveries, abandoned, checkpoint, gap, backfill, last_read = (value or b"" for value in noted[: len(_FIELDS)])
    silent = _silent(row, noted[len(_FIELDS) :])
    # Consumers that left are not among those of XINFO.
    heard = [ms for ms in (*silent.values(), _since(last_read, row.now_ms)) if ms is not None]
    return GroupStatus(
        *(row.group, row.partition, row.lag, row.lag_seconds, row.pending, parked, len(row.consumers)),
        redeliveries=number(redeliveries),
        abandoned=bool(abandoned),
        idle_seconds=min(heard) / 1000 if heard else None,
        checkpoint=checkpoint.decode() if is_stream_id(checkpoint) else row.delivered,
        gap=parse_gap(row.partition, gap),
        backfill=parse_backfill(backfill, bool(waiting)),
        active=tuple(sorted(name for name, ms in silent.items() if ms is not None and ms <= ACTIVE_MS)),
        problem="; ".join(problems),
    )


def _silent(row: _Row, heartbeats: Sequence[bytes | None]) -> dict[str, int | None]:
    """For how many ms nothing was heard of each consumer; of one that notes nothing, by what the server knows."""
    noted = [*heartbeats, *[None] * (len(row.consumers) - len(heartbeats))]
    return {
        _name(name): _since(beat, row.now_ms) if beat else idle
        for (name, idle), beat in zip(row.consumers, noted, strict=True)
    }


def _since(noted: bytes, now_ms: int) -> int | None:
    """How many ms ago something was; None for never, and for a time that is to come."""
    at = number(noted)
    return max(0, now_ms - at) if at and at <= now_ms + _AHEAD_MS else None


def _sequence(stream_id: bytes) -> int:
    return int(stream_id.rpartition(b"-")[2])
