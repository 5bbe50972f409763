"""What the feed says of an event."""

import pytest

from strands_session_log import EventId
from strands_session_log.errors import CorruptEntryError
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
