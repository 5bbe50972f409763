"""The feed of one partition, followed for one reader: its sequence has no gaps, so none goes unnoticed.

Nor does another history: each page is read together with the entry before it, which must still be there with its link,
and what does not follow it by its number is never taken without that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from ..codec import RawEntry
from ..errors import CorruptEntryError, FeedGapError, ServerRefusedError
from ..event_log import EventLog
from ..event_log.diagnosis import CURES, naming
from ..event_log.reader import fetch, size_of
from ..feed import FIELDS, Envelope, FeedId, envelope, link_of, replaced
from ..ids import Instant, parse_point
from ..server import number, record
from .buffer import Buffer, Sized
from .cursor import Command, CursorState, StreamCursor, numbers_of

_NEWEST = ("+", "-", 1, b"XREVRANGE")
_MARK_BYTES = 64


class Passed(NamedTuple):
    """How far a partition was read, where no envelope tells.

    Attributes:
        feed_id: Everything up to it.
    """

    feed_id: FeedId


FeedItem: TypeAlias = "Envelope | Passed"
Beginning: TypeAlias = "FeedId | str | datetime | None"
"""After what to begin: an envelope or a time; None for all the feed still holds."""


class FeedCursor(StreamCursor[FeedItem]):
    """One partition.

    Args:
        log: Where; with `retry_for=0`.
        partition: The partition.
        after: Where to begin.
        only_new: Begin at the end, instead.
        wanted: Whether the consumer wants envelopes of a type and an agent.
        buffer: Where they go.

    Attributes:
        start: After what it begins; None for all the feed still holds, and until `knows_start`.
        knows_start: Whether that is known, for which the server may have to be asked.
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
        # Of the last envelope: what others have written may have any.
        self._number = 0
        self._last: RawEntry | None = None
        self._doubted: RawEntry | None = None
        self.start = after if isinstance(after, FeedId) and not only_new else None
        self.knows_start = not only_new and (after is None or isinstance(after, FeedId))

    @property
    def position(self) -> tuple[int, int]:
        """The id of the envelope read last."""
        return self._at.ms, self._at.sequence

    def probe(self) -> Sequence[Command]:
        """The newest envelope, and how many there were: the newest may have been trimmed."""
        return ("XREVRANGE", self.key, "+", "-", "COUNT", 1), ("GET", self._counter_key)

    def is_current(self, replies: Sequence[Any]) -> bool:
        """Whether nothing comes after the position, and it was not lost."""
        newest, counter = replies
        if not self._is_certain or not newest:
            return not newest and (not self._is_certain or number(counter) == self._number)
        found, last = self._id(newest[0][0]), self._last
        if found == self._at:
            return last is None or link_of(newest[0][1]) == link_of(last[1])
        return found < self._at and number(counter) == self._number

    @property
    def landmark(self) -> RawEntry | None:
        """The entry read last."""
        return self._last

    def doubt(self, landmark: RawEntry) -> None:
        """See `StreamCursor`."""
        self._doubted = landmark

    def fail(self, error: Exception) -> None:
        """A feed that is none is no trouble of those of other partitions."""
        if isinstance(error, ServerRefusedError) and error.is_wrong_type:
            self._leave(error)
        else:
            super().fail(error)

    def take(self, entries: Sequence[RawEntry]) -> CursorState:
        """See `StreamCursor`; what does not follow by its number calls for a closer look: a gap, or another history?"""
        first = next((self._id(entry[0]) for entry in entries if numbers_of(entry) > self.position), None)
        if first and self._is_certain and first.sequence != self._number + 1:
            return CursorState.BEHIND
        return super().take(entries)

    def _begin(self) -> None:
        match self._after:
            case _ if self._only_new:
                newest = self._fetch(*_NEWEST)
                self._stand_at(self._id(newest[0][0]) if newest else self._end(), newest[0] if newest else None)
            case FeedId():
                self._stand_at(self._after)
            case str() | datetime():
                self._after_time(self._after)
        self.start, self.knows_start = self._at if self._is_certain else None, True

    def _after_time(self, time: str | datetime) -> None:
        """What precedes the first envelope after a time tells what comes next, if it is still there."""
        found = parse_point(time, now_ms=self._log.clock(self.key))
        assert isinstance(found, Instant)
        self._from_ms = found.ms
        before = self._fetch(str(found.ms), "-", 1, b"XREVRANGE")
        if before:
            self._stand_at(self._id(before[0][0]), before[0])

    def _stand_at(self, feed_id: FeedId, entry: RawEntry | None = None) -> None:
        """Know what precedes the next envelope."""
        self._at, self._last, self._is_certain = feed_id, entry, True
        self._number = feed_id.sequence
        self.buffer.put([Sized(Passed(feed_id), 0)], self.resume)

    def _page(self, count: int) -> Sequence[RawEntry]:
        page = self._fetch(self._at.stream_id, "+", count + 1)
        if not self._is_certain:
            return page[:count]
        end = self._at
        if not page:
            # Asked before one looks again, so that what comes meanwhile is read, and not passed over.
            end, page = self._end(), self._fetch(self._at.stream_id, "+", count + 1)
        first = page[0] if page else None
        if self._is_replaced(self._at, self._last, page, end):
            self._begin_anew(first, end)
        else:
            self._settle_doubt()
            self._look_for_gap(first, end)
        self._doubted = None
        if first is None or self._id(first[0]) != self._at:
            return page[:count]
        self._last = first
        return page[1:]

    def _is_replaced(self, at: FeedId, known: RawEntry | None, page: Sequence[RawEntry], end: FeedId) -> bool:
        """Whether this is not the feed any more in which an envelope stood.

        Args:
            at: Where it stood.
            known: What stood there; None for what was read in an earlier life.
            page: What stands there now, and after it.
            end: Where nothing does, the last that the feed ever had.
        """
        first = next((entry for entry in page if self._id(entry[0]) == at or _is_envelope(entry)), None)
        if page and not first:
            # Only others have written since, so that nothing is known.
            return False
        place = self._id(first[0]) if first else end
        if first and place == at:
            return known is not None and link_of(first[1]) != link_of(known[1])
        # Trimmed or deleted is not replaced, but a number is never used again.
        before = self._fetch(f"({at.stream_id}", "-", 1, b"XREVRANGE") if at.ms else ()
        is_passed = place.sequence > at.sequence if first else place.sequence >= at.sequence
        return not is_passed or bool(before and self._id(before[0][0]).sequence >= at.sequence)

    def _begin_anew(self, first: RawEntry | None, end: FeedId) -> None:
        """Go on in another history."""
        self._tell(replaced(self._log.keyspace, self._at, self._last[1] if self._last else ()))
        if first is None:
            self._stand_at(end)
        elif self._id(first[0]) != self._at:
            # What comes next has another number, which is told already.
            self._is_certain = False

    def _look_for_gap(self, first: RawEntry | None, end: FeedId) -> None:
        """Where nothing is left, what came was lost, unless nothing came."""
        if first is None and end.sequence > self._number:
            self._tell(FeedGapError(self._at, None, end.sequence - self._number))
            self._stand_at(end)

    def _settle_doubt(self) -> None:
        """Tell it if what was read a while ago is not in the feed any more, though what was read since is."""
        if (doubted := self._doubted) is None:
            return
        at, found = self._id(doubted[0]), self._fetch(doubted[0].decode(), "+", 1)
        if self._is_replaced(at, doubted, found, self._at if found else self._end()):
            self._doubted = None
            self._tell(replaced(self._log.keyspace, at, doubted[1]))

    def _tell(self, error: Exception) -> None:
        self.buffer.put([Sized(error, _MARK_BYTES)], self.resume)

    def _end(self) -> FeedId:
        """The last that the feed ever had; one that is gone, or was made anew and is empty, goes on at the counter."""
        try:
            with naming(self._log.store, {self.key: ("stream", CURES["feed"])}):
                info = self._log.store.command(b"XINFO", "STREAM", self.key, at=self.key)
            last = self._id(record(info)["last-generated-id"])
        except ServerRefusedError as error:
            if "no such key" not in str(error):
                raise
            last = self._id("0-0")
        return last if last.sequence else FeedId(self.partition, 0, self._counter())

    def _counter(self) -> int:
        """How many there were; 0 where somebody else has written that."""
        try:
            return number(self._log.store.command("GET", self._counter_key))
        except ServerRefusedError as error:
            if not error.is_wrong_type:
                raise
            return 0

    def _fetch(self, start: str, end: str, count: int, command: bytes = b"XRANGE") -> Sequence[RawEntry]:
        with naming(self._log.store, {self.key: ("stream", CURES["feed"])}):
            return fetch(self._log.store, self.key, start, end, count, command)

    def _id(self, entry_id: bytes | str) -> FeedId:
        return FeedId.parse(self.partition, entry_id)

    def _accept(self, entry: RawEntry) -> Sequence[Sized]:
        at, items = self._id(entry[0]), list[Sized]()
        missing = at.sequence - self._number - 1
        told = self._told(at, entry)
        if isinstance(told[-1].item, CorruptEntryError):
            self._at, self._last, self._is_certain = at, entry, True
            self._number = max(self._number, at.sequence)
            return told
        if self._is_certain and missing > 0:
            items.append(Sized(FeedGapError(self._at, at, missing), _MARK_BYTES))
        if self._is_certain and missing < 0:
            # A number is never used again, except by another history.
            items.append(
                Sized(replaced(self._log.keyspace, self._at, self._last[1] if self._last else ()), _MARK_BYTES)
            )
        items += told
        self._at, self._last, self._is_certain, self._number = at, entry, True, at.sequence
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


def _is_envelope(entry: RawEntry) -> bool:
    """Whether it looks like one: what others have written may have any number."""
    return tuple(entry[1][::2]) == FIELDS
