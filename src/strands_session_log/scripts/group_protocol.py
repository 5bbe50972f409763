"""What is said of a consumer group to the server, and what it answers: the arguments and replies of `groups`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

from ..errors import ServerRefusedError
from ..ids import FeedId
from ..server import Argument

Cursor: TypeAlias = "tuple[str, str]"
"""An event's id and its session, after which a backfill goes on; both empty for the beginning."""

_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
_GAP = re.compile(rb"([0-9]{1,20}-[0-9]{1,20}) ([0-9]{1,20}-[0-9]{1,20})")
_new = tuple.__new__
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

    @classmethod
    def first_given(cls, entries: Sequence[Any]) -> list[FeedEntry]:
        """Entries of a stream, which nobody was given before."""
        ids, fields = zip(*entries, strict=True)
        return list(map(_new, repeat(cls), zip(ids, repeat(1), fields, strict=False)))


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
        has_suspects: Whether something was left out that may have killed its consumers.
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
    has_suspects: bool = False
    error: ServerRefusedError | None = None

    @classmethod
    def parse(cls, partition: int, reply: Sequence[Any] | ServerRefusedError) -> FetchReply:
        """Read the script's answer, undecoded."""
        if isinstance(reply, ServerRefusedError):
            return cls(partition, "broken", error=reply)
        status = reply[0].decode()
        if status == "forked":
            return cls(partition, status)
        _, gap, delivered, wait, entries, buried, backfill, suspects = reply
        return cls(
            partition,
            status,
            gap=parse_gap(partition, gap) if gap else None,
            delivered=delivered.decode(),
            wait=wait / 1000 if wait >= 0 else None,
            given=list(map(_new, repeat(FeedEntry), zip(entries[::3], entries[1::3], entries[2::3], strict=True))),
            parked=_parked(partition, buried) if buried else (),
            backfill=backfill.decode(),
            has_suspects=bool(suspects),
        )


def _parked(partition: int, buried: Sequence[Any]) -> list[ParkedDelivery]:
    return [
        ParkedDelivery(FeedId.parse(partition, id_), int(attempts), why.decode("utf-8", "replace"))
        for id_, attempts, why in zip(buried[::3], buried[1::3], buried[2::3], strict=True)
    ]


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


class FetchRequest(NamedTuple):
    """What a consumer asks one partition for.

    Attributes:
        partition: The partition.
        most: How many deliveries at most.
        claim: Look for what others left lying.
        suspects: Something may be given that was delivered twice already.
        known: The last envelope this consumer was given, which is compared with the feed: its id and link.
        own: Deliveries of its own that are to be given again.
        is_begun: Whether the group is known to have begun; should it be gone, what is there now came after that.
    """

    partition: int
    most: int
    claim: bool = False
    suspects: bool = True
    known: tuple[str, bytes] = ("", b"")
    own: Sequence[bytes] = ()
    is_begun: bool = False


class Disposition(NamedTuple):
    """What a consumer says of a delivery.

    Attributes:
        what: `nack`, `park`, `release` or `extend`.
        key: The stream id of its envelope.
        attempts: Which attempt it was.
        pause_ms: How long it is to wait.
        failure: Why it failed: what may stand there for good, and a text that may quote content.
        session_id: The session, where the reason may quote it.
    """

    what: str
    key: bytes
    attempts: int
    pause_ms: int = 0
    failure: tuple[str, str] = ("", "")
    session_id: str = ""


class SettleRequest(NamedTuple):
    """What a consumer says of its deliveries in one partition.

    Attributes:
        partition: The partition.
        done: The stream ids of those that were handled.
        attempts: Which attempt each of them was; empty if all were the first.
        last: The id and the link of one of the last of them.
        others: What is said of others.
        taken_over: How often others had taken something over when this consumer last looked; empty if it does not know.
    """

    partition: int
    done: Sequence[bytes] = ()
    attempts: Sequence[int] = ()
    last: tuple[bytes, bytes] = (b"", b"")
    others: Sequence[Disposition] = ()
    taken_over: str = ""


class SettleReply(NamedTuple):
    """The answers: `k` (kept) it was this consumer's, `t` (taken over) another has it, `g` (gone) nobody has.

    Attributes:
        done: Of what was done.
        others: Of the rest.
        parked: What was parked.
        checkpoint: Up to where everything of the partition is settled; empty if that was not asked.
        taken_over: How often others have taken something over from this consumer; empty if that is not known.
    """

    done: str
    others: str
    parked: Sequence[str]
    checkpoint: str
    taken_over: str

    @classmethod
    def parse(cls, reply: Sequence[Any]) -> SettleReply:
        """Read the script's answer, undecoded."""
        done, others, parked, checkpoint, taken_over = reply
        ids = [id_.decode() for id_ in parked]
        return cls(done.decode(), others.decode(), ids, checkpoint.decode(), taken_over.decode())


class GroupConsumer(NamedTuple):
    """On whose behalf the server is asked.

    Attributes:
        group: The group.
        consumer: Its name in it.
        ordered: Whether a partition is one consumer's at a time.
        claim_after_ms: After how many milliseconds without a word a delivery, or a lease, may be taken over.
        max_attempts: How often something is delivered at most.
    """

    group: str
    consumer: str
    ordered: bool
    claim_after_ms: int
    max_attempts: int


class BackfillPark(NamedTuple):
    """An event of a backfill that is given up: its envelope, how often it was tried, and why; see `failure.Failure`."""

    session_id: str
    id: str
    type: str
    agent: str
    link: str
    facts: bytes
    feed_id: str
    attempts: int
    error: str
    text: str

    @property
    def fields(self) -> list[Argument]:
        """As they stand in the parked stream: names and values in turn."""
        values: Sequence[Argument] = self[:-1]
        return [part for pair in zip(("session", *self._fields[1:-1]), values, strict=True) for part in pair]


class BackfillReport(NamedTuple):
    """How far a backfill has come.

    Attributes:
        kind: Which one: `history`, `between` two times, or `replay`.
        cursor: How far it is; empty for no news.
        ending: `done` when it is finished, `released` when this consumer goes, `failed` when it does so for an error.
        settled: Parked entries that are settled.
        staying: Those that stay parked.
        parked: What is given up.
        leaves: Whether nobody goes on with it here.
    """

    kind: str
    cursor: str = ""
    ending: str = ""
    settled: Sequence[str] = ()
    staying: Sequence[str] = ()
    parked: Sequence[BackfillPark] = ()
    leaves: bool = False


class GroupRow(NamedTuple):
    """A group on one feed, as the server knows it.

    Attributes:
        name: Its name.
        delivered: The last envelope it was given, as a stream id.
        pending: How many it was given and has not settled.
        least: The oldest of these; empty for none.
        first: The first that it was not given; empty for none.
        consumers: Their names, and for how many milliseconds the server has not heard of them.
    """

    name: bytes
    delivered: bytes
    pending: int
    least: bytes
    first: bytes
    consumers: Sequence[tuple[bytes, int]]


class FeedStatus(NamedTuple):
    """The groups of one feed; the time is 0 where the user may not ask for it."""

    now_ms: int
    last: bytes
    groups: Sequence[GroupRow]


class TrimReply(NamedTuple):
    """How many envelopes were removed; whether more may be; the groups given up now; how many each group has lost."""

    removed: int
    may_go_on: bool
    abandoned: Sequence[str]
    lost: Sequence[tuple[str, int]]
