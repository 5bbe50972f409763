"""The scripts about consumer groups, as functions: named arguments in, typed replies out.

What a script does, and in which order it takes what, stands in `lua/group/`. Several calls go in one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ServerRefusedError
from ..server import Argument, ScriptCall, Store
from . import (
    FEED_TRIM,
    GROUP_COUNT,
    GROUP_DELETE,
    GROUP_FETCH,
    GROUP_GAP,
    GROUP_HEARTBEAT,
    GROUP_LEAVE,
    GROUP_PARKED,
    GROUP_SETTLE,
    GROUP_STATUS,
    GROUP_WORK,
)
from .group_protocol import (
    BackfillReport,
    FeedStatus,
    FetchReply,
    FetchRequest,
    Gap,
    GroupConsumer,
    GroupRow,
    SettleReply,
    SettleRequest,
    TrimReply,
    parse_gap,
)


def begin(store: Store, me: GroupConsumer, start: str) -> None:
    """Let a group begin, see `fetch`, in every partition that it is new in; of one that is broken, fetching tells."""
    arguments = _fetched(me, FetchRequest(0, most=0), start)
    store.run_many(GROUP_FETCH, [(keys, arguments) for keys in store.keyspace.groups(me.group)], is_lenient=True)


def fetch(store: Store, me: GroupConsumer, requests: Sequence[FetchRequest], start: str) -> list[FetchReply]:
    """Give a consumer what it is to handle next.

    Args:
        store: Where.
        me: The consumer.
        requests: What it asks for, by partition.
        start: Where a group that is new begins: `feed`, `now` or `beginning`.
    """
    keys = store.keyspace.groups(me.group)
    calls = [(keys[one.partition], _fetched(me, one, start)) for one in requests]
    replies = store.run_many(GROUP_FETCH, calls, is_lenient=True)
    return [FetchReply.parse(one.partition, reply) for one, reply in zip(requests, replies, strict=True)]


def _fetched(me: GroupConsumer, one: FetchRequest, start: str) -> list[Argument]:
    return [
        *(me.group, me.consumer, "ordered" if me.ordered else ""),
        *(one.most, "feed" if one.is_begun else start),
        *("1" if one.claim else "", me.claim_after_ms, me.max_attempts),
        *("1" if one.suspects else "", me.claim_after_ms),
        *(*one.known, b" ".join(one.own)),
    ]


def settle(
    store: Store, me: GroupConsumer, requests: Sequence[SettleRequest]
) -> list[SettleReply | ServerRefusedError]:
    """Tell what became of deliveries; of a partition whose keys are broken, the answer is that error."""
    calls = [call[1:] for call in settling(store, me, requests)]
    replies = store.run_many(GROUP_SETTLE, calls, is_lenient=True)
    return [reply if isinstance(reply, ServerRefusedError) else SettleReply.parse(reply) for reply in replies]


def settling(store: Store, me: GroupConsumer, requests: Sequence[SettleRequest]) -> list[ScriptCall]:
    """The calls of `settle`, for who sends them with others; the replies are read by `SettleReply.parse`."""
    return [(GROUP_SETTLE, _settle_keys(store, me, one), _settled(me, one)) for one in requests]


def _settle_keys(store: Store, me: GroupConsumer, request: SettleRequest) -> list[str]:
    """Those of the group, and the events that reasons may quote: these are kept as long as nothing is erased."""
    keys = store.keyspace.group(request.partition, me.group)
    events = [store.keyspace.session(one.session_id).events for one in request.others if one.failure[1]]
    return [keys.feed, keys.group, keys.parked, keys.texts, *events]


def _settled(me: GroupConsumer, request: SettleRequest) -> list[Argument]:
    arguments: list[Argument] = [
        *(me.group, me.consumer, me.claim_after_ms, me.max_attempts),
        *("ordered" if me.ordered else "", *request.last, request.taken_over),
        *(" ".join(map(str, request.attempts)), len(request.done)),
        *request.done,
    ]
    for one in request.others:
        arguments += (one.what, one.key, one.attempts, one.pause_ms, *one.failure)
    return arguments


def report_backfill(store: Store, me: GroupConsumer, partition: int, report: BackfillReport) -> bool:
    """Tell how far a backfill has come; false when it is another consumer's now, or another one."""
    keys = store.keyspace.group(partition, me.group)
    events = [store.keyspace.session(one.session_id).events for one in report.parked if one.text]
    lease_ms = 0 if report.leaves else me.claim_after_ms
    arguments: list[Argument] = [me.consumer, lease_ms, report.kind, report.cursor, report.ending]
    arguments += (" ".join(report.settled), " ".join(report.staying), me.group)
    for one in report.parked:
        arguments += (*one.fields, one.text)
    return bool(store.run(GROUP_WORK, [keys.group, keys.parked, keys.replay, keys.texts, *events], arguments))


def count_backfill_attempt(store: Store, group: str, partition: int) -> int:
    """Count that a backfill begins, or goes on, at its cursor; how often that was."""
    return int(store.run(GROUP_COUNT, [store.keyspace.group(partition, group).group], ["backfill_attempts"]))


def heartbeat(store: Store, me: GroupConsumer, gone_after_ms: int, forgotten_after_ms: int) -> int:
    """Say that a consumer is there; how many of its group were heard of lately, by the server's clock."""
    keys = [store.keyspace.group(0, me.group).group]
    return int(store.run(GROUP_HEARTBEAT, keys, (me.consumer, gone_after_ms, forgotten_after_ms)))


def release(store: Store, me: GroupConsumer, partition: int) -> None:
    """Give up the lease of a partition, if the consumer has it; of one that is broken, nobody has."""
    keys = store.keyspace.group(partition, me.group)
    store.run_many(GROUP_LEAVE, [((keys.group, keys.feed), [me.consumer])], is_lenient=True)


def leave(store: Store, me: GroupConsumer) -> None:
    """Give up all leases, and the consumer's name where nothing is pending under it."""
    names = [me.consumer, me.group]
    store.run_many(GROUP_LEAVE, [((keys.group, keys.feed), names) for keys in store.keyspace.groups(me.group)])


def note_gap(store: Store, group: str, what: str, gap: Gap) -> Gap | None:
    """Note a gap, or settle it.

    Args:
        store: Where.
        group: The group.
        what: `missing`: it is noted if nobody of the group had what is gone; `skip` or `catch_up`: it is settled.
        gap: The gap.
    """
    partition = gap.after.partition
    keys, arguments = store.keyspace.group(partition, group), [what, gap.after.stream_id, gap.before.stream_id]
    return parse_gap(partition, store.run(GROUP_GAP, (keys.group, keys.feed), arguments))


def settle_gaps(store: Store, group: str, how: str, partitions: Sequence[int]) -> list[Gap]:
    """Settle what is noted of a group, with `skip` or `catch_up`; the gaps there were."""
    keys = store.keyspace.groups(group)
    calls = [((keys[partition].group, keys[partition].feed), [how]) for partition in partitions]
    replies = zip(partitions, store.run_many(GROUP_GAP, calls), strict=True)
    return [gap for partition, reply in replies if (gap := parse_gap(partition, reply))]


def settle_parked(store: Store, group: str, partition: int, how: str, ids: Sequence[str]) -> int:
    """Have parked entries tried again (`replay`), or forget them (`drop`); how many."""
    keys = store.keyspace.group(partition, group)
    return int(store.run(GROUP_PARKED, [keys.parked, keys.replay, keys.texts], [how, group, *ids]))


def delete(store: Store, group: str) -> bool:
    """Remove a group and all that it keeps; false when there was nothing of it."""
    return any(store.run_many(GROUP_DELETE, [(keys, [group]) for keys in store.keyspace.groups(group)]))


def status(store: Store) -> list[FeedStatus | ServerRefusedError]:
    """How the groups stand, by partition; where a feed is none, that error."""
    calls = [([store.keyspace.feed(partition)], ()) for partition in range(store.keyspace.partitions)]
    replies = store.run_many(GROUP_STATUS, calls, is_lenient=True)
    return [reply if isinstance(reply, ServerRefusedError) else _status(reply) for reply in replies]


def _status(reply: Sequence[Any]) -> FeedStatus:
    now_ms, last, _, flat = reply
    columns = [flat[at::6] for at in range(5)]
    consumers = [list(zip(names[::2], names[1::2], strict=True)) for names in flat[5::6]]
    return FeedStatus(now_ms, last, [GroupRow(*row) for row in zip(*columns, consumers, strict=True)])


def trim(
    store: Store,
    partition: int,
    groups: Sequence[bytes],
    *,
    keep_ms: int,
    max_age_ms: int,
    max_length: int,
    abandoned_ms: int,
    exactly: bool,
) -> TrimReply | None:
    """Remove from a feed what its groups do not need, which all must be named; None when there are others now."""
    keys: list[str | bytes] = [store.keyspace.feed(partition)]
    keys += (store.keyspace.group_key(partition, name) for name in groups)
    limits = (keep_ms, max_age_ms, max_length, abandoned_ms, "=" if exactly else "~")
    reply = store.run(FEED_TRIM, keys, [*limits, *groups])
    if reply[0] < 0:
        return None
    removed, more, abandoned, lost = reply
    counts = [(_shown(name), int(count)) for name, count in zip(lost[::2], lost[1::2], strict=True)]
    return TrimReply(removed, bool(more), [_shown(name) for name in abandoned], counts)


def _shown(name: bytes) -> str:
    """Names of groups that others have made may be any bytes."""
    return name.decode("utf-8", "replace")
