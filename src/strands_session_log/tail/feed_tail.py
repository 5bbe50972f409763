"""The whole feed followed, and where one stands in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import TIMES, InvalidPointError, PositionUnknownError
from ..event_log import EventLog
from ..events import selector
from ..feed import Envelope, FeedId
from ..ids import Instant, Point, parse_point
from .buffer import Buffer
from .feed_cursor import Beginning, FeedCursor, FeedItem, Passed
from .multiplexer import Multiplexer
from .session_cursor import NOW
from .tail import Tail

_PLACE = re.compile(r"([0-9]{1,4}):([0-9]{1,20})-([0-9]{1,20})")
_CURSOR = "a cursor (0:1700000000000-12), as `session-log tail --json` prints it"
_POSITION = re.compile(rf"{_PLACE.pattern}(?:,{_PLACE.pattern})*")


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where a reader stands in the feed: after which envelope of each partition.

    As text, `0:1700000000000-12,3:1700000000000-9`.

    Attributes:
        places: One for each partition of which it is known; the others are read from their beginning.
    """

    places: tuple[FeedId, ...] = ()

    @classmethod
    def parse(cls, text: str) -> FeedPosition:
        """Read its text form.

        Raises:
            InvalidPointError: When the text has another form, or names a partition twice.
        """
        found = [FeedId(*map(int, match.groups())) for match in _PLACE.finditer(text)]
        if text and (not _POSITION.fullmatch(text) or len({place.partition for place in found}) < len(found)):
            raise InvalidPointError(text, takes=_CURSOR)
        return cls(tuple(sorted(found)))

    @property
    def by_partition(self) -> Mapping[int, FeedId]:
        """The places."""
        return {place.partition: place for place in self.places}

    def __str__(self) -> str:
        return ",".join(map(str, self.places))


class FeedTail(Tail[Envelope]):
    """The envelopes of all sessions: in order within each partition, and so within each session."""

    def __init__(
        self, multiplexer: Multiplexer, buffer: Buffer[FeedItem], cursors: Sequence[FeedCursor], start: FeedPosition
    ) -> None:
        """Made by `SessionLog.tail`."""
        self._places, self._cursors = dict(start.by_partition), cursors
        super().__init__(multiplexer, buffer, cursors)

    @property
    def position(self) -> FeedPosition:
        """After what it goes on: a tail that begins there gets what this one would get next.

        Raises:
            PositionUnknownError: When it was told to begin now, or at a time, and the server has not said yet where
                that is. In a `with` or `async with` block it has.
        """
        if not all(cursor.knows_start for cursor in self._cursors):
            raise PositionUnknownError()
        starts = {cursor.partition: cursor.start for cursor in self._cursors if cursor.start}
        return FeedPosition(tuple(sorted({**starts, **self._places}.values())))

    def _item(self, found: Any) -> Envelope | None:
        place: FeedId = found.feed_id
        self._places[place.partition] = place
        return None if isinstance(found, Passed) else found


def tail_feed(
    multiplexer: Multiplexer,
    log: EventLog,
    after: FeedPosition | Point | None,
    types: str | Sequence[str] | None,
    agent: str | None,
) -> FeedTail:
    """Follow the whole feed, see `SessionLog.tail`.

    Raises:
        InvalidPointError: When `after` is no position in the feed and no time.
    """
    partitions, only_new, wanted = log.keyspace.partitions, after == NOW, selector(types, agent)
    start = _position(after)
    if any(place.partition >= partitions for place in start.places):
        reason = f"the namespace has {partitions} partitions"
        raise InvalidPointError(str(after), reason, _CURSOR)
    time = None if only_new or start.places else _time(after)
    buffer = Buffer[FeedItem](partitions)
    begins: list[Beginning] = [start.by_partition.get(partition, time) for partition in range(partitions)]
    cursors = [FeedCursor(log, number, begin, only_new, wanted, buffer) for number, begin in enumerate(begins)]
    return FeedTail(multiplexer, buffer, cursors, start)


def _position(after: FeedPosition | Point | None) -> FeedPosition:
    """Of a time, none."""
    match after:
        case FeedPosition():
            return after
        case str() if _POSITION.fullmatch(after):
            return FeedPosition.parse(after)
    return FeedPosition()


def _time(after: FeedPosition | Point | None) -> str | datetime | None:
    """The feed as a whole has no revisions."""
    if after is None or isinstance(after, FeedPosition):
        return None
    if isinstance(after, (str, datetime)) and isinstance(parse_point(after), Instant):
        return after
    raise InvalidPointError(after, "revisions and event ids belong to one session", f"{TIMES}, or {_CURSOR}")
