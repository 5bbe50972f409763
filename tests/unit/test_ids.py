"""The coordinate of the log, and the ids people choose."""

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.errors import InvalidIdError, InvalidPointError, shown
from strands_session_log.ids import (
    EventId,
    Instant,
    Revision,
    check_id,
    from_ranges,
    new_event_id,
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
        f"-{'9' * 400}d",
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
    assert parse_point(f"-{'9' * 200}d") == Instant(0)
    assert parse_point(datetime.min.replace(tzinfo=timezone.utc)) == Instant(0)


@pytest.mark.parametrize("value", ["a", "user:1", "{tag}", "日本語", "a b", "x" * 256, "*", "👩‍👩‍👧"])
def test_any_text_without_control_characters_is_an_id(value: str) -> None:
    assert check_id("session_id", value) == value


@pytest.mark.parametrize(
    "value", ["", "x" * 257, "a\nb", "a\x00", "\x7f", "\x85", "\ud800", 7, 10**5000, None, b"a"], ids=shown
)
def test_other_ids_are_refused_by_name_and_value(value: object) -> None:
    with pytest.raises(InvalidIdError, match="session_id="):
        check_id("session_id", value)


def test_event_ids_of_writers_are_uuids_of_version_7_and_differ() -> None:
    ids = {new_event_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {(UUID(text).version, UUID(text).variant) for text in ids} == {(7, "specified in RFC 4122")}


@given(st.sets(st.integers(1, 60)))
def test_revisions_are_read_back_from_their_ranges(revisions: set[int]) -> None:
    assert from_ranges(to_ranges(revisions)) == revisions


def test_ranges_of_revisions_ascend_and_do_not_touch() -> None:
    assert to_ranges([9, 3, 7, 8, 8]) == "3-3,7-9"
    assert to_ranges([]) == ""
