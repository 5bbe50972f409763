"""Chapter 2. `read` gives the events of a session in order, from a point to a point."""

from __future__ import annotations

import pytest

from strands_session_log import SessionLog, errors, events


@pytest.fixture
def log(session_log: SessionLog) -> SessionLog:
    for number in range(1, 6):
        session_log.append("s-1", events.Custom("custom.even" if number % 2 == 0 else "custom.odd", {"n": number}))
    return session_log


def numbers(log: SessionLog, **options: object) -> list[int]:
    return [recorded.event.data["n"] for recorded in log.read("s-1", **options)]  # type: ignore[arg-type]


def test_everything_or_a_part(log: SessionLog) -> None:
    assert numbers(log) == [1, 2, 3, 4, 5]
    assert numbers(log, after=2, until=4) == [3, 4]
    assert numbers(log, types="custom.even") == [2, 4]


def test_a_point_is_a_revision_an_id_or_a_time(log: SessionLog) -> None:
    third = list(log.read("s-1"))[2]
    assert numbers(log, after=3) == numbers(log, after=third.id) == numbers(log, after=str(third.id)) == [4, 5]
    assert numbers(log, after="-1h") == [1, 2, 3, 4, 5]


def test_a_session_that_has_not_begun_has_no_events_and_a_point_it_does_not_have_is_an_error(log: SessionLog) -> None:
    assert list(log.read("s-2")) == []
    with pytest.raises(errors.RevisionNotFoundError):
        list(log.read("s-1", after=99))
