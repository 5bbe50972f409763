"""The coordinate of the log, and the ids people choose."""

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.errors import InvalidIdError, InvalidPointError, shown
from strands_session_log.events.event import new_event_id
from strands_session_log.ids import (
    MAX_MS,
    EventId,
    Instant,
    Ranges,
    Revision,
    check_id,
    milliseconds,
    parse_point,
    to_ranges,
)

event_ids = st.builds(EventId, st.integers(0, 10**13), st.integers(0, 10**9))


@given(event_ids)
def test_an_event_id_reads_back_from_its_text(event_id: EventId) -> None:
    assert EventId.parse(str(event_id)) == event_id == EventId.parse(str(event_id).encode())


def test_event_ids_order_as_numbers_and_not_as_text() -> None:
    assert EventId(9, 1) < EventId(10, 1)
    assert EventId(10, 9) < EventId(10, 10)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-2", "1-2-3", "a-b", "1-2 ", "٣-٤"])
def test_text_that_is_no_event_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidPointError):
        EventId.parse(text)


@pytest.mark.parametrize(
    ("value", "point"),
    [
        (12, Revision(12)),
        ("12", Revision(12)),
        ("1700000000000-12", EventId(1700000000000, 12)),
        (EventId(5, 2), EventId(5, 2)),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc), Instant(1000)),
        ("1970-01-01T00:00:02Z", Instant(2000)),
        ("1970-01-01T01:00:00+01:00", Instant(0)),
        ("-5m", Instant(1_000_000 - 300_000)),
        ("-1.5s", Instant(1_000_000 - 1_500)),
        ("-2w", Instant(0)),
    ],
)
def test_a_point_in_time_may_be_written_in_many_ways(value: object, point: object) -> None:
    assert parse_point(value, now_ms=1_000_000) == point  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, True, 1.5, None, "", "yesterday", "-5y", "5m", b"12"])
def test_anything_else_is_no_point_and_the_error_says_what_is(value: object) -> None:
    with pytest.raises(InvalidPointError, match="an ISO date"):
        parse_point(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        datetime.min,
        datetime.min.isoformat(),
        "9" * 5000,
        10**5000,
        -(10**5000),
        10**16,
        str(10**16),
        "99999-01-01",
    ],
    ids=lambda value: shown(value)[:20],
)
def test_a_point_beyond_all_time_is_no_point(value: Any) -> None:
    with pytest.raises(InvalidPointError, match="an ISO date"):
        parse_point(value)


def test_a_relative_time_before_all_events_is_the_beginning() -> None:
    assert parse_point(f"-{'9' * 400}d") == Instant(0)
    assert parse_point(datetime.min.replace(tzinfo=timezone.utc)) == Instant(0)


@given(st.integers(0, MAX_MS), st.integers(-14 * 60, 14 * 60))
def test_every_millisecond_of_the_calendar_is_understood_as_itself(ms: int, offset: int) -> None:
    moment = EventId(ms, 1).time
    assert milliseconds(moment) == ms
    assert parse_point(moment.isoformat()) == Instant(ms)
    with suppress(OverflowError):  # where the calendar of that place ends
        assert milliseconds(moment.astimezone(timezone(timedelta(minutes=offset)))) == ms


@given(st.datetimes(datetime(1970, 1, 3), datetime(9999, 12, 29)))
def test_a_time_between_two_milliseconds_is_the_one_before(moment: datetime) -> None:
    aware = moment.replace(tzinfo=timezone.utc)
    before = EventId(milliseconds(aware), 1).time
    assert before <= aware < before + timedelta(milliseconds=1)
    assert milliseconds(moment) == milliseconds(moment.astimezone())


def test_a_clock_beyond_the_calendar_shows_its_end() -> None:
    assert EventId(10**16 - 1, 1).time == EventId(MAX_MS, 1).time


@pytest.mark.parametrize("text", ["2026-11", "2026-1", "1999-12"])
def test_a_month_is_neither_a_point_nor_an_event_id_and_the_error_says_so(text: str) -> None:
    with pytest.raises(InvalidPointError, match=rf"a month is no point: give a day of it \({text[:4]}-[0-9]{{2}}-01\)"):
        parse_point(text)


@pytest.mark.parametrize("text", ["1-1", "20261-1", "2026-300", "99999999999-1"])
def test_text_is_an_event_id_only_if_its_milliseconds_are_those_of_a_clock(text: str) -> None:
    with pytest.raises(InvalidPointError, match="an event id"):
        parse_point(text)
    assert str(EventId.parse(text)) == text
    assert parse_point("0-0") == EventId(0, 0)


@pytest.mark.parametrize(
    "value", ["a", "user:1", "{tag}", "日本語", "a b", "x" * 256, "*", "👩‍👩‍👧", "❤️‍🔥", "می‌خواهم", "क्‍ष"]
)
def test_any_text_that_can_be_seen_is_an_id(value: str) -> None:
    assert check_id("session_id", value) == value


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 257, "a\nb", "a\x00", "\x7f", "\x85", "\ud800", 7, 10**5000, None, b"a"),
        *(
            "a\u2028b",
            "a\u2029",
            "\u202eabc",
            "a\u2066b",
            "\ufeffa",
            "a\u00adb",
            "日\u200b本",
            "a\u200db",
            "日\u200d",
            "\u200c",
        ),
    ],
    ids=shown,
)
def test_other_ids_are_refused_by_name_and_value(value: object) -> None:
    with pytest.raises(InvalidIdError, match="session_id="):
        check_id("session_id", value)


def test_event_ids_of_writers_are_uuids_of_version_7_and_differ() -> None:
    ids = {new_event_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {(UUID(text).version, UUID(text).variant) for text in ids} == {(7, "specified in RFC 4122")}


numbers = st.sets(st.integers(-60, 60))


@given(numbers, numbers, st.integers(-70, 70))
def test_ranges_are_read_back_and_hold_what_sets_would(some: set[int], others: set[int], last: int) -> None:
    ranges = Ranges.of(some)
    assert Ranges.parse(str(ranges)) == ranges
    assert {number for number in range(-70, 70) if number in ranges} == some
    assert ranges | Ranges.of(others) == Ranges.of(some | others)
    assert ranges.up_to(last) == Ranges.of(number for number in some if number <= last)


def test_a_range_of_any_length_is_never_expanded() -> None:
    ranges = Ranges.parse("1-999999999999,1000000000001-1000000000002")
    assert str(ranges | Ranges.of([1_000_000_000_000])) == "1-1000000000002"
    assert 500_000_000_000 in ranges
    assert str(ranges.up_to(7)) == "1-7"


@pytest.mark.parametrize("text", ["junk", "1", "3-1", "1-2,", "1-2;3-4", "1-2 3", "1--", "1-99999999999999999", "-"])
def test_text_that_is_no_ranges_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no range"):
        Ranges.parse(text)


def test_ranges_of_revisions_ascend_and_do_not_touch() -> None:
    assert to_ranges([9, 3, 7, 8, 8]) == "3-3,7-9"
    assert to_ranges([]) == ""
