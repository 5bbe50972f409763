"""What the server gives a consumer of one partition, as `group_take.lua` answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..feed import FIELDS, FeedId


class Given(NamedTuple):
    """An entry of the feed, as the server sends it: very many come, and most of it nobody looks at.

    Attributes:
        id: Its stream id.
        attempts: Which attempt this is, from 1.
        fields: Names and values in turn.
    """

    id: bytes
    attempts: int
    fields: Sequence[bytes]

    @property
    def link(self) -> str:
        """The link of the event; empty if this is no entry this library wrote."""
        return self.fields[9].decode() if len(self.fields) == 2 * len(FIELDS) else ""


class Parked(NamedTuple):
    """What was given up.

    Attributes:
        feed_id: Where its envelope stands in the feed.
        attempts: How often it was delivered.
        error: Why.
    """

    feed_id: FeedId
    attempts: int
    error: str


class Gap(NamedTuple):
    """Envelopes that are gone: after the one, before the other."""

    after: FeedId
    before: FeedId

    @property
    def missing(self) -> int:
        """How many there were."""
        return self.before.sequence - self.after.sequence - 1


class Taken(NamedTuple):
    """One answer.

    Attributes:
        partition: Of which partition.
        status: `ok`, `leased` (to another consumer) or `forked`.
        gap: What is gone and was not delivered, until somebody settles it.
        delivered: The last envelope that the group was given, as a stream id.
        wait: In how many seconds asking again may bring more, though nothing is new; None when that is not known.
        given: What is to be handled.
        parked: What was parked.
        work: What is to be done beside the feed: `history`, `between` two times, `replay`; empty for nothing.
    """

    partition: int
    status: str
    gap: Gap | None = None
    delivered: str = "0-0"
    wait: float | None = None
    given: Sequence[Given] = ()
    parked: Sequence[Parked] = ()
    work: str = ""

    @classmethod
    def parse(cls, partition: int, reply: Sequence[Any]) -> Taken:
        """Read the script's answer, undecoded."""
        status = reply[0].decode()
        if status == "forked":
            return cls(partition, status)
        _, gap, delivered, wait, entries, buried, work = reply
        given = [Given(*one) for one in zip(entries[::3], entries[1::3], entries[2::3], strict=True)]
        parked = [
            Parked(feed_id(partition, id_), int(attempts), why.decode("utf-8", "replace"))
            for id_, attempts, why in zip(buried[::3], buried[1::3], buried[2::3], strict=True)
        ]
        pause = wait / 1000 if wait >= 0 else None
        return cls(
            partition, status, parse_gap(partition, gap), delivered.decode(), pause, given, parked, work.decode()
        )


def feed_id(partition: int, stream_id: bytes | str) -> FeedId:
    """The place of an entry in the feed."""
    text = stream_id.decode() if isinstance(stream_id, bytes) else stream_id
    ms, _, sequence = text.partition("-")
    return FeedId(partition, int(ms), int(sequence))


def parse_gap(partition: int, text: bytes) -> Gap | None:
    """A gap as the group's hash has it; None where it has none."""
    if not text:
        return None
    after, before = text.split()
    return Gap(feed_id(partition, after), feed_id(partition, before))
