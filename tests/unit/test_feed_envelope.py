"""What the feed says of an event."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strands_session_log import EventId
from strands_session_log.codec import compressed, recorded
from strands_session_log.codec.envelope import FIELDS as ENTRY_FIELDS
from strands_session_log.codec.envelope import decode, encode
from strands_session_log.errors import CorruptEntryError, EncodingError, EnvelopeMismatchError
from strands_session_log.events import Custom, Event, MessageAdded, Recorded
from strands_session_log.feed import (
    Envelope,
    FeedId,
    are_envelopes,
    check_fields,
    envelope,
    envelope_of,
    surely_tell,
    tells_of,
)
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


_values = st.binary(max_size=6) | st.sampled_from(
    (
        *(
            b"s-42",
            b"s-43",
            b"message.added",
            b"default",
            b"\xff",
            b"{}",
            b"[]",
            b'{"a":1}',
            b"1-2",
            b"-",
            b"1-",
            b"01-2",
        ),
        *(b"253402300799999-1", b"253402300800000-1", b"99999999999999-9999999999999999", b"1-99999999999999999"),
    )
)


@given(st.integers(0, 5), _values)
def test_what_passes_as_an_envelope_can_be_read_and_nothing_else_ends_in_another_error(at: int, value: bytes) -> None:
    fields = [*FIELDS]
    fields[2 * at + 1] = value
    try:
        check_fields(KEYSPACE, PARTITION, b"1700000000001-7", fields)
    except CorruptEntryError:
        return
    read = envelope_of(PARTITION, b"1700000000001-7", fields)
    assert read == envelope(KEYSPACE, PARTITION, b"1700000000001-7", fields)
    assert (read.session_id, read.type, read.agent, read.link) == tuple(fields[n].decode() for n in (1, 5, 7, 9))
    assert isinstance(read.facts, dict)
    assert (read.id.ms, read.id.revision) == tuple(map(int, fields[3].split(b"-")))


def _changed(at: int, value: bytes) -> list[bytes]:
    return [*FIELDS[:at], value, *FIELDS[at + 1 :]]


_entries = st.one_of(
    st.just(FIELDS),
    st.builds(_changed, st.integers(0, len(FIELDS) - 1), _values | st.sampled_from(FIELDS)),
    st.builds(lambda at: FIELDS[:at], st.integers(0, len(FIELDS))),
    st.builds(lambda at: FIELDS + FIELDS[:at], st.integers(1, len(FIELDS))),
)


@given(st.lists(_entries, min_size=1, max_size=4))
@example([FIELDS, FIELDS])
@example([FIELDS[:-2], FIELDS[-2:] + FIELDS])
def test_entries_that_pass_together_are_envelopes_each(entries: list[list[bytes]]) -> None:
    if are_envelopes(KEYSPACE, PARTITION, entries):
        for fields in entries:
            check_fields(KEYSPACE, PARTITION, b"1700000000001-7", fields)
    else:
        # Looked at one by one, what is merely out of the ordinary may still pass.
        assert any(fields != FIELDS for fields in entries)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {3: b"1700000000000-4"},
        {5: b"message.updated"},
        {7: b"another"},
        {9: b"abd"},
        {11: b'{"index":1,"role":"user"}'},
        {11: b'{"role":"user", "index":0}'},
    ],
)
def test_an_entry_tells_of_an_event_where_nothing_is_found_that_differs(changed: dict[int, bytes]) -> None:
    event = MessageAdded({"message": {"role": "user", "content": []}, "message_id": 0}, "default")
    found = Recorded(EventId(1700000000000, 3), event, "abc")
    fields = [changed.get(at, value) for at, value in enumerate(FIELDS)]
    said: Envelope = envelope(KEYSPACE, PARTITION, b"1700000000001-7", fields)
    if tells_of(fields, b"1700000000000-3", found):
        assert set(changed) <= {11}
        said.check(found)
    else:
        with pytest.raises(EnvelopeMismatchError):
            said.check(found)


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


_told = st.one_of(
    st.builds(
        lambda index, role, blocks: MessageAdded(
            {"message": {"role": role, "content": blocks}, "message_id": index}, "default"
        ),
        st.integers(-1, 9),
        st.sampled_from(("user", "assistant", "system")),
        st.lists(st.sampled_from(({"text": "hi"}, {"toolUse": {"name": "search", "toolUseId": "1", "input": {}}}))),
    ),
    st.builds(lambda data: Custom("custom.number", data), st.dictionaries(_names, _json)),
    st.builds(
        lambda type_, data: Event.known[type_](data, "default"),
        st.sampled_from(sorted(Event.known)),
        st.dictionaries(_names, _json),
    ),
)
_spoilt = st.binary(max_size=6) | st.sampled_from(
    (
        *(b"", b"{}", b"[]", b"{", b"\xff", b'[1,"user"]', b'{"message_id":1}', b'{"index":1,"role":"user"}', b"2"),
        *(b'{"message":{"role":"assistant","content":[]}}', b'{"message":[]}', b"message.added", b"custom.number"),
        compressed(b'{"message":{"role":"user","content":[{"text":"' + b"a" * 99 + b'"}]}}'),
    )
)


def _entry(event: Event) -> tuple[list[bytes], list[bytes]]:
    """What stands of an event in the feed, and in its session: names and values in turn."""
    encoded = encode(event)
    values = [*encoded.header, b"0-0", encoded.retained, b"A" * 22, b"B" * 43, encoded.body]
    said = [b"s-42", b"1700000000000-3", encoded.header[0], encoded.header[1], b"B" * 43, encoded.facts]
    told = [part for pair in zip(FIELDS[::2], said, strict=True) for part in pair]
    return told, [part for pair in zip(ENTRY_FIELDS, values, strict=True) for part in pair]


@given(_told, st.integers(-6, 22), _spoilt)
@example(Custom("custom.number", {}), 22, b"{")
@example(MessageAdded({"message": {"role": "user", "content": []}, "message_id": 0}, "default"), 21, b"{")
def test_what_surely_tells_of_an_event_tells_of_it_when_the_event_is_made(event: Event, at: int, value: bytes) -> None:
    try:
        told, entry = _entry(event)
    except (EncodingError, ValueError):
        return
    if at < 0:
        told[2 * -at - 1] = value
    else:
        entry[at : at + 1] = [value]
    try:
        check_fields(KEYSPACE, PARTITION, b"1700000000001-7", told)
    except CorruptEntryError:
        return
    (is_sure,) = surely_tell([told], [(b"1700000000000-3", entry)])
    if is_sure:
        assert tells_of(told, b"1700000000000-3", recorded((b"1700000000000-3", entry)))


@pytest.mark.parametrize(
    "said",
    [
        [{"text": "hello"}],
        [],
        [{"text": "let me see"}, {"toolUse": {"name": "search", "toolUseId": "1", "input": {}}}],
        [{"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "found"}]}}],
    ],
)
def test_of_usual_messages_and_events_of_users_it_is_sure_that_the_feed_tells(said: list[Any]) -> None:
    message = {"message": {"role": "user", "content": said}, "message_id": 7}
    for event in (MessageAdded(message, "default"), Custom("custom.number", {"number": 1})):
        told, entry = _entry(event)
        short = [*entry[:-1], compressed(entry[-1])]
        another = [*told[:-1], b'{"index":8,"role":"user"}']
        pairs = [(told, entry), (told, short), (another, entry)]
        entries = [(b"1700000000000-3", one) for _, one in pairs]
        assert surely_tell([one for one, _ in pairs], entries) == [True, True, False]
