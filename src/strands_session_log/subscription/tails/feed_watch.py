"""The feed of one partition, followed for one reader: its sequence has no gaps, so none goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ...codec import RawEntry
from ...errors import CorruptEntryError, FeedGapError, ServerRefusedError
from ...event_log import EventLog
from ...event_log.diagnosis import CURES, naming
from ...event_log.reading import fetch, size_of
from ...feed import Envelope, FeedId, envelope
from ...ids import Instant, parse_point
from ...server.border import insist
from ...server.replies import number
from .buffer import Buffer, Sized
from .watch import Command, Watch

_NEWEST = ("+", "-", 1, b"XREVRANGE")
_MARK_BYTES = 64
_LARGEST = ((1 << 64) - 1, (1 << 64) - 1)
"""Nothing can follow it; a server even refuses to look."""


class Passed(NamedTuple):
    """How far a partition was read, where no envelope tells.

    Attributes:
        feed_id: Everything up to it.
    """

    feed_id: FeedId


FeedItem: TypeAlias = "Envelope | Passed"
Beginning: TypeAlias = "FeedId | str | datetime | None"
"""After what to begin: an envelope or a time; None for all the feed still holds."""


class FeedWatch(Watch[FeedItem]):
    """One partition.

    Args:
        log: Where; with `retry_for=0`.
        partition: The partition.
        after: Where to begin.
        only_new: Begin at the end, instead.
        wanted: Whether the consumer wants envelopes of a type and an agent.
        buffer: Where they go.
    """

    def __init__(
        self,
        log: EventLog,
        partition: int,
        after: Beginning,
        only_new: bool,
        wanted: Callable[[str, str], bool],
        buffer: Buffer[FeedItem],
    ) -> None:
        super().__init__(log.keyspace.feed(partition), partition, buffer)
        self._log, self._after, self._only_new, self._wanted = log, after, only_new, wanted
        self._counter_key = log.keyspace.position(partition)
        self._at, self._is_certain, self._from_ms = FeedId(partition, 0, 0), False, 0

    @property
    def position(self) -> tuple[int, int]:
        """The id of the envelope read last."""
        return self._at.ms, self._at.sequence

    def probe(self) -> Sequence[Command]:
        """The newest envelope, and how many there were: the newest may have been trimmed."""
        return ("XREVRANGE", self.key, "+", "-", "COUNT", 1), ("GET", self._counter_key)

    def stands(self, replies: Sequence[Any]) -> bool:
        """Whether nothing comes after the position, and it was not lost."""
        newest, counter = replies
        return self._is_end(self._id(newest[0][0]) if newest else None, number(counter))

    def fail(self, error: Exception) -> None:
        """A feed that is none is no trouble of those of other partitions."""
        if isinstance(error, ServerRefusedError) and error.is_wrong_type:
            self._leave(error)
        else:
            super().fail(error)

    def _is_end(self, newest: FeedId | None, counter: int) -> bool:
        if not self._is_certain:
            return newest is None
        return newest == self._at or (counter == self._at.sequence and (newest is None or newest <= self._at))

    def _begin(self) -> None:
        match self._after:
            case _ if self._only_new:
                self._stand_at(self._newest() or FeedId(self.partition, 0, self._counter()))
            case FeedId():
                self._stand_at(self._after)
            case str() | datetime():
                self._after_time(self._after)

    def _after_time(self, time: str | datetime) -> None:
        """What precedes the first envelope after a time tells what comes next, if it is still there."""
        found = parse_point(time, now_ms=self._log.clock(self.key))
        assert isinstance(found, Instant)
        self._from_ms = found.ms
        before = self._fetch(str(found.ms), "-", 1, b"XREVRANGE")
        if before:
            self._stand_at(self._id(before[0][0]))

    def _stand_at(self, feed_id: FeedId) -> None:
        """Know what precedes the next envelope."""
        self._at, self._is_certain = feed_id, True
        self.buffer.put([Sized(Passed(feed_id), 0)], self.come_again)

    def _page(self, count: int) -> Sequence[RawEntry]:
        page = self._fetch(f"({self._at.stream_id}", "+", count) if self._at[1:] != _LARGEST else ()
        if not page:
            self._look_for_gap()
        return page

    def _look_for_gap(self) -> None:
        """Nothing follows: because nothing happened, or because what was read is not in this feed any more?"""
        newest, counter = self._newest(), self._counter()
        # An envelope that came meanwhile will be read.
        if self._is_certain and not self._is_end(newest, counter) and not (newest and newest > self._at):
            self.buffer.put([Sized(FeedGapError(self._at, None), _MARK_BYTES)], self.come_again)
            self._stand_at(newest or FeedId(self.partition, 0, counter))

    def _newest(self) -> FeedId | None:
        found = self._fetch(*_NEWEST)
        return self._id(found[0][0]) if found else None

    def _counter(self) -> int:
        """How many there were; 0 where somebody else has written that, which only makes one look again."""
        command = partial(self._log.client.execute_command, "GET", self._counter_key, NEVER_DECODE=True)
        try:
            return number(insist(command, 0))
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            return 0

    def _fetch(self, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
        with naming(self._log.client, {self.key: ("stream", CURES["feed"])}):
            return insist(lambda: fetch(self._log.client, self.key, start, end, count, command), 0)

    def _id(self, entry_id: bytes | str) -> FeedId:
        return FeedId.parse(self.partition, entry_id)

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        at, items = self._id(entry[0]), list[Sized]()
        if self._is_certain and at.sequence != self._at.sequence + 1:
            missing = at.sequence - self._at.sequence - 1
            items.append(Sized(FeedGapError(self._at, at, missing if missing > 0 else None), _MARK_BYTES))
        items += self._told(at, entry)
        self._at, self._is_certain = at, True
        return items

    def _told(self, at: FeedId, entry: RawEntry) -> Sequence[Sized]:
        try:
            found = envelope(self._log.keyspace, self.partition, *entry)
        except CorruptEntryError as error:
            # Somebody else wrote it: whoever reads is told, and goes on behind it.
            return Sized(Passed(at), 0), Sized(error, _MARK_BYTES)
        wanted = at.ms > self._from_ms and self._wanted(found.type, found.agent)
        # What is not wanted is no burden: the last word of how far it went is.
        return (Sized(found if wanted else Passed(at), size_of(entry) if wanted else _MARK_BYTES),)
