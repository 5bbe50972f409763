"""The one coordinate of the log, and the ids people choose.

The id of an event in a session stream is `<ms>-<revision>`: the server's clock in milliseconds, never going
backwards within a session, and the event's 1-based position in the session. It is at once the Valkey stream id,
the page cursor, the SSE `Last-Event-ID`, the revision and the time coordinate.
"""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, TypeAlias

from .errors import InvalidIdError, InvalidPointError

MAX_ID_LENGTH = 256
MESSAGE_INDEX_LIMIT = 10**14
"""Message indices are below it: a session's head holds them in ranges, and Lua writes no more digits out in full."""
_REVISION_LIMIT = 10**16
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ID_DIGITS = 16
_EVENT_ID = re.compile(r"([0-9]{1,16})-([0-9]{1,16})")
_RELATIVE = re.compile(r"-([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")


class EventId(NamedTuple):
    """Where an event stands; orders by `(ms, revision)` as integers, never as text.

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
            raise InvalidPointError(text)
        return cls(int(ms), int(revision))

    @property
    def time(self) -> datetime:
        """The server's clock at this event, in UTC."""
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=self.ms)

    def __str__(self) -> str:
        return f"{self.ms}-{self.revision}"


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
            (units ms, s, m, h, d, w).
        now_ms: What a relative time is relative to, in milliseconds since the epoch; the clock of this machine if
            left out.

    Raises:
        InvalidPointError: When it is none of these.
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
                return _parse_text(value.strip(), now_ms) if isinstance(value, str) else Instant(_milliseconds(value))
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
        return Instant(max(0, now - int(float(relative[1]) * _UNITS[relative[2]])))
    return Instant(_milliseconds(datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))))


def _milliseconds(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))


def check_id(kind: str, value: object) -> str:
    """Accept any non-empty text of up to 256 characters without control characters.

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
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise InvalidIdError(kind, value, "must not contain control characters or lone surrogates")
    return value


def to_ranges(revisions: Iterable[int]) -> str:
    """Revisions as ascending ranges, `3-3,7-9`, as a session's head holds them."""
    ranges: list[list[int]] = []
    for revision in sorted(set(revisions)):
        if ranges and ranges[-1][1] == revision - 1:
            ranges[-1][1] = revision
        else:
            ranges.append([revision, revision])
    return ",".join(f"{first}-{last}" for first, last in ranges)


def from_ranges(text: str) -> set[int]:
    """The reverse of `to_ranges`.

    Raises:
        ValueError: When the text has another form.
    """
    bounds = [part.split("-") for part in text.split(",") if part]
    return {revision for first, last in bounds for revision in range(int(first), int(last) + 1)}


def new_event_id() -> str:
    """A fresh UUIDv7 (RFC 9562): time-ordered, and unique without asking anyone."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    digits = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
