"""Stream entries as the server sends them, for those who read very many: id, then field names and values in turn.

What `envelope.decode` does, without an object for each event, and without parsing what nobody looks at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from ..errors import CorruptEntryError, KeyMissingError
from ..errors.quoting import reason_of
from ..events import Custom, Event, Recorded
from ..events.content import message_facts
from ..events.event import restored
from ..ids import EventId
from .bodies import MARK, text_of
from .envelope import FIELDS, MESSAGES, UPCASTERS, complete, decode, is_current, retained
from .sealed import MAGIC
from .values import WRAPPED

Row: TypeAlias = "tuple[EventId, str, str, Any, str, bool]"
"""Id, type, agent, data (None where it was not wanted) and link of an event, and whether it was erased."""

RawEntry: TypeAlias = "Sequence[Any]"
"""`[id, [name, value, …]]`, as bytes."""

_Way: TypeAlias = "Callable[[bytes, bytes], bytes] | None"
"""From what is retained of an event and its JSON text to its facts, empty where that does not tell."""

_new = tuple.__new__
_NAMES = list(FIELDS)
_TYPE, _AGENT, _TIME, _VERSION, _RETAINED, _SALT, _LINK, _BODY = (
    2 * FIELDS.index(name) + 1 for name in (b"type", b"agent", b"time", b"v", b"retained", b"salt", b"link", b"body")
)
_TELLS_OTHERWISE = frozenset(("message_id", "redact_message", WRAPPED))
_as_messages_retain = re.compile(rb'\[(0|[1-9][0-9]{0,13}),"(user|assistant)"\]').fullmatch


def fields_of(flat: Sequence[Any]) -> dict[Any, Any]:
    """Field names and values in turn as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=False))


def id_of(entry_id: bytes) -> EventId:
    """The id of an entry, which is never anything but two numbers, of whatever size if somebody else wrote it."""
    ms, _, revision = entry_id.partition(b"-")
    return EventId(int(ms), int(revision))


def rows(page: Iterable[RawEntry], wanted: Container[str], clear: Container[str] = ()) -> list[Row]:
    """Decode a page of raw entries.

    Args:
        page: What `XRANGE` answers, undecoded.
        wanted: The types of events whose data is wanted.
        clear: The types of events of whose data no more is wanted than what is retained, which is quickly read.

    Raises:
        CorruptEntryError: When one is not an entry this library wrote.
        KeyMissingError: When the data of one is wanted that is encrypted.
    """
    loads, kinds, found = orjson.loads, dict[bytes, tuple[str, bool, bool]](), list[Row]()
    for entry_id, flat in page:
        if flat[::2] != _NAMES or not flat[_SALT]:
            found.append(_whole(entry_id, fields_of(flat)))
            continue
        try:
            kind = kinds.get(flat[_TYPE])
            if kind is None:
                name = flat[_TYPE].decode()
                kind = kinds[flat[_TYPE]] = name, name in wanted, name in clear
            (type_, is_wanted, is_clear), agent, data = kind, _name(flat[_AGENT]), None
            if is_wanted:
                if UPCASTERS and not is_current(type_, flat[_VERSION]):
                    found.append(_whole(entry_id, fields_of(flat)))
                    continue
                body = flat[_BODY]
                data = loads(text_of(body) if body.startswith(MARK) else body)
                complete(type_, agent, flat[_TIME].decode(), retained(type_, flat[_RETAINED]), data)
            elif is_clear:
                data = retained(type_, flat[_RETAINED])
            ms, _, revision = entry_id.partition(b"-")
            id_ = _new(EventId, (int(ms), int(revision)))
            found.append((id_, type_, agent, data, flat[_LINK].decode(), False))
        except ValueError as error:
            raise _unreadable(entry_id, flat, error) from error
    return found


def _unreadable(entry_id: bytes, flat: Sequence[bytes], error: ValueError) -> CorruptEntryError | KeyMissingError:
    name = entry_id.decode()
    return KeyMissingError("", name) if flat[_BODY][:4] == MAGIC else CorruptEntryError(name, reason_of(error))


def kind_of(entry: RawEntry) -> tuple[str, str]:
    """The type and the agent of a raw entry; nothing else of it is read.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    flat = entry[1]
    if flat[::2] == _NAMES:
        try:
            return _name(flat[_TYPE]), _name(flat[_AGENT])
        except ValueError as error:
            raise CorruptEntryError(entry[0].decode(), reason_of(error)) from error
    event = recorded(entry).event
    return event.type, event.agent


def recorded(entry: RawEntry) -> Recorded:
    """Read the event of a raw entry: as `envelope.decode` does, in half the time where nothing is out of the ordinary.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    entry_id, flat = entry
    try:
        if flat[::2] != _NAMES or not flat[_SALT] or not is_current(type_ := _name(flat[_TYPE]), flat[_VERSION]):
            return decode(entry_id, fields_of(flat))
        _, by, event_id, at, version, trace, _, kept, _, link, body = flat[1::2]
        ms, _, revision = entry_id.partition(b"-")
        agent, time, data = _name(by), at.decode(), orjson.loads(text_of(body))
        complete(type_, agent, time, retained(type_, kept), data)
        event = restored(type_, data, agent, event_id.decode(), time, trace.decode(), int(version))
        return _new(Recorded, (_new(EventId, (int(ms), int(revision))), event, link.decode()))
    except ValueError as error:
        if flat[::2] == _NAMES and flat[_BODY][:4] == MAGIC:
            return decode(entry_id, fields_of(flat))
        raise CorruptEntryError(entry_id.decode(), reason_of(error)) from error


def told_of(page: Iterable[RawEntry]) -> Iterator[list[bytes] | None]:
    """What the feed tells of events, found without making them: each can be read, and is, once somebody asks for it.

    Yields:
        Of each its id, type, agent, link and facts, as its writer puts them there. None of what is out of the ordinary,
        or cannot be read, or has facts that take the whole event: of those, `recorded` tells.
    """
    # One at a time: what is held of many has the garbage collector look at it.
    ways = dict[bytes, _Way]()
    for entry_id, flat in page:
        told = None
        if flat[::2] == _NAMES and flat[_SALT]:
            kind, agent, id_, time, version, trace, _, kept, _, link, body = flat[1::2]
            if kind not in ways:
                ways[kind] = _way_of(kind)
            way = ways[kind]
            if way and version == b"1" and b"".join((agent, id_, time, trace, link)).isascii():
                try:
                    facts = way(kept, text_of(body) if body[:4] == MARK else body)
                except ValueError:
                    facts = b""
                if facts:
                    told = [entry_id, kind, agent, link, facts]
        yield told


def _way_of(kind: bytes) -> _Way:
    """How the facts of events of a type are found without making them."""
    type_ = kind.decode("ascii", "replace")
    if (type_, 1) in UPCASTERS or not kind.isascii():
        return None
    if type_ in MESSAGES:
        return _facts_of_message
    known: Any = Event.known.get(type_) or (Custom if type_.startswith("custom.") else None)
    return _no_facts if known and known.facts is Event.facts else None


def _facts_of_message(kept: bytes, text: bytes) -> bytes:
    """Nearly always what is retained says it all; what is said is looked at to see that it does. Empty if unsure."""
    known, data = _as_messages_retain(kept), orjson.loads(text)
    if known is None or type(data) is not dict or not _TELLS_OTHERWISE.isdisjoint(data):
        return b""
    message = data.get("message")
    if (
        type(message) is dict
        and message.get("role") == _name(known[2])
        and type(said := message.get("content")) is list
    ):
        for block in said:
            if type(block) is not dict or "toolUse" in block:
                break
        else:
            return b'{"index":%b,"role":"%b"}' % known.groups()
    data["message_id"] = int(known[1])
    return orjson.dumps(message_facts(data))


def _no_facts(kept: bytes, text: bytes) -> bytes:
    orjson.loads(text)
    return b"" if kept else b"{}"


def _whole(entry_id: bytes, fields: Mapping[Any, Any]) -> Row:
    id_, event, link = decode(entry_id, fields)
    if event.is_sealed:
        raise KeyMissingError("", entry_id.decode())
    return id_, event.type, event.agent, event.data, link, event.is_erased


@lru_cache(maxsize=4096)
def _name(text: bytes) -> str:
    return text.decode()
