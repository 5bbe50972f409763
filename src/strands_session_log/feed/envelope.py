"""What the feed says of an event, and where in the feed it stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from ..errors import CorruptEntryError
from ..ids import EventId

FIELDS = (b"session", b"id", b"type", b"agent", b"link", b"facts")
"""The fields of a feed entry, in the order in which they stand there."""

_NAMES = list(FIELDS)
_new = tuple.__new__


class FeedId(NamedTuple):
    """Where an envelope stands in the feed.

    Attributes:
        partition: The partition, from 0.
        ms: Server clock in milliseconds since the epoch.
        sequence: How many events the partition has had with this one; it counts without gaps.
    """

    partition: int
    ms: int
    sequence: int

    @property
    def stream_id(self) -> str:
        """The id of its entry in the stream of its partition."""
        return f"{self.ms}-{self.sequence}"

    def __str__(self) -> str:
        return f"{self.partition}:{self.ms}-{self.sequence}"


class Envelope(NamedTuple):
    """What the feed says of an event.

    Attributes:
        feed_id: Where it stands in the feed.
        session_id: The session.
        id: The event.
        type: Its type.
        agent: The agent it is about; empty for the session as a whole.
        link: The session's hash chain up to and including it, base64url.
        facts_json: `facts` as JSON text, parsed only when somebody asks.
    """

    feed_id: FeedId
    session_id: str
    id: EventId
    type: str
    agent: str
    link: str
    facts_json: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """What may be known without reading content: role, tool name, usage, status, duration; see docs/format.md."""
        found: dict[str, Any] = orjson.loads(self.facts_json) if self.facts_json else {}
        return found


def envelope(partition: int, entry_id: bytes, fields: Sequence[bytes]) -> Envelope:
    """Read an entry of the feed as the server sends it.

    Args:
        partition: Whose feed it is.
        entry_id: Its stream id.
        fields: Names and values in turn.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    try:
        if fields[::2] != _NAMES:
            raise ValueError(f"its fields are {fields[::2]}")
        ms, _, sequence = entry_id.partition(b"-")
        event_ms, _, revision = fields[3].partition(b"-")
        feed_id = _new(FeedId, (partition, int(ms), int(sequence)))
        event_id = _new(EventId, (int(event_ms), int(revision)))
        names = (_name(fields[1]), event_id, _name(fields[5]), _name(fields[7]))
        return _new(Envelope, (feed_id, *names, fields[9].decode(), fields[11]))
    except (ValueError, IndexError) as error:
        raise CorruptEntryError(entry_id.decode(), f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=4096)
def _name(text: bytes) -> str:
    return text.decode()
