"""The part of the contract that is about following, see `contract.LogContract`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from .. import events
from ..errors import InvalidPointError, LogForkedError, RevisionNotFoundError, SessionDeletedError
from ..events import Event
from ..session_log import SessionLog
from ..tail import FeedPosition, Tail

_SOON = 10.0
SESSIONS = ("s", "other", "a-third", "fourth")
"""In a cluster, they are not all in one place."""


def _note(number: int = 0) -> Event:
    return events.Custom("custom.note", {"number": number})


def _notes(first: int, end: int) -> list[Event]:
    return [_note(number) for number in range(first, end)]


def _next(tail: Tail[Any], count: int) -> list[Any]:
    """What comes next; an error instead of a wait that never ends."""

    async def take() -> list[Any]:
        return [await asyncio.wait_for(anext(tail), _SOON) for _ in range(count)]

    return asyncio.run(take())


def _numbers(tail: Tail[Any], count: int) -> list[int]:
    return [one.event.data["number"] for one in _next(tail, count)]


class TailContract:
    """Following one session or all: in order, each event once, from anywhere."""

    def test_a_tail_gets_what_was_and_then_what_comes(self, log: SessionLog) -> None:
        """From the beginning, without a seam; the same as reading it."""
        log.append("s", _notes(0, 50))
        with log.tail("s") as tail:
            assert _numbers(tail, 50) == list(range(50))
            log.append("s", _notes(50, 60))
            log.append("s", _note(60))
            assert _numbers(tail, 11) == list(range(50, 61))
        with log.tail("s") as tail:
            assert _next(tail, 61) == list(log.read("s"))

    def test_a_tail_begins_after_any_point(self, log: SessionLog) -> None:
        """Named in any way; now is one of them."""
        ids = [log.append("s", _note(number)) for number in range(4)]
        for after, expected in ((2, 2), (ids[1], 2), (str(ids[2]), 3), ("-1h", 0), (0, 0), ("2000-01-01", 0)):
            with log.tail("s", after=after) as tail:
                assert _numbers(tail, 1) == [expected]
        with log.tail("s", after="now") as now, log.tail("s", after=ids[3].time) as then:
            log.append("s", _note(4))
            assert _numbers(now, 1) == _numbers(then, 1) == [4]

    def test_a_tail_waits_for_a_session_that_is_still_to_come(self, log: SessionLog) -> None:
        """Appended to, or forked: then its events are older than the tail."""
        log.append("s", _notes(0, 20))
        with log.tail("other", after="now") as new, log.tail("fork") as fork:
            log.append("other", _note(7))
            log.fork("s", 15, into="fork")
            assert _numbers(new, 1) == [7]
            assert _next(fork, 16) == list(log.read("fork"))
            log.append("fork", _note(99))
            assert _numbers(fork, 1) == [99]

    def test_a_tail_keeps_to_types_and_agents(self, log: SessionLog) -> None:
        """As reading does."""
        with log.tail("s", types="custom.a.*") as kind, log.tail("s", agent="me") as mine:
            log.append("s", [events.Custom(f"custom.{name}", {}, "me") for name in ("a.x", "b", "a.y")])
            log.append("s", events.Custom("custom.a.z", {}, "you"))
            assert [one.id.revision for one in _next(kind, 3)] == [1, 3, 4]
            assert [one.id.revision for one in _next(mine, 3)] == [1, 2, 3]

    def test_a_tail_after_what_is_not_there_fails(self, log: SessionLog) -> None:
        """At once where it is no point, in the loop where the server has to be asked."""
        id_ = log.append("s", _notes(0, 3))
        for nonsense in ("banana", "1:2-3"):
            with pytest.raises(InvalidPointError):
                log.tail("s", after=nonsense)
        for after in (3, id_, "99:1-1"):
            with pytest.raises(InvalidPointError):
                log.tail(after=after)
        with pytest.raises(RevisionNotFoundError):
            _next(log.tail("s", after=4), 1)
        with pytest.raises(LogForkedError):
            _next(log.tail("s", after=f"{id_.ms}-4"), 1)
        with pytest.raises(SessionDeletedError):
            _next(log.tail("nobody", after=id_), 1)

    def test_erased_events_do_not_break_a_tail(self, log: SessionLog) -> None:
        """Neither where it stands nor where it has still to go; it hears of the erasure."""
        log.append("s", _notes(0, 3))
        with log.tail("s") as ahead:
            _numbers(ahead, 3)
            log.erase("s", [2, 3], reason="a password")
            assert _next(ahead, 1)[0].event.type == "payload.erased"
        with log.tail("s") as behind:
            assert [one.event.is_erased for one in _next(behind, 4)] == [False, True, True, False]

    def test_a_deleted_session_ends_its_tail_with_an_error(self, log: SessionLog) -> None:
        """Though a read that waits never hears of it."""
        log.append("s", _notes(0, 3))
        with log.tail("s") as tail:
            _numbers(tail, 3)
            log.delete("s")
            with pytest.raises(SessionDeletedError):
                _next(tail, 1)

    def test_a_session_that_begins_anew_is_another_one(self, log: SessionLog) -> None:
        """Its events are not passed off as a sequel."""
        log.append("s", _notes(0, 3))
        with log.tail("s") as tail:
            _numbers(tail, 3)
            log.delete("s")
            log.append("s", _notes(0, 5))
            with pytest.raises(LogForkedError):
                _next(tail, 1)

    def test_the_feed_tells_of_every_session_in_order(self, log: SessionLog) -> None:
        """Before and after it was asked for; without content."""
        for session in SESSIONS:
            log.append(session, _notes(0, 3))
        with log.tail() as feed, log.tail(after="now") as new:
            before = _next(feed, 12)
            for session in SESSIONS:
                log.append(session, _notes(3, 5))
            after = _next(feed, 8)
            assert sorted(one.id for one in after) == sorted(one.id for one in _next(new, 8))
        for session in SESSIONS:
            told = [(one.id, one.link) for one in before + after if one.session_id == session]
            assert told == [(one.id, one.link) for one in log.read(session)]

    def test_a_position_in_the_feed_goes_on_exactly_there(self, log: SessionLog) -> None:
        """As a value and as text; in partitions of which nothing was seen, too."""
        for session in SESSIONS:
            log.append(session, _notes(0, 3))
        with log.tail() as feed:
            first, rest = _next(feed, 7), log.tail(after=feed.position)
            with rest, log.tail(after=str(feed.position)) as from_text:
                others = _next(rest, 5)
                assert sorted(others) == sorted(_next(from_text, 5))
        assert len({one.feed_id for one in first + others}) == 12
        assert FeedPosition.parse(str(rest.position)) == rest.position
        log.append("later", _note())
        assert [one.session_id for one in _next(log.tail(after=rest.position), 1)] == ["later"]

    def test_a_position_is_one_before_anything_is_read(self, log: SessionLog) -> None:
        """Of a tail that begins now, or at a time: what was there before does not come to who goes on from it."""
        for session in SESSIONS:
            log.append(session, _notes(0, 3))
        with log.tail(after="now") as feed, log.tail(after=datetime.now(timezone.utc) + timedelta(days=1)) as later:
            positions = [feed.position, later.position]
        for session in SESSIONS:
            log.append(session, _note())
        for position in positions:
            with log.tail(after=position) as feed:
                assert [one.id.revision for one in _next(feed, len(SESSIONS))] == [4] * len(SESSIONS)

    def test_the_feed_can_be_followed_from_a_time_and_by_type(self, log: SessionLog) -> None:
        """Positions count what was passed over, too."""
        for session in SESSIONS:
            log.append(session, [_note(), events.Custom("custom.wanted", {}, "me")])
        with log.tail(after="-1h", types="custom.wanted", agent="me") as feed:
            assert {one.session_id for one in _next(feed, 4)} == set(SESSIONS)
            log.append("s", [_note(), _note(), events.Custom("custom.wanted", {}, "me")])
            assert _next(feed, 1)[0].id.revision == 5
