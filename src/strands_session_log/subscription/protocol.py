"""What the server gives a consumer of one partition, as `group/fetch.lua` answers it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ..errors import ServerRefusedError
from ..feed import FeedId, link_of

Cursor: TypeAlias = "tuple[str, str]"
"""An event's id and its session, after which a backfill goes on; both empty for the beginning."""

_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
_GAP = re.compile(rb"([0-9]{1,20}-[0-9]{1,20}) ([0-9]{1,20}-[0-9]{1,20})")
_BACKFILL = re.compile(rb"history|between [0-9]{1,15} [0-9]{1,15}")


class FeedEntry(NamedTuple):
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
    def link(self) -> bytes:
        """The link of the event, as the scripts see it."""
        return link_of(self.fields)


class ParkedDelivery(NamedTuple):
    """What was given up.

    Attributes:
        feed_id: Where its envelope stands in the feed.
        attempts: How often it was delivered.
        error: Why.
    """

    feed_id: FeedId
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Envelopes that are gone: after the one, before the other."""

    after: FeedId
    before: FeedId

    @property
    def missing(self) -> int:
        """How many there were."""
        return self.before.sequence - self.after.sequence - 1


class FetchReply(NamedTuple):
    """One answer.

    Attributes:
        partition: Of which partition.
        status: `ok`, `leased` (to another consumer), `forked`, or `broken`: a key is not what it should be.
        gap: What is gone and was not delivered, until somebody settles it.
        delivered: The last envelope that the group was given, as a stream id.
        wait: In how many seconds asking again may bring more, though nothing is new; None when that is not known.
        given: What is to be handled.
        parked: What was parked.
        backfill: What is to be read beside the feed: `history`, `between` two times, `replay`; empty for nothing.
        error: What is broken.
    """

    partition: int
    status: str
    gap: Gap | None = None
    delivered: str = "0-0"
    wait: float | None = None
    given: Sequence[FeedEntry] = ()
    parked: Sequence[ParkedDelivery] = ()
    backfill: str = ""
    error: ServerRefusedError | None = None

    @classmethod
    def parse(cls, partition: int, reply: Sequence[Any] | ServerRefusedError) -> FetchReply:
        """Read the script's answer, undecoded."""
        if isinstance(reply, ServerRefusedError):
            return cls(partition, "broken", error=reply)
        status = reply[0].decode()
        if status == "forked":
            return cls(partition, status)
        _, gap, delivered, wait, entries, buried, backfill = reply
        given = [FeedEntry(*one) for one in zip(entries[::3], entries[1::3], entries[2::3], strict=True)]
        parked = [
            ParkedDelivery(FeedId.parse(partition, id_), int(attempts), why.decode("utf-8", "replace"))
            for id_, attempts, why in zip(buried[::3], buried[1::3], buried[2::3], strict=True)
        ]
        pause = wait / 1000 if wait >= 0 else None
        return cls(
            partition, status, parse_gap(partition, gap), delivered.decode(), pause, given, parked, backfill.decode()
        )


def parse_gap(partition: int, text: bytes) -> Gap | None:
    """A gap as the group's hash has it; None where it has none that can be understood."""
    found = _GAP.fullmatch(text)
    return Gap(FeedId.parse(partition, found[1]), FeedId.parse(partition, found[2])) if found else None


def is_stream_id(text: bytes) -> bool:
    """Whether an entry of a stream can have this id."""
    return bool(_ID.fullmatch(text)) and max(map(int, text.split(b"-"))) < 1 << 64


def parse_backfill(backfill: bytes | None, is_replaying: bool) -> str:
    """What is to be read beside the feed: what the group's hash says, if it says what it can, else what is replayed."""
    if backfill and _BACKFILL.fullmatch(backfill):
        return backfill.decode()
    return "replay" if is_replaying else ""


def parse_cursor(cursor: bytes | None) -> Cursor:
    """How far a backfill has come: an event's id and its session; empty for the beginning."""
    id_, _, session_id = (cursor or b"").partition(b" ")
    try:
        return (id_.decode(), session_id.decode()) if _ID.fullmatch(id_) else ("", "")
    except UnicodeDecodeError:
        return "", ""
