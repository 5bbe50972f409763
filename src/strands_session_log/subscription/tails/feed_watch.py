"""The feed of one partition, followed for one reader: its sequence has no gaps, so none goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ...codec import RawEntry
from ...errors import FeedGapError, ServerRefusedError
from ...event_log import EventLog
from ...event_log.diagnosis import CURES, wrong_type
from ...event_log.reading import fetch, size_of
from ...feed import Envelope, FeedId, envelope
from ...ids import EventId, Instant, parse_point
from ...server.border import insist, text
from .buffer import Buffer, Sized
from .watch import Command, Watch

_NEWEST = ("+", "-", 1, b"XREVRANGE")
_MARK_BYTES = 64
_COUNTER_DIGITS = 16


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
        return self._is_end(self._id(newest[0][0]) if newest else None, _number(counter))

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
        page = self._fetch(f"({self._at.stream_id}", "+", count)
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
        command = partial(self._log.client.execute_command, "GET", self._counter_key, NEVER_DECODE=True)
        try:
            return _number(insist(command, 0))
        except ServerRefusedError as error:
            if "WRONGTYPE" not in error.reason:
                raise
            return 0

    def _fetch(self, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
        try:
            return insist(lambda: fetch(self._log.client, self.key, start, end, count, command), 0)
        except ServerRefusedError as error:
            raise wrong_type(error, self._log.client, {self.key: ("stream", CURES["feed"])}) from error

    def _id(self, entry_id: bytes | str) -> FeedId:
        return FeedId(self.partition, *EventId.parse(text(entry_id)))

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        found = envelope(self.partition, *entry)
        items = list[Sized]()
        if self._is_certain and found.feed_id.sequence != self._at.sequence + 1:
            missing = found.feed_id.sequence - self._at.sequence - 1
            gap = FeedGapError(self._at, found.feed_id, missing if missing > 0 else None)
            items.append(Sized(gap, _MARK_BYTES))
        wanted = found.feed_id.ms > self._from_ms and self._wanted(found.type, found.agent)
        # What is not wanted is no burden: the last word of how far it went is.
        items.append(Sized(found if wanted else Passed(found.feed_id), size_of(entry) if wanted else _MARK_BYTES))
        self._at, self._is_certain = found.feed_id, True
        return items


def _number(counter: bytes | str | None) -> int:
    """What the counter says; 0 where it is none: the next append makes it anew."""
    return int(counter) if counter and counter.isdigit() and len(counter) <= _COUNTER_DIGITS else 0
