"""Going through all sessions while others write to them."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from itertools import islice

import pytest

from strands_session_log import SessionLog, events
from strands_session_log.errors import InvalidPointError
from strands_session_log.event_log import directory

NAMES = [f"s{number:02}" for number in range(12)]


def note() -> events.Event:
    return events.Custom("custom.note", {})


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_PAGE", 3)


@pytest.mark.usefixtures("small_pages")
def test_a_session_that_is_written_to_meanwhile_is_given_all_the_same_and_once(log: SessionLog) -> None:
    for name in NAMES:
        log.append(name, note())

    ids = log.session_ids()
    given = [*islice(ids, 3)]
    for moved in (NAMES[0], NAMES[5], given[0]):
        log.append(moved, note())
    given += ids

    assert sorted(given) == NAMES


@pytest.mark.usefixtures("small_pages")
def test_sessions_can_be_gone_through_back_to_a_time(log: SessionLog) -> None:
    for name in NAMES[:5]:
        log.append(name, note())
    # The server's clock has to go on, or both were last active in the same millisecond.
    time.sleep(0.002)
    first = log.append(NAMES[5], note())
    for name in NAMES[6:]:
        log.append(name, note())

    assert sorted(log.session_ids(first.time)) == NAMES[5:]
    assert sorted(log.session_ids("-1h")) == NAMES
    assert [*log.session_ids(datetime.now(timezone.utc).replace(year=9000))] == []
    with pytest.raises(InvalidPointError):
        log.session_ids("12")
