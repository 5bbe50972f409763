"""A call that appends one message is laid out in one go: byte by byte what the general way makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import valkey
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.codec import encode
from strands_session_log.event_log import ANY, AgentAt, Expected, SessionAt
from strands_session_log.event_log.chained_batch import Position, chain_batch
from strands_session_log.events import Custom, Event, MessageAdded
from strands_session_log.ids import EventId
from strands_session_log.keys import Keyspace
from strands_session_log.scripts import APPEND
from strands_session_log.scripts.message_call import packed_message

KEYSPACE = Keyspace("strands", 16)
LINK = "A" * 43
names = st.sampled_from(["s", "100%", "%b%d", "%%", "a b", "é", "x" * 256])
texts = st.text(max_size=3000)
expectations: st.SearchStrategy[Expected] = st.sampled_from(
    [ANY, SessionAt(3), AgentAt("%b", EventId(1_700_000_000_000, 3), 2)]
)
positions = st.builds(Position, st.builds(EventId, st.integers(10**12, 10**13), st.integers(1, 10**9)), st.just(LINK))


def message(text: str, agent: str, index: int, **fields: Any) -> Event:
    return MessageAdded(
        {"message": {"role": "user", "content": [{"text": text}]}, "message_id": index}, agent, **fields
    )


@given(names, names, texts, st.integers(0, 10**6), expectations, positions, st.sampled_from(["", "00-ab-cd-01"]))
def test_one_message_goes_over_the_wire_as_any_batch_does(
    session_id: str, agent: str, text: str, index: int, expected: Expected, base: Position, trace: str
) -> None:
    batch = [encode(message(text, agent, index, trace=trace))]
    arguments = chain_batch(session_id, batch, expected, base).arguments

    quickly = packed_message(KEYSPACE, session_id, arguments)

    keys = KEYSPACE.session(session_id).append
    command = ("EVALSHA", APPEND.sha, len(keys), *keys, *arguments)
    packed = b"".join(valkey.Connection().pack_command(*command))
    assert quickly == packed


@pytest.mark.parametrize(
    "batch",
    [
        [Custom("custom.note", {"n": 1})],
        [message("hi", "a", 1, version=2)],
        [message("hi", "a", 1), message("ho", "a", 2)],
    ],
)
def test_what_is_no_single_message_goes_the_general_way(batch: list[Event]) -> None:
    encoded = [encode(event) for event in batch]
    arguments = chain_batch("s", encoded, ANY, Position(EventId(10**12, 3), LINK)).arguments
    assert packed_message(KEYSPACE, "s", arguments) == b""
