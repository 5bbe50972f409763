"""Chapter 9. A tail gives what happens, as it happens, and says where it stands, so that another can go on there."""

from __future__ import annotations

import asyncio
from itertools import islice

from strands_session_log import SessionLog, events


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def test_a_tail_of_a_session_gives_what_is_there_and_then_what_comes(session_log: SessionLog) -> None:
    session_log.append("s-1", note(1))
    with session_log.tail("s-1") as tail:
        assert next(tail).event.data == {"number": 1}
        session_log.append("s-1", note(2))
        assert next(tail).event.data == {"number": 2}


def test_a_tail_of_all_sessions_gives_envelopes_without_content(session_log: SessionLog) -> None:
    with session_log.tail(after="now") as tail:
        for session_id in ("s-1", "s-2"):
            session_log.append(session_id, note(1))
        heard = list(islice(tail, 2))
        position = tail.position
    assert {envelope.session_id for envelope in heard} == {"s-1", "s-2"}
    session_log.append("s-3", note(1))
    with session_log.tail(after=position) as again:
        assert next(again).session_id == "s-3"


def test_it_is_awaited_in_a_loop_and_iterated_in_a_thread(session_log: SessionLog) -> None:
    session_log.append("s-1", note(1))

    async def first() -> int:
        async with session_log.tail("s-1") as tail:
            async for recorded in tail:
                return recorded.id.revision
        return 0

    assert asyncio.run(first()) == 1
