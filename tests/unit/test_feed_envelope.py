"""What the feed says of an event."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strands_session_log import EventId
from strands_session_log.codec.envelope import FIELDS as ENTRY_FIELDS
from strands_session_log.codec.envelope import decode, encode
from strands_session_log.errors import CorruptEntryError, EncodingError
from strands_session_log.events import Event
from strands_session_log.feed import FeedId, envelope
from strands_session_log.keys import Keyspace

KEYSPACE = Keyspace("strands", 16)
PARTITION = KEYSPACE.partition("s-42")

FIELDS = [b"session", b"s-42", b"id", b"1700000000000-3", b"type", b"message.added", b"agent", b"default"]
FIELDS += [b"link", b"abc", b"facts", b'{"index":0,"role":"user"}']


def test_an_envelope_says_where_it_stands_and_of_which_event() -> None:
    read = envelope(KEYSPACE, PARTITION, b"1700000000001-7", FIELDS)
    assert read.feed_id == FeedId(PARTITION, 1700000000001, 7)
    assert (read.session_id, read.id, read.type) == ("s-42", EventId(1700000000000, 3), "message.added")
    assert (read.agent, read.link, read.facts) == ("default", "abc", {"index": 0, "role": "user"})


@pytest.mark.parametrize("fields", [FIELDS[:-2], [b"some", b"thing"], [b"session", b"s", b"id", b"x", *FIELDS[4:]]])
def test_an_entry_somebody_else_wrote_is_named(fields: list[bytes]) -> None:
    with pytest.raises(CorruptEntryError, match="1700000000001-7"):
        envelope(KEYSPACE, PARTITION, b"1700000000001-7", fields)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(
    ("message_id", "message", "usage", "error", "name", "status", "items", "removed", "from", "at", "lost", "input")
)
_messages = st.fixed_dictionaries(
    {}, optional={"role": _json, "content": _json, "metadata": st.fixed_dictionaries({"usage": _json})}
)


@given(st.sampled_from(sorted(Event.known)), st.dictionaries(_names, _json), _messages)
@example("window.changed", {"items": [Decimal("Infinity"), b"bytes"]}, {})
@example("message.added", {"message_id": 1}, {"metadata": {"usage": b"bytes"}})
@example("model.completed", {"usage": Decimal(1)}, {})
def test_whatever_an_event_holds_its_facts_are_short_and_the_same_when_it_is_read(
    type_: str, data: dict[str, Any], message: dict[str, Any]
) -> None:
    event = Event.known[type_]({**data, "message": message}, "a")
    try:
        encoded = encode(event)
    except (EncodingError, ValueError):
        return
    entry = [encoded.header[0], *encoded.header[1:], b"0-0", encoded.retained, b"A" * 22, b"B" * 43, encoded.body]
    read = decode(b"1700000000000-3", dict(zip(ENTRY_FIELDS, entry, strict=True)))
    said = orjson.loads(encoded.facts)
    assert said == orjson.loads(orjson.dumps(read.event.facts()))
    assert all(len(value) <= 256 for value in said.values() if isinstance(value, str))
