"""Which sessions have changed since they were sealed: asked of the directory and of tombstones, never of all events."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ..errors import CorruptKeyError, InvalidIdError
from ..event_log import EventLog, Progress, Tombstone
from ..event_log.deleter import lives_in
from ..event_log.diagnosis import position_of
from ..event_log.directory import Directory, DirectoryRange
from ..ids import EventId, check_id, milliseconds
from .record import MOST_MS, SealRecord, is_link, now, now_ms, parse_leaf
from .sealed_log import SealedLog

SLACK_MS = 60_000
"""By how much the clock of a server, or of one that takes its place, may step back unnoticed."""
_PAGE = 1_000


class Changes(NamedTuple):
    """What is to be sealed.

    Attributes:
        records: Where sessions stand that changed, and those that were deleted.
        skipped: Sessions whose head cannot be read.
        clocks: What the clock of each partition's server said before.
        time: That of this machine.
    """

    records: Sequence[SealRecord]
    skipped: tuple[str, ...]
    clocks: tuple[int, ...]
    time: str


def changes_since(log: EventLog, known: SealedLog | None, progress: Progress, everything: bool) -> Changes:
    """What changed since the last seal.

    Args:
        log: Where the sessions are.
        known: What was sealed; None if nothing was.
        progress: See `SealWriter.seal`.
        everything: Look at all there are.
    """
    partitions = range(log.keyspace.partitions)
    # The clocks first: what is appended after that is of a later time.
    time, clocks = now(), _clocks(log)
    since = [0] * len(clocks)
    if known and not everything and _may_go_on(known.mark.clocks, clocks):
        since = [max(0, ms - SLACK_MS) for ms in known.mark.clocks]
    sealed = _Sealed(known, since)
    found, skipped, names = list[SealRecord](), list[str](), list(_active(log, since, max(clocks)))
    rest = iter(names)
    while page := list(islice(rest, _PAGE)):
        for name, record in zip(page, _heads(log, page, time), strict=True):
            if record is None:
                skipped.append(name)
            elif isinstance(record, SealRecord) and not sealed.has(record):
                found.append(record)
        progress(len(names) - operator.length_hint(rest), len(names))
    deleted = (one for partition in partitions for one in _deleted(log, partition, since[partition], time))
    found += [record for record in deleted if not sealed.has(record)]
    return Changes(found, tuple(skipped), clocks, time)


def _clocks(log: EventLog) -> tuple[int, ...]:
    """Of each partition, what the clock of its server says; this machine's, where that says less.

    Else who sets a server's clock ahead for a moment has nothing sealed until it is as late as that.
    """
    keys, own = [log.keyspace.sessions(partition) for partition in range(log.keyspace.partitions)], now_ms()
    told = map(log.clock, keys) if log.store.is_cluster else (log.clock(keys[0]),) * len(keys)
    return tuple(min(own, ms) for ms in told)


def _may_go_on(before: Sequence[int], clocks: Sequence[int]) -> bool:
    """Whether what was active since can be found by its time: not where a clock was set back."""
    return len(before) == len(clocks) and all(now >= then - SLACK_MS for then, now in zip(before, clocks, strict=True))


class _Sealed:
    """What was sealed of the sessions that may be active still: those of the last minute, or of all."""

    def __init__(self, known: SealedLog | None, since: Sequence[int]) -> None:
        self._heads = dict[str, tuple[str, str]]()
        self._deletions = set[tuple[str, str]]()
        for record in _recent(known, since) if known else ():
            self._add(record)

    def has(self, record: SealRecord) -> bool:
        """Whether that was sealed, and nothing of the session since."""
        if record.is_deleted:
            return (record.session_id, str(record.id)) in self._deletions
        return self._heads.get(record.session_id) == (str(record.id), record.link)

    def _add(self, record: SealRecord) -> None:
        if record.is_deleted:
            self._deletions.add((record.session_id, str(record.id)))
        else:
            self._heads[record.session_id] = str(record.id), record.link


def _recent(known: SealedLog, since: Sequence[int]) -> Iterator[SealRecord]:
    """What was sealed when a clock said that time or later, oldest first."""
    first = len(known)
    while first:
        mark = known.mark_at(first)
        if all(ms < start for ms, start in zip(mark.clocks, since, strict=False)):
            break
        first = mark.after
    for start, leaves in known.bundles(first):
        for place, raw in enumerate(leaves, start):
            leaf = parse_leaf(raw, f"record {place}") if place >= first else None
            if isinstance(leaf, SealRecord):
                yield leaf


def _active(log: EventLog, since: Sequence[int], until: int) -> Iterator[str]:
    """The sessions that were active at that time of their partition or later, each once, those first that were before.

    What is written to meanwhile comes later in the directory. It ends where there is nothing new any more.
    """
    seen = set[str]()
    for page in Directory(log.store).pages(_PAGE, DirectoryRange(min(since), ascending=True)):
        known = len(seen)
        for line in page:
            name = line.session_id
            if name is not None and name not in seen and line.ms >= since[log.keyspace.partition(name)]:
                seen.add(name)
                yield name
        if len(seen) == known and page[0].ms > until:
            return


def _heads(log: EventLog, names: Sequence[str], time: str) -> Iterator[SealRecord | bool | None]:
    """Where sessions stand, in one round trip; False of one that is gone, None where that cannot be read."""
    keys = [log.keyspace.session(name).head for name in names]
    replies = log.store.pipeline([("HMGET", key, "revision", "link", "ms") for key in keys], is_lenient=True)
    for name, key, reply in zip(names, keys, replies, strict=True):
        yield _head(name, key, reply, time)


def _head(name: str, key: str, reply: Any, time: str) -> SealRecord | bool | None:
    if isinstance(reply, Exception):
        return None
    try:
        position = position_of(key, reply)
    except CorruptKeyError:
        return None
    if position is None:
        return False
    return SealRecord(name, position.id.revision, position.id, position.link, time)


def _deleted(log: EventLog, partition: int, since: int, time: str) -> Iterator[SealRecord]:
    """The deletions in a partition at that time or later."""
    key = log.keyspace.tombstones(partition)
    rest = iter(log.store.command(b"ZRANGE", f"{key}:times", str(since) if since else "-inf", "+inf", "BYSCORE"))
    while fields := list(islice(rest, _PAGE)):
        for found in log.store.command(b"HMGET", key, *fields):
            yield from (_record(life, time) for life in lives_in(found or b"") if _counts(life, since))


def _counts(life: Tombstone, since: int) -> bool:
    """Whether it is of that time, and one that can be sealed."""
    try:
        check_id("session_id", life.session_id)
    except InvalidIdError:
        return False
    return milliseconds(life.deleted_at) >= since and 0 <= life.revision < MOST_MS and is_link(life.link, True)


def _record(life: Tombstone, time: str) -> SealRecord:
    at = EventId(milliseconds(life.deleted_at), life.revision)
    return SealRecord(life.session_id, life.revision, at, life.link, time, is_deleted=True)
