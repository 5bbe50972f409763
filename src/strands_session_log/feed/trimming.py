"""Trimming the feed to what its groups still need."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from ..instrumentation import FeedTrimmed, GroupAbandoned
from ..instrumentation.hooks import hooks
from ..scripts import groups
from ..scripts.group_protocol import TrimReply
from ..server import Store, record
from .retention import FeedRetention

logger = logging.getLogger(__name__)

_LOOKS = 10
"""How often it is looked again which groups there are, while they change."""


class Trimmed(NamedTuple):
    """What was done to the feed of one partition.

    Attributes:
        removed: How many envelopes were removed.
        abandoned: The groups that, as was found now, nobody reads any more.
        lost: How many envelopes were removed that a group had not been given, by group.
    """

    removed: int
    abandoned: Sequence[str] = ()
    lost: Sequence[tuple[str, int]] = ()


def trim(store: Store, partition: int, retention: FeedRetention, *, exactly: bool = False) -> Trimmed:
    """Remove from a feed what is not needed any more.

    Args:
        store: Where.
        partition: Which feed.
        retention: What is to be kept.
        exactly: Not only as far as whole nodes of the stream can be dropped, which is much cheaper.
    """
    found, looks = Trimmed(0), 0
    # Groups come and go; where they do all the time, the next one who trims has better luck.
    while looks < _LOOKS:
        reply = groups.trim(
            store,
            partition,
            _groups(store, store.keyspace.feed(partition)),
            keep_ms=round(retention.keep * 1000),
            max_age_ms=round(retention.max_age * 1000),
            max_length=retention.max_length,
            abandoned_ms=round(retention.abandoned_after * 1000),
            exactly=exactly,
        )
        if reply is None:
            looks += 1
            continue
        found = _added(found, reply)
        if not (exactly and reply.may_go_on):
            break
    return _told(partition, found)


def _groups(store: Store, feed: str) -> list[bytes]:
    """Their names: of those that others have made on the feed, any bytes."""
    if not store.command("EXISTS", feed):
        return []
    return [record(row)["name"] for row in store.command(b"XINFO", "GROUPS", feed, at=feed)]


def _added(before: Trimmed, reply: TrimReply) -> Trimmed:
    """What all steps so far have done; how much a group has lost is counted anew in each."""
    return Trimmed(before.removed + reply.removed, [*before.abandoned, *reply.abandoned], reply.lost or before.lost)


def _told(partition: int, found: Trimmed) -> Trimmed:
    removed, names, pairs = found
    for group in names:
        logger.warning(
            "group=<%s>, partition=<%d> | no consumer reads it, it keeps nothing in the feed", group, partition
        )
        hooks.tell(GroupAbandoned(group, 0))
    if removed:
        hooks.tell(FeedTrimmed(removed))
    for group, count in pairs:
        logger.warning("group=<%s>, partition=<%d>, lost=<%d> | the feed outgrew its cap", group, partition, count)
    return found
