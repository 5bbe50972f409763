"""Trimming the feed to what its groups still need."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..feed import FeedRetention
from ..instrumentation import FeedTrimmed, GroupAbandoned
from ..instrumentation.hooks import hooks
from ..keys import Keyspace
from ..scripts import FEED_TRIM
from ..server.border import Client
from ..server.replies import record
from .connection import connection_to

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


def trim(
    client: Client, keyspace: Keyspace, partition: int, retention: FeedRetention, *, exactly: bool = False
) -> Trimmed:
    """Remove from a feed what is not needed any more.

    Args:
        client: Any sync client.
        keyspace: How the namespace is laid out.
        partition: Which feed.
        retention: What is to be kept.
        exactly: Not only as far as whole nodes of the stream can be dropped, which is much cheaper.
    """
    milliseconds = [round(seconds * 1000) for seconds in (retention.keep, retention.max_age)]
    limits = [*milliseconds, retention.max_length, round(retention.abandoned_after * 1000)]
    found, looks = Trimmed(0), 0
    # Groups come and go; where they do all the time, the next one who trims has better luck.
    while looks < _LOOKS:
        names = _groups(client, keyspace.feed(partition))
        keys: list[str | bytes] = [keyspace.feed(partition), *(keyspace.group_key(partition, name) for name in names)]
        reply = FEED_TRIM(client, keys, [*limits, "=" if exactly else "~", *names], raw=True)
        if reply[0] < 0:
            looks += 1
            continue
        found = _added(found, reply)
        if not (exactly and reply[1]):
            break
    return _told(partition, found)


def _groups(client: Client, feed: str) -> list[bytes]:
    """Their names: of those that others have made on the feed, any bytes."""
    with connection_to(client, feed) as node:
        if not node.execute_command("EXISTS", feed):
            return []
        rows = node.execute_command(b"XINFO GROUPS", feed, NEVER_DECODE=True)
    return [record(row)["name"] for row in rows]


def _added(before: Trimmed, reply: Any) -> Trimmed:
    """What all steps so far have done; how much a group has lost is counted anew in each."""
    removed, _, abandoned, lost = reply
    pairs = [(name.decode("utf-8", "replace"), int(count)) for name, count in zip(lost[::2], lost[1::2], strict=True)]
    names = [name.decode("utf-8", "replace") for name in abandoned]
    return Trimmed(before.removed + removed, [*before.abandoned, *names], pairs or list(before.lost))


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
