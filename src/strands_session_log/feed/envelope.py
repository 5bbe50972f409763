"""What the feed says of an event, and where in the feed it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import orjson

from ..codec import RawEntry, sealed_facts, told_of
from ..errors import CorruptEntryError, EnvelopeMismatchError, InvalidIdError, LogForkedError
from ..errors.quoting import MalformedEntryError, reason_of
from ..events import Event, Recorded
from ..ids import MAX_MS, EventId, FeedId, check_id
from ..keys import Keyspace

FIELDS = (b"session", b"id", b"type", b"agent", b"link", b"facts")
"""The fields of a feed entry, in the order in which they stand there."""

DELETED, IMPORTED = "session.deleted", "session.imported"
NO_EVENTS = frozenset((DELETED, IMPORTED))
"""Types of envelopes that are about no event: they tell what became of a session."""

_NAMES = list(FIELDS)
_WIDTH = 2 * len(FIELDS)
_DIGITS = 16
_is_ordinary_id = re.compile(rb"[0-9]{1,14}-[0-9]{1,16}").fullmatch
"""Whether an id is an event's for certain; of any other, `_event_id` says so."""
_new = tuple.__new__

_LINK = 9
"""Where the link stands among the fields of an envelope and their names."""


def link_of(fields: Sequence[bytes]) -> bytes:
    """What stands in an entry of the feed where envelopes have the link."""
    return fields[_LINK] if len(fields) > _LINK else b""


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

    @classmethod
    def of(cls, feed_id: FeedId, session_id: str, recorded: Recorded) -> Envelope:
        """What the feed would say of an event of a session; of one that is encrypted, what it says without the key."""
        id_, event, link = recorded
        facts = b"{}" if event.is_erased else orjson.dumps(event.facts())
        facts = sealed_facts(b"{}") if event.is_sealed else facts
        return cls(feed_id, session_id, EventId(*id_), event.type, event.agent, link, facts)

    @property
    def facts(self) -> dict[str, Any]:
        """What may be known without reading content: role, tool name, usage, status, duration; see docs/format.md."""
        found: dict[str, Any] = orjson.loads(self.facts_json) if self.facts_json else {}
        return found

    def check(self, recorded: Recorded) -> None:
        """Hold it against the event as the session has it.

        The facts of an event whose content was erased, or whose type this version does not know, cannot be told anew.

        Raises:
            EnvelopeMismatchError: When it says something else.
        """
        id_, event, link = recorded
        said = (self.id, self.type, self.agent, self.link)
        held = (id_, event.type, event.agent, link)
        if said == held and _has_facts(self.facts_json, event):
            return
        pairs = zip(("id", "type", "agent", "link"), said, held, strict=True)
        differs: dict[str, tuple[object, object]] = {name: (one, other) for name, one, other in pairs if one != other}
        if not differs:
            differs["facts"] = self.facts, event.facts()
        raise EnvelopeMismatchError(self.session_id, self.id, self.feed_id, differs)


def envelope(keyspace: Keyspace, partition: int, entry_id: bytes, fields: Sequence[bytes]) -> Envelope:
    """Read an entry of the feed as the server sends it.

    Args:
        keyspace: How the namespace is laid out.
        partition: Whose feed it is.
        entry_id: Its stream id.
        fields: Names and values in turn.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    check_fields(keyspace, partition, entry_id, fields)
    return envelope_of(partition, entry_id, fields)


def check_fields(keyspace: Keyspace, partition: int, entry_id: bytes, fields: Sequence[bytes]) -> None:
    """See to it that an entry is an envelope, without making one: of most, nobody asks for all it says.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    try:
        if fields[::2] != _NAMES:
            raise MalformedEntryError("its fields are not those of an envelope")
        session, id_, type_, agent, link, facts = fields[1::2]
        _session(keyspace, partition, session)
        if not _is_ordinary_id(id_):
            _event_id(id_)
        _name(type_)
        _name(agent)
        if type(orjson.loads(facts)) is not dict:
            raise MalformedEntryError("its facts are no JSON object")
        link.decode()
    except (ValueError, IndexError) as error:
        raise CorruptEntryError(entry_id.decode(), reason_of(error)) from error


def are_envelopes(keyspace: Keyspace, partition: int, entries: Sequence[Sequence[bytes]]) -> bool:
    """Whether all of many entries pass `check_fields`: nearly always they do, and looked at by columns it takes half.

    Args:
        keyspace: How the namespace is laid out.
        partition: Whose feed it is.
        entries: Of each, names and values in turn.

    Returns:
        False also where one is out of the ordinary, and each has to be looked at.
    """
    if {*map(len, entries)} != {_WIDTH}:
        return False
    flat = list(chain.from_iterable(entries))
    if flat[::2] != _NAMES * len(entries):
        return False
    sessions, ids, types, agents, links, facts = (flat[at::_WIDTH] for at in range(1, _WIDTH, 2))
    try:
        for session in {*sessions}:
            _session(keyspace, partition, session)
        for name in {*types, *agents}:
            _name(name)
        is_ordinary = all(map(_is_ordinary_id, ids)) and b"".join(links).isascii()
        return is_ordinary and {*map(type, map(orjson.loads, facts))} == {dict}
    except ValueError:
        return False


def envelope_of(partition: int, entry_id: bytes, fields: Sequence[bytes]) -> Envelope:
    """What an entry says that was checked, see `envelope`."""
    session, id_, type_, agent, link, facts = fields[1::2]
    about = (_name(session), _event_id(id_), _name(type_), _name(agent), link.decode(), facts)
    return _new(Envelope, (FeedId.parse(partition, entry_id), *about))


def tells_of(fields: Sequence[bytes], entry_id: bytes, recorded: Recorded) -> bool:
    """Whether an entry that was checked says what the event as the session has it does; `Envelope.check` says what not.

    Args:
        fields: Names and values in turn.
        entry_id: The id of the event's entry, as the server sends it.
        recorded: The event.
    """
    id_, type_, agent, link, facts = fields[3::2]
    event = recorded.event
    said = (id_, _name(type_), _name(agent), link.decode())
    return said == (entry_id, event.type, event.agent, recorded.link) and _has_facts(facts, event)


def surely_tell(envelopes: Iterable[Sequence[bytes]], entries: Iterable[RawEntry]) -> list[bool]:
    """Of which entries that were checked it is certain that they say what the events do; of any other `tells_of` says.

    No event is made for that: whoever handles one makes it, and of many nobody ever looks.

    Args:
        envelopes: Of each, names and values in turn.
        entries: The entries of the events, in the same order.
    """
    return [fields[3::2] == told for fields, told in zip(envelopes, told_of(entries), strict=True)]


def replaced(keyspace: Keyspace, place: FeedId, fields: Sequence[bytes]) -> LogForkedError:
    """The error of who finds that what was read last is not in the feed any more.

    Args:
        keyspace: How the namespace is laid out.
        place: Where it stood.
        fields: What stood there; empty where that is not known.
    """
    try:
        lost = envelope(keyspace, place.partition, place.stream_id.encode(), fields)
    except CorruptEntryError:
        # What was there was no event, or was read in an earlier life; all that is known is where.
        return LogForkedError("", place)
    return LogForkedError(lost.session_id, lost.id)


@lru_cache(maxsize=4096)
def _session(keyspace: Keyspace, partition: int, text: bytes) -> str:
    try:
        session_id = check_id("session_id", text.decode())
    except InvalidIdError:
        raise MalformedEntryError("its session is none there can be") from None
    if keyspace.partition(session_id) != partition:
        raise MalformedEntryError(f"its session is of partition {keyspace.partition(session_id)}")
    return session_id


def _event_id(text: bytes) -> EventId:
    ms, _, revision = text.partition(b"-")
    if not (ms.isdigit() and revision.isdigit() and max(len(ms), len(revision)) <= _DIGITS):
        raise MalformedEntryError("its id is no event id")
    id_: EventId = _new(EventId, (int(ms), int(revision)))
    if id_.ms > MAX_MS:
        raise MalformedEntryError("its id is of no time there will be")
    return id_


@lru_cache(maxsize=4096)
def _name(text: bytes) -> str:
    return text.decode()


def _has_facts(text: bytes, event: Event) -> bool:
    """Whether facts are those of an event, of which they can be told anew; of any other they may be what they are."""
    if type(event) is Event or event.is_erased or event.is_sealed:
        return True
    # Written by the same function, they are the same to the byte; only of others the order is looked at.
    facts = event.facts()
    return text == orjson.dumps(facts) or _sorted(orjson.loads(text)) == _sorted(facts)


def _sorted(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
