"""An immutable sequence of message records that grows cheaply.

A transcript is folded one message at a time; copying it each time would cost O(n²). Records stand in full segments
of `SEGMENT` and a growing tail: appending copies the tail only, replacing one record copies its segment only, and
every earlier value stays as it was.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from .session import MessageRecord

SEGMENT = 256


class Messages(Sequence["MessageRecord"]):
    """Message records of one agent in order of their index."""

    __slots__ = ("_segments", "_tail")

    def __init__(
        self, segments: tuple[tuple[MessageRecord, ...], ...] = (), tail: tuple[MessageRecord, ...] = ()
    ) -> None:
        """Take full segments of `SEGMENT` records each, and fewer than `SEGMENT` records that follow them."""
        self._segments = segments
        self._tail = tail

    @classmethod
    def of(cls, records: Sequence[MessageRecord]) -> Messages:
        """Cut a sequence of records, ordered by index, into segments."""
        full = len(records) // SEGMENT * SEGMENT
        return cls(
            tuple(tuple(records[at : at + SEGMENT]) for at in range(0, full, SEGMENT)),
            tuple(records[full:]),
        )

    def find(self, index: int) -> int | None:
        """The position of the record with this message index, or None."""
        if 0 <= index < len(self) and self[index].message_id == index:
            return index
        position = bisect_left(self, index, key=lambda record: record.message_id)
        return position if position < len(self) and self[position].message_id == index else None

    def between(self, first: int, last: int) -> list[MessageRecord]:
        """The records with an index from `first` to `last`, both included."""
        start = bisect_left(self, first, key=lambda record: record.message_id)
        end = len(self) if last == sys.maxsize else bisect_left(self, last + 1, key=lambda record: record.message_id)
        return self[start:end]

    def put(self, record: MessageRecord) -> Messages:
        """These records with one more; it takes the place of one with the same index."""
        if not len(self) or self[-1].message_id < record.message_id:
            return self._append(record)
        position = self.find(record.message_id)
        if position is not None:
            return self._replace(position, record)
        before = bisect_left(self, record.message_id, key=lambda other: other.message_id)
        return Messages.of([*self[:before], record, *self[before:]])

    def _append(self, record: MessageRecord) -> Messages:
        tail = (*self._tail, record)
        return Messages(self._segments, tail) if len(tail) < SEGMENT else Messages((*self._segments, tail))

    def _replace(self, position: int, record: MessageRecord) -> Messages:
        number, offset = divmod(position, SEGMENT)
        if number == len(self._segments):
            return Messages(self._segments, _with(self._tail, offset, record))
        changed = _with(self._segments[number], offset, record)
        return Messages((*self._segments[:number], changed, *self._segments[number + 1 :]), self._tail)

    def __len__(self) -> int:
        return len(self._segments) * SEGMENT + len(self._tail)

    def __iter__(self) -> Iterator[MessageRecord]:
        return chain(chain.from_iterable(self._segments), self._tail)

    @overload
    def __getitem__(self, at: int) -> MessageRecord: ...
    @overload
    def __getitem__(self, at: slice) -> list[MessageRecord]: ...
    def __getitem__(self, at: int | slice) -> MessageRecord | list[MessageRecord]:
        if isinstance(at, slice):
            return [self[position] for position in range(*at.indices(len(self)))]
        position = at + len(self) if at < 0 else at
        if not 0 <= position < len(self):
            raise IndexError(at)
        number, offset = divmod(position, SEGMENT)
        return self._tail[offset] if number == len(self._segments) else self._segments[number][offset]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Messages) and len(self) == len(other) and all(map(_equal, self, other))

    def __hash__(self) -> int:
        return hash((len(self), self._tail))

    def __repr__(self) -> str:
        return f"Messages({list(self)!r})"


def _with(records: tuple[MessageRecord, ...], offset: int, record: MessageRecord) -> tuple[MessageRecord, ...]:
    return (*records[:offset], record, *records[offset + 1 :])


def _equal(one: MessageRecord, other: MessageRecord) -> bool:
    return one == other
