"""The feed's sequence has no gaps and repeats no number, whatever becomes of the key that counts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from strands_session_log import SessionLog, errors, events
from strands_session_log.ids import EventId
from strands_session_log.keys import SessionKeys

FUTURE = 99_999_999_999_999


def note() -> events.Event:
    return events.Custom("custom.note", {"text": "hi"})


def keys_of(log: SessionLog) -> SessionKeys:
    return log._events.keyspace.session("s")


def feed(log: SessionLog) -> list[EventId]:
    entries = log.client.execute_command("XRANGE", keys_of(log).feed, "-", "+")
    return [EventId.parse(entry_id) for entry_id, _ in entries]


def sequence(log: SessionLog) -> list[int]:
    return [entry.revision for entry in feed(log)]


def newest(log: SessionLog) -> str:
    return str(feed(log)[-1])


def lose_position(log: SessionLog) -> None:
    log.client.execute_command("DEL", keys_of(log).position)


def set_position_back(log: SessionLog) -> None:
    log.client.execute_command("SET", keys_of(log).position, 1)


def set_position_ahead(log: SessionLog) -> None:
    log.client.execute_command("SET", keys_of(log).position, 70)


def spoil_position(log: SessionLog) -> None:
    log.client.execute_command("DEL", keys_of(log).position)
    log.client.execute_command("HSET", keys_of(log).position, "not", "a counter")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("spoil", [lose_position, set_position_back, set_position_ahead, spoil_position])
def test_the_sequence_goes_on_without_a_gap_when_its_count_is_wrong(
    session_log: SessionLog, spoil: Callable[[SessionLog], None], batch: int
) -> None:
    session_log.append("s", [note()] * 4)
    spoil(session_log)
    session_log.append("s", [note() for _ in range(batch)])
    session_log.append("s", note())
    assert sequence(session_log) == list(range(1, 4 + batch + 2))
    assert session_log.verify("s").ok


def test_a_feed_that_was_deleted_goes_on_where_it_was_so_that_checkpoints_stay_valid(session_log: SessionLog) -> None:
    session_log.append("s", [note()] * 4)
    session_log.client.execute_command("DEL", keys_of(session_log).feed)
    session_log.append("s", [note(), note()])
    session_log.append("s", note())
    assert sequence(session_log) == [5, 6, 7]


def test_a_feed_that_was_deleted_with_its_count_begins_anew(session_log: SessionLog) -> None:
    session_log.append("s", [note()] * 4)
    session_log.client.execute_command("DEL", keys_of(session_log).feed, keys_of(session_log).position)
    session_log.append("s", [note(), note()])
    assert sequence(session_log) == [1, 2]


def trim(log: SessionLog) -> Sequence[Any]:
    return "XTRIM", keys_of(log).feed, "MAXLEN", 2


def empty(log: SessionLog) -> Sequence[Any]:
    return "XTRIM", keys_of(log).feed, "MAXLEN", 0


def delete_newest(log: SessionLog) -> Sequence[Any]:
    return "XDEL", keys_of(log).feed, newest(log)


@pytest.mark.parametrize("shorten", [trim, empty, delete_newest])
@pytest.mark.parametrize("loses_position", [False, True])
def test_no_number_is_used_again_after_a_feed_was_shortened(
    session_log: SessionLog, shorten: Callable[[SessionLog], Sequence[Any]], loses_position: bool
) -> None:
    session_log.append("s", [note()] * 4)
    session_log.client.execute_command(*shorten(session_log))
    if loses_position:
        lose_position(session_log)
    session_log.append("s", note())
    session_log.append("s", [note(), note()])
    assert sequence(session_log)[-3:] == [5, 6, 7]


def test_a_feed_from_before_the_count_was_kept_is_gone_on_with(session_log: SessionLog) -> None:
    session_log.client.execute_command("XADD", keys_of(session_log).feed, "5-9", "session", "old")
    session_log.append("s", [note(), note()])
    assert sequence(session_log) == [9, 10, 11]


@pytest.mark.parametrize("loses_position", [False, True])
def test_the_clock_may_go_back(session_log: SessionLog, loses_position: bool) -> None:
    session_log.append("s", note())
    session_log.client.execute_command("XADD", keys_of(session_log).feed, f"{FUTURE}-2", "session", "x")
    session_log.client.execute_command("SET", keys_of(session_log).position, 2)
    if loses_position:
        lose_position(session_log)
    session_log.append("s", [note(), note()])
    session_log.append("s", note())
    assert sequence(session_log) == [1, 2, 3, 4, 5]
    assert [entry.ms for entry in feed(session_log)[2:]] == [FUTURE] * 3
    assert session_log.verify("s").ok


@pytest.mark.parametrize("spoil", [lose_position, set_position_back, set_position_ahead])
def test_an_erasure_finds_its_place_in_the_feed_too(
    session_log: SessionLog, spoil: Callable[[SessionLog], None]
) -> None:
    ids = [session_log.append("s", note()) for _ in range(4)]
    spoil(session_log)
    session_log.erase("s", ids[1], reason="asked to")
    session_log.append("s", note())
    assert sequence(session_log) == [1, 2, 3, 4, 5, 6]
    assert session_log.verify("s").ok


def test_a_session_whose_events_are_gone_is_not_begun_anew_and_tells_no_one(session_log: SessionLog) -> None:
    session_log.append("s", note())
    session_log.client.execute_command("DEL", keys_of(session_log).events)
    with pytest.raises(errors.ServerRefusedError, match="events are gone but its head is not"):
        session_log.append("s", [note(), note()])
    assert session_log.client.execute_command("EXISTS", keys_of(session_log).events) == 0
    assert sequence(session_log) == [1]


def test_a_session_whose_head_is_gone_is_not_begun_anew(session_log: SessionLog) -> None:
    session_log.append("s", note())
    session_log.client.execute_command("DEL", keys_of(session_log).head)
    with pytest.raises(errors.ServerRefusedError, match="head is gone but its events are not"):
        session_log.append("s", note())
    assert sequence(session_log) == [1]


def test_a_feed_made_anew_by_who_creates_a_group_goes_on_where_it_was(session_log: SessionLog) -> None:
    session_log.append("s", [note()] * 4)
    session_log.client.execute_command("DEL", keys_of(session_log).feed)
    session_log.client.execute_command("XGROUP CREATE", keys_of(session_log).feed, "audit", "0", "MKSTREAM")
    session_log.append("s", [note(), note()])
    assert sequence(session_log) == [5, 6]
