"""Positions in the feed, the buffer between reader and consumer, and chunks of a model's stream as pieces."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import FeedPosition, LivePosition, errors
from strands_session_log.codec.delta import FIELDS, Line, delta
from strands_session_log.feed import FeedId
from strands_session_log.ids import EventId
from strands_session_log.live.delta_parser import DeltaParser
from strands_session_log.live.publisher import _Piece
from strands_session_log.tail.buffer import CAPACITY, Buffer, ReadingEnded, Sized

PLACES = st.dictionaries(st.integers(0, 1023), st.tuples(st.integers(0, 10**14), st.integers(0, 10**14)), max_size=20)


@given(PLACES)
def test_a_position_in_the_feed_survives_its_text(places: dict[int, tuple[int, int]]) -> None:
    position = FeedPosition(tuple(FeedId(number, *place) for number, place in sorted(places.items())))
    assert FeedPosition.parse(str(position)) == position


@pytest.mark.parametrize("text", ["0", "0:1", "0:1-1,", "0:1-1,0:2-2", "-1:1-1", "0:1-1 1:1-1", "2026-01-31T12:00:00Z"])
def test_what_is_no_position_in_the_feed_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidPointError):
        FeedPosition.parse(text)


def test_a_reader_is_turned_away_and_called_again_once_half_is_consumed() -> None:
    buffer, calls = Buffer[int](), list[int]()
    items = [Sized(number, 1) for number in range(CAPACITY)]
    assert buffer.put(items[:-1], lambda: calls.append(0))
    assert not buffer.put(items[-1:], lambda: calls.append(1))
    for _ in range(CAPACITY // 2 - 1):
        buffer.get()
    assert calls == []
    buffer.get()
    assert calls == [1]


def test_large_items_fill_a_buffer_too() -> None:
    assert not Buffer[str]().put([Sized("large", 2_000_000)], lambda: None)


def test_what_came_before_an_error_is_consumed_first_and_an_error_among_items_is_raised_once() -> None:
    buffer = Buffer[int]()
    buffer.put([Sized(1, 1), Sized(KeyError("gap"), 1), Sized(2, 1)], lambda: None)
    buffer.end(ValueError("the end"))
    assert buffer.get() == 1
    with pytest.raises(KeyError):
        buffer.get()
    assert buffer.get() == 2
    for _ in range(2):
        with pytest.raises(ValueError, match="the end"):
            buffer.get()


IDS = st.builds(EventId, st.integers(0, 10**16 - 1), st.integers(0, 10**16 - 1))


@given(IDS, IDS)
def test_a_live_position_survives_its_text(event: EventId, piece: EventId) -> None:
    assert LivePosition.parse(str(LivePosition(event, piece))) == LivePosition(event, piece)


@pytest.mark.parametrize(
    "text", ["", ".", "1-1", "1-1.", "1-1.2", "1-1.1-1.1-1", "1-1.-1-1", "1-1.1-1\n", "1-1.1-" + "9" * 17]
)
def test_what_is_no_live_position_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidPointError):
        LivePosition.parse(text)


def test_closing_ends_waits_in_threads_and_in_event_loops() -> None:
    async def wait(buffer: Buffer[int]) -> None:
        with pytest.raises(ReadingEnded):
            await buffer.get_async()

    def wait_in_thread(buffer: Buffer[int], ended: threading.Event) -> None:
        with pytest.raises(ReadingEnded):
            buffer.get()
        ended.set()

    buffer, ended = Buffer[int](), threading.Event()
    threading.Thread(target=wait_in_thread, args=(buffer, ended), daemon=True).start()
    threading.Timer(0.05, buffer.close).start()
    asyncio.run(asyncio.wait_for(wait(buffer), 5))
    assert ended.wait(5)


def pieces(*chunks: object) -> list[Line]:
    """What a voice makes of chunks; what it takes back is gone."""
    found: list[Line] = []
    voice = DeltaParser("a", found.append, found.clear)
    for chunk in chunks:
        voice.hear(chunk)
    return found


def text(said: str) -> object:
    return {"contentBlockDelta": {"delta": {"text": said}}}


def test_chunks_of_a_model_become_pieces() -> None:
    call = {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "add"}}}}
    found = pieces(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}}},
        {"contentBlockStop": {}},
        text("Hi"),
        {"contentBlockStop": {}},
        call,
        {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}}},
        {"contentBlockStop": {}},
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {}},
    )
    told = [(one.kind, one.block, one.tool_use_id, one.text) for one in found]
    assert told[:2] == [("reasoning", 0, "", "hm"), ("text", 1, "", "Hi")]
    assert told[2:] == [("tool", 2, "t", "add"), ("input", 2, "t", "{}"), ("end", 3, "", "")]
    assert len({one.message for one in found}) == 1


@pytest.mark.parametrize("chunk", [None, "x", {}, {"contentBlockDelta": {"delta": {"image": b""}}}, {"future": 1}])
def test_chunks_nobody_knows_are_passed_over(chunk: object) -> None:
    assert pieces({"messageStart": {}}, chunk) == []


def test_a_model_that_does_not_say_when_it_begins_is_heard() -> None:
    assert [one.text for one in pieces(text("Hi"))] == ["Hi"]


def test_each_call_of_the_model_is_another_message() -> None:
    found = pieces({"messageStart": {}}, text("Hi"), {"messageStart": {}}, text("Hi again"))
    assert [one.kind for one in found] == ["text", "discarded", "text"]
    assert found[0].message == found[1].message != found[2].message


def test_what_became_a_message_is_not_discarded() -> None:
    found: list[Line] = []
    voice = DeltaParser("a", found.append, found.clear)
    for said in ("Hi", "Hi again"):
        voice.hear(text(said))
        voice.settle()
        voice.discard()
    assert [one.text for one in found] == ["Hi", "Hi again"]
    assert found[0].message != found[1].message


def test_an_objection_takes_back_what_was_said_and_what_comes_is_another_message() -> None:
    found = pieces({"messageStart": {}}, text("secret"), {"redactContent": {}}, text("No."))
    assert [(one.kind, one.text) for one in found] == [("discarded", ""), ("text", "No.")]
    assert found[0].message != found[1].message


def test_pieces_of_a_block_that_follow_each_other_are_published_as_one() -> None:
    piece = _Piece(Line("text", "a", "m", 0, 0, "", "a"))
    assert piece.takes(Line("text", "a", "m", 0, 0, "", "b"))
    for other in (Line("text", "a", "m", 0, 1, "", "c"), Line("reasoning", "a", "m", 0, 0, "", "c")):
        assert not piece.takes(other)
    assert not _Piece(Line("end", "a", "m", 0, 0, "", "")).takes(Line("end", "a", "m", 0, 0, "", ""))
    assert piece.whole.text == "ab"


def test_an_entry_that_is_no_piece_is_refused() -> None:
    flat = [part for name in FIELDS for part in (name, b"1")]
    assert delta(b"5-0", flat).revision == 1
    for wrong in (flat[:-2], [b"x", *flat[1:]], [*flat[:-1], b"x"]):
        with pytest.raises(errors.CorruptEntryError):
            delta(b"5-0", wrong)
