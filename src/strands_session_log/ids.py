"""The one coordinate of the log, and the ids people choose.

The id of an event in a session stream is `<ms>-<revision>`: the server's clock in milliseconds, never going
backwards within a session, and the event's 1-based position in the session. It is at once the Valkey stream id,
the page cursor, the SSE `Last-Event-ID`, the revision and the time coordinate.
"""

from __future__ import annotations

import re
import time
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from .errors import TIMES, InvalidIdError, InvalidPointError, shown

MAX_ID_LENGTH = 256
MESSAGE_INDEX_LIMIT = 10**14
"""Message indices are below it: a session's head holds them in ranges, and Lua writes no more digits out in full."""
MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, where calendars of computers end."""
_REVISION_LIMIT = 10**16
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ID_DIGITS = 16
# Nobody who types `2026-11` means an event of January 1970: the milliseconds of an id are 12 digits since 1973.
_EVENT_ID = re.compile(r"0-0|[0-9]{12,16}-[0-9]{1,16}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{1,2}")
_RANGE = re.compile(r"(-?[0-9]{1,16})-(-?[0-9]{1,16})")
_JOINERS = "\u200c\u200d"
# Controls, formats (what turns the direction of text, or cannot be seen), lone surrogates, line and paragraph ends.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_ZONED = re.compile(r"(.+?)(?: ([A-Za-z][A-Za-z0-9_+/-]+)|\[([A-Za-z][A-Za-z0-9_+/-]+)\])")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RELATIVE = re.compile(r"-([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")


class EventId(NamedTuple):
    """Where an event stands; orders by `(ms, revision)` as integers, never as text.

    Made for every event that is read, so it is a tuple: a frozen dataclass takes three times as long. It equals nothing
    but another one, and hashes as the tuple does.

    Attributes:
        ms: Server clock in milliseconds since the epoch.
        revision: 1-based position of the event in its session.
    """

    ms: int
    revision: int

    @classmethod
    def parse(cls, text: str | bytes) -> EventId:
        """Read `<ms>-<revision>`.

        Raises:
            InvalidPointError: When the text has another form.
        """
        text = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        ms, _, revision = text.partition("-")
        if not (ms.isdigit() and revision.isdigit() and text.isascii() and max(len(ms), len(revision)) <= _ID_DIGITS):
            raise InvalidPointError(text, takes="an event id (1700000000000-12)")
        return cls(int(ms), int(revision))

    @property
    def time(self) -> datetime:
        """The server's clock at this event, in UTC; the end of the year 9999 for whatever lies beyond it."""
        return _EPOCH + min(self.ms, MAX_MS) * _MILLISECOND

    def __eq__(self, other: object) -> bool:
        return type(other) is EventId and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return type(other) is not EventId or tuple.__ne__(self, other)

    def __str__(self) -> str:
        return f"{self.ms}-{self.revision}"


class FeedId(NamedTuple):
    """Where an envelope stands in the feed.

    Attributes:
        partition: The partition, from 0.
        ms: Server clock in milliseconds since the epoch.
        sequence: How many events the partition has had with this one; it counts without gaps.
    """

    partition: int
    ms: int
    sequence: int

    @classmethod
    def parse(cls, partition: int, stream_id: bytes | str) -> FeedId:
        """Read the id of an entry, which is never anything but two numbers."""
        text = stream_id.decode() if isinstance(stream_id, bytes) else stream_id
        ms, _, sequence = text.partition("-")
        return cls(partition, int(ms), int(sequence))

    @property
    def stream_id(self) -> str:
        """The id of its entry in the stream of its partition."""
        return f"{self.ms}-{self.sequence}"

    def __str__(self) -> str:
        return f"{self.partition}:{self.ms}-{self.sequence}"


START = EventId(0, 0)
"""Before the first event of any session."""


class Revision(NamedTuple):
    """A point given as the 1-based position of an event; 0 is before the first."""

    number: int


class Instant(NamedTuple):
    """A point given as server time, in milliseconds since the epoch."""

    ms: int


Point: TypeAlias = "int | str | datetime | EventId"
"""What users may type wherever a point in time is asked for."""


def parse_point(value: Point, *, now_ms: int | None = None) -> EventId | Revision | Instant:
    """Understand a point in time.

    Args:
        value: A revision, an event id, a datetime (naive means local time), ISO text, or a relative time such as `-5m`
            (units ms, s, m, h, d, w). The milliseconds of an event id given as text have 12 digits at least, as they
            have since 1973. ISO text without an offset is local time, or that of a zone whose name follows it:
            `2026-10-25T02:30 Europe/Lisbon`, `2026-10-25T02:30[Europe/Lisbon]`.
        now_ms: What a relative time is relative to, in milliseconds since the epoch; the clock of this machine if
            left out.

    Raises:
        InvalidPointError: When it is none of these; or text without an offset that means two times, since clocks went
            back, or none, since they went forward: it names both readings.
    """
    match value:
        case EventId():
            return value
        case bool():
            raise InvalidPointError(value)
        case int() if 0 <= value < _REVISION_LIMIT:
            return Revision(value)
        case datetime() | str():
            try:
                return _parse_text(value.strip(), now_ms) if isinstance(value, str) else Instant(milliseconds(value))
            except InvalidPointError:
                raise
            except (ValueError, OverflowError, OSError) as error:
                raise InvalidPointError(value) from error
        case _:
            raise InvalidPointError(value)


def _parse_text(text: str, now_ms: int | None) -> EventId | Revision | Instant:
    if text.isascii() and text.isdigit():
        return parse_point(int(text))
    if _EVENT_ID.fullmatch(text):
        return EventId.parse(text)
    if relative := _RELATIVE.fullmatch(text):
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return Instant(max(0, now - int(Fraction(relative[1]) * _UNITS[relative[2]])))
    if _MONTH.fullmatch(text):
        raise InvalidPointError(text, f"a month is no point: give a day of it ({text[:5]}{text[5:]:0>2}-01)")
    if _UUID.fullmatch(text):
        reason = "it is an event's UUID: give its id, as `session-log events` prints it"
        raise InvalidPointError(text, reason)
    return Instant(milliseconds(_moment(text)))


def _moment(text: str) -> datetime:
    """ISO text as a time with an offset."""
    found = _ZONED.fullmatch(text)
    moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", found[1] if found else text))
    zone = _zone(text, found[2] or found[3]) if found else None
    if moment.utcoffset() is None:
        return _on_clocks(text, moment, zone)
    if zone is not None:
        raise InvalidPointError(text, "it has an offset and a zone: give one of them", takes="")
    return moment


def _zone(text: str, name: str) -> tzinfo:
    # Here, because hardly anyone names a zone, and whoever does not may have none installed.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidPointError(text, f"this machine knows no time zone {name!r}", TIMES) from error


def _on_clocks(text: str, moment: datetime, zone: tzinfo | None) -> datetime:
    """What clocks showed as a time, where they showed it once.

    Args:
        text: As it was given.
        moment: The same, without an offset.
        zone: Where the clocks are; here if None.
    """
    readings = [moment.replace(fold=fold, tzinfo=zone).astimezone(timezone.utc) for fold in (0, 1)]
    if readings[0] == readings[1]:
        return readings[0]
    one, other = (reading.astimezone(zone) for reading in readings)
    why = "clocks showed it twice" if one.replace(tzinfo=None) == moment else "clocks went forward past it"
    raise InvalidPointError(text, f"{why}: give {one.isoformat()} or {other.isoformat()}", takes="")


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch, in integers: as floats, those of some years come out one too low.

    Args:
        moment: The time; without a time zone, local time. Before the epoch, it counts as that.

    Raises:
        ValueError: When it is local time at an end of the calendar; an OverflowError or OSError on some machines.
    """
    aware = moment.astimezone() if moment.utcoffset() is None else moment
    return max(0, (aware - _EPOCH) // _MILLISECOND)


def check_id(kind: str, value: object) -> str:
    """Accept any non-empty text of up to 256 characters that people can see.

    Control and format characters (which turn the direction of text, or have no width), line and paragraph separators
    and lone surrogates are refused. The two joiners, which emoji and several scripts are written with, are accepted
    between characters that are not ASCII.

    Args:
        kind: What the id names, for the error: `session_id`, `agent_id`.
        value: The id.

    Raises:
        InvalidIdError: When it is anything else.
    """
    if not isinstance(value, str):
        raise InvalidIdError(kind, value, "must be text")
    if not value or len(value) > MAX_ID_LENGTH:
        raise InvalidIdError(kind, value, f"must have 1 to {MAX_ID_LENGTH} characters, has {len(value)}")
    if value.isascii() and value.isprintable():
        return value
    for position, character in enumerate(value):
        if unicodedata.category(character) in _UNSEEN and not _joins(value, position):
            raise InvalidIdError(kind, value, f"must not contain U+{ord(character):04X}, which cannot be seen")
    return value


def _joins(value: str, position: int) -> bool:
    around = value[position - 1 : position] + value[position + 1 : position + 2]
    return value[position] in _JOINERS and len(around) == 2 and not any(map(str.isascii, around))


@dataclass(frozen=True, slots=True)
class Ranges:
    """Whole numbers as ranges, `3-3,7-9`: as a session's head holds revisions and message indices.

    Only the bounds are kept, so that `1-999999999999` is as cheap as `1-1`.

    Attributes:
        spans: First and last of each range, ascending; no two touch.
    """

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Ranges:
        """Those that hold exactly these numbers."""
        return cls._joined((number, number) for number in set(numbers))

    @classmethod
    def parse(cls, text: str) -> Ranges:
        """Read what `str` writes; in whatever order the ranges stand, and whether or not they touch.

        Raises:
            ValueError: When the text has another form.
        """
        return cls._joined(map(_span, text.split(","))) if text else cls()

    @classmethod
    def _joined(cls, spans: Iterable[tuple[int, int]]) -> Ranges:
        joined: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    def __contains__(self, number: int) -> bool:
        position = bisect_right(self.spans, number, key=lambda span: span[0])
        return position > 0 and number <= self.spans[position - 1][1]

    def __or__(self, other: Ranges) -> Ranges:
        return self._joined((*self.spans, *other.spans))

    def up_to(self, last: int) -> Ranges:
        """Those of the numbers that are not above this one."""
        return Ranges(tuple((low, min(high, last)) for low, high in self.spans if low <= last))

    def __str__(self) -> str:
        return ",".join(f"{first}-{last}" for first, last in self.spans)


def _span(text: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise ValueError(f"{shown(text[:40])} is no range")
    return int(found[1]), int(found[2])


def to_ranges(numbers: Iterable[int]) -> str:
    """Numbers as the text of their `Ranges`."""
    return str(Ranges.of(numbers))
