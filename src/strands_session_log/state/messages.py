"""An immutable sequence of message records that grows cheaply, and need not be here whole.

A transcript is folded one message at a time; copying it each time would cost O(n²). Records stand in segments and a
growing tail: appending copies the tail only, replacing one record copies its segment only, and every earlier value
stays as it was. A segment may be fetched when it is first looked at: whoever needs the newest reads no others.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from .session import MessageRecord

Load: TypeAlias = "Callable[[], Sequence[MessageRecord]]"
Made = TypeVar("Made")

SEGMENT = 512
"""Messages a segment has when it is folded; stored ones may have fewer."""


class Columns(NamedTuple):
    """Messages attribute by attribute, for somebody who makes objects of another kind of them and changes these.

    Attributes:
        messages: The messages, in containers nobody else has.
        indices: Their indices in the transcript.
        redactions: What stands in their place after redaction, or None.
        created: When they were created.
        updated: When they were last changed.
        have_tools: Whether one of the messages may call a tool, or answer for one.
    """

    messages: Sequence[Any]
    indices: Sequence[int]
    redactions: Sequence[Any]
    created: Sequence[str]
    updated: Sequence[str]
    have_tools: bool

    @property
    def each(self) -> Sequence[Sequence[Any]]:
        """What has something of each message."""
        return self[:-1]

    def part(self, start: int, end: int) -> Columns:
        """Those of the messages from one position to another."""
        return _columns([column[start:end] for column in self.each], self.have_tools)

    @classmethod
    def joined(cls, pieces: Sequence[Columns]) -> Columns:
        """Those of all messages of some, in turn."""
        if len(pieces) == 1:
            return pieces[0]
        columns = zip(*[piece.each for piece in pieces], strict=True) if pieces else [()] * (len(cls._fields) - 1)
        return _columns([[*chain.from_iterable(each)] for each in columns], any(piece.have_tools for piece in pieces))


class Segment:
    """Consecutive records of one agent, in order of their index; at least one.

    Args:
        first: Index of the first message.
        last: Index of the last message.
        count: How many there are.
        load: Fetches them; called at most once if it succeeds.
        name: What it is called where it is stored; empty if it is stored nowhere.
        give: Fetches their columns with Python values in them; each time anew.
    """

    __slots__ = ("_give", "_load", "_records", "count", "first", "last", "name")

    def __init__(
        self,
        first: int,
        last: int,
        count: int,
        load: Load,
        name: str = "",
        give: Callable[[], Columns] | None = None,
    ) -> None:
        self.first, self.last, self.count, self.name = first, last, count, name
        self._load: Load = load
        self._give: Callable[[], Columns] | None = give
        self._records: Sequence[MessageRecord] | None = None

    @classmethod
    def of(cls, records: Sequence[MessageRecord]) -> Segment:
        """A segment of records that are here."""
        segment = cls(records[0].message_id, records[-1].message_id, len(records), lambda: records)
        segment._records = records
        return segment

    @property
    def is_at_hand(self) -> bool:
        """Whether the records are here, or stored: then nobody needs to read the log for them."""
        return self._records is not None or bool(self.name)

    @property
    def records(self) -> Sequence[MessageRecord]:
        """The records; fetched now, if they were not before."""
        if self._records is None:
            self._records = self._load()
        return self._records

    def given(self, restore: Callable[[Any], Any]) -> Columns:
        """Their columns, see `Messages.made`."""
        if self._give is not None and self._records is None:
            return self._give()
        return columns_of(self.records, restore)

    def index_at(self, offset: int) -> int:
        """The index of one message; without fetching where none is missing between the first and the last."""
        if offset == self.count - 1:
            return self.last
        return self.first + offset if self.is_dense or not offset else self.records[offset].message_id

    def offset_of(self, index: int) -> int:
        """How many messages have a smaller index."""
        if index <= self.first or self.is_dense:
            return min(max(0, index - self.first), self.count)
        return bisect_left(self.records, index, key=_index)

    @property
    def is_dense(self) -> bool:
        """Whether no index is missing between the first and the last."""
        return self.last - self.first + 1 == self.count


class Messages(Sequence["MessageRecord"]):
    """Message records of one agent in order of their index."""

    __slots__ = ("_ends", "_full", "segments", "tail")

    def __init__(self, segments: Sequence[Segment] = (), tail: Sequence[MessageRecord] = ()) -> None:
        """Take segments, and the records that follow them."""
        self.segments = tuple(segments)
        self.tail = tuple(tail)
        self._ends = tuple(accumulate(segment.count for segment in segments))
        self._full = self._ends[-1] if self._ends else 0

    @classmethod
    def of(cls, records: Sequence[MessageRecord]) -> Messages:
        """Cut a sequence of records, ordered by index, into segments."""
        full = len(records) // SEGMENT * SEGMENT
        return cls([Segment.of(records[at : at + SEGMENT]) for at in range(0, full, SEGMENT)], records[full:])

    @property
    def last_index(self) -> int | None:
        """The index of the last message; None if there is none."""
        if self.tail:
            return self.tail[-1].message_id
        return self.segments[-1].last if self.segments else None

    def position(self, index: int) -> int:
        """How many messages have a smaller index."""
        if not self.segments or self.segments[-1].last < index:
            return self._full + bisect_left(self.tail, index, key=_index)
        number = bisect_left(self.segments, index, key=_last)
        return self._start(number) + self.segments[number].offset_of(index)

    def find(self, index: int) -> int | None:
        """The position of the record with this message index, or None."""
        position = self.position(index)
        return position if position < len(self) and self.index_at(position) == index else None

    def made(self, start: int, end: int, make: Callable[..., Made], restore: Callable[[Any], Any]) -> list[Made]:
        """Objects made of the records from one position to another, for somebody who will change what is in them.

        Args:
            start: The first position.
            end: The position after the last.
            make: Makes one of what the `Columns` have of a message, in their order.
            restore: Makes Python values, in new containers, of the JSON values of a message.
        """
        return list(map(make, *self.columns(start, end, restore).each))

    def columns(self, start: int, end: int, restore: Callable[[Any], Any]) -> Columns:
        """What such objects are made of."""
        pieces: list[Columns] = []
        for part, first, last in self._parts(start, end):
            columns = columns_of(self.tail[first:last], restore) if part is None else part.given(restore)
            is_whole = part is None or last - first == part.count
            pieces.append(columns if is_whole else columns.part(first, last))
        return Columns.joined(pieces)

    def are_at_hand(self, start: int, end: int) -> bool:
        """Whether those from one position to another are here, or stored."""
        return all(part is None or part.is_at_hand for part, _, _ in self._parts(start, end))

    def compared(self, other: Messages, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Those from one position to another, in stretches: from where, to where, and whether the other has the same.

        States that follow each other share segments, of which then nothing needs to be fetched. What is in no such
        segment may be the same all the same.
        """
        shared = {id(segment) for segment in other.segments}
        for part, first, last in self._parts(start, end):
            yield start, start + last - first, id(part) in shared
            start += last - first

    def indices(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The indices of those from one position to another, as ranges; without fetching where none is missing."""
        for part, first, last in self._parts(start, end):
            if part is not None and part.is_dense:
                yield part.first + first, part.first + last - 1
            else:
                records = self.tail if part is None else part.records
                yield from ((record.message_id, record.message_id) for record in records[first:last])

    def put(self, record: MessageRecord) -> Messages:
        """These records with one more; it takes the place of one with the same index."""
        last = self.last_index
        if last is None or last < record.message_id:
            return self._append(record)
        position = self.position(record.message_id)
        if self.index_at(position) == record.message_id:
            return self._replace(position, record)
        return self._insert(position, record)

    def _insert(self, position: int, record: MessageRecord) -> Messages:
        """One more among them; only what stands around it is copied, in halves once it is too long."""
        number, offset = self._place(position)
        around = self.tail if number == len(self.segments) else self.segments[number].records
        records = (*around[:offset], record, *around[offset:])
        middle = len(records) // 2 if len(records) > SEGMENT else len(records)
        if number < len(self.segments):
            parts = [Segment.of(part) for part in (records[:middle], records[middle:]) if part]
            return Messages((*self.segments[:number], *parts, *self.segments[number + 1 :]), self.tail)
        if middle == len(records):
            return Messages(self.segments, records)
        return Messages((*self.segments, Segment.of(records[:middle])), records[middle:])

    def _append(self, record: MessageRecord) -> Messages:
        tail = (*self.tail, record)
        return Messages(self.segments, tail) if len(tail) < SEGMENT else Messages((*self.segments, Segment.of(tail)))

    def _replace(self, position: int, record: MessageRecord) -> Messages:
        number, offset = self._place(position)
        if number == len(self.segments):
            return Messages(self.segments, _with(self.tail, offset, record))
        changed = Segment.of(_with(self.segments[number].records, offset, record))
        return Messages((*self.segments[:number], changed, *self.segments[number + 1 :]), self.tail)

    def index_at(self, position: int) -> int:
        """The index of the message at a position; without fetching it, if that can be told."""
        number, offset = self._place(position)
        if number == len(self.segments):
            return self.tail[offset].message_id
        return self.segments[number].index_at(offset)

    def _place(self, position: int) -> tuple[int, int]:
        """The segment a position lies in, and where in it; the tail counts as the last segment."""
        number = bisect_left(self._ends, position + 1)
        return number, position - self._start(number)

    def _start(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    def __len__(self) -> int:
        return self._full + len(self.tail)

    def __iter__(self) -> Iterator[MessageRecord]:
        return chain(chain.from_iterable(segment.records for segment in self.segments), self.tail)

    @overload
    def __getitem__(self, at: int) -> MessageRecord: ...
    @overload
    def __getitem__(self, at: slice) -> list[MessageRecord]: ...
    def __getitem__(self, at: int | slice) -> MessageRecord | list[MessageRecord]:
        if isinstance(at, slice):
            start, end, step = at.indices(len(self))
            return self._run(start, end) if step == 1 else [self[position] for position in range(start, end, step)]
        position = at + len(self) if at < 0 else at
        if not 0 <= position < len(self):
            raise IndexError(at)
        number, offset = self._place(position)
        return self.tail[offset] if number == len(self.segments) else self.segments[number].records[offset]

    def _run(self, start: int, end: int) -> list[MessageRecord]:
        found: list[MessageRecord] = []
        for part, first, last in self._parts(start, end):
            found += (self.tail if part is None else part.records)[first:last]
        return found

    def _parts(self, start: int, end: int) -> Iterator[tuple[Segment | None, int, int]]:
        """The segments that have something of a stretch, None for the tail, and what of each."""
        number = bisect_left(self._ends, start + 1)
        while start < min(end, len(self)):
            part, at = self.segments[number] if number < len(self.segments) else None, self._start(number)
            last = min(end - at, len(self.tail) if part is None else part.count)
            yield part, start - at, last
            start, number = at + last, number + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Messages) and len(self) == len(other) and all(map(_equal, self, other))

    def __hash__(self) -> int:
        return hash((len(self), self.last_index))

    def __repr__(self) -> str:
        return f"Messages({list(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to other processes whole."""
        return Messages.of, (list(self),)


class Growing:
    """Messages that are being folded: what `Messages.put` does, without a new value for each."""

    __slots__ = ("_last", "_segments", "_tail")

    def __init__(self, messages: Messages) -> None:
        self._take(messages)

    def _take(self, messages: Messages) -> None:
        self._segments, self._tail = list(messages.segments), list(messages.tail)
        last = messages.last_index
        self._last = -sys.maxsize if last is None else last

    def put(self, record: MessageRecord) -> None:
        """One more; it takes the place of one with the same index."""
        if record.message_id <= self._last:
            self._take(self.messages().put(record))
            return
        self._last = record.message_id
        self._tail.append(record)
        if len(self._tail) >= SEGMENT:
            self._segments.append(Segment.of(tuple(self._tail)))
            self._tail = []

    def messages(self) -> Messages:
        """What has come together so far."""
        return Messages(self._segments, self._tail)


def _columns(columns: Iterable[Sequence[Any]], have_tools: bool) -> Columns:
    return tuple.__new__(Columns, (*columns, have_tools))


def columns_of(records: Sequence[MessageRecord], restore: Callable[[Any], Any]) -> Columns:
    """The columns of records that are shared: their messages are copied, with Python values in them."""
    return Columns(
        [restore(record.message) for record in records],
        [record.message_id for record in records],
        [None if record.redact_message is None else restore(record.redact_message) for record in records],
        [record.created_at for record in records],
        [record.updated_at for record in records],
        have_tools([record.shown for record in records]),
    )


def have_tools(messages: Iterable[Any]) -> bool:
    """Whether a tool is called, or answers, in any of the messages."""
    kinds = {kind for message in messages for block in message["content"] for kind in block}
    return "toolUse" in kinds or "toolResult" in kinds


def _index(record: MessageRecord) -> int:
    return record.message_id


def _last(segment: Segment) -> int:
    return segment.last


def _with(records: Sequence[MessageRecord], offset: int, record: MessageRecord) -> tuple[MessageRecord, ...]:
    return (*records[:offset], record, *records[offset + 1 :])


def _equal(one: MessageRecord, other: MessageRecord) -> bool:
    return one == other
