"""Events as the fields of a stream entry, and back.

Every entry has the same fields in the same order, which lets Valkey store their names once a node (listpack
SAMEFIELDS). Every value is text.

A body leaves out what the entry around it says already, or what is nearly always the same. Strands' records repeat in
every message when it was written, and in every record of an agent whose it is. An event that is read has it all. The
first of the fields tells: only where it is left out, others may be. What outlives an erasure stands in the clear beside
the body, and not in it a second time. See docs/format.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import orjson

from ..errors import CorruptEntryError, EncodingError
from ..errors.quoting import MalformedEntryError, reason_of
from ..events import Event, MessageAdded, Recorded
from ..events.content import message_facts, message_retains
from ..events.event import VERSION_LIMIT, as_read, new_event_id, restored
from ..events.facts import is_index
from ..ids import EventId, check_id
from .bodies import MARK, text_of
from .plain import text_alone
from .sealed import MAGIC
from .values import WRAPPED, from_json, to_json

FIELDS = (
    *(b"type", b"agent", b"event", b"time", b"v", b"trace"),
    *(b"base", b"retained", b"salt", b"link", b"body"),
)
_DECODED_FIELDS = tuple(name.decode() for name in FIELDS)
_COMMITMENT = re.compile(rb"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""32 bytes in base64url, as `chain.to_text` writes them."""

_MESSAGE_ADDED = MessageAdded.TYPE.encode()
_new = tuple.__new__
_MEMBERS_OF_A_MESSAGE = 5
"""`message`, `message_id`, `redact_message`, `created_at`, `updated_at`: as Strands stores it."""

Change: TypeAlias = Callable[[dict[str, Any], str, str], None]
"""Changes the data of an event, JSON values, that has an agent and a time."""
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""Lifts the data of (type, version) to version + 1; chained until none is left."""


class Encoded(NamedTuple):
    """An event ready to be sealed: what the hash chain covers in the open, and the body it covers by commitment.

    Attributes:
        header: `type, agent, event, time, v, trace`, UTF-8.
        retained: JSON of what outlives an erasure, see `Event.retains`; empty if nothing does.
        body: JSON, without what `shorten` leaves out.
        facts: JSON for the feed's envelope, never content.
        message_index: The message index it creates, if it does.
        event: Where it came from.
    """

    header: tuple[bytes, ...]
    retained: bytes
    body: bytes
    facts: bytes
    message_index: int | None
    event: Event


def encode(event: Event) -> Encoded:
    """Turn an event into text.

    Raises:
        EncodingError: When something in it cannot be stored; names the field.
        InvalidIdError: When the agent is not empty and no id.
    """
    return (type(event) is MessageAdded and _encode_message(event)) or _encode_in_general(event)


def _encode_in_general(event: Event) -> Encoded:
    if type(event.data) is not dict and not isinstance(event.data, Mapping):
        raise EncodingError("data", f"it must be a mapping, not {type(event.data).__name__}")
    data, index, kept = to_json(event.data), event.message_index, event.retains()
    read = as_read(event, data, index)
    texts = (event.type, event.agent, event.event_id, event.time, str(event.version), event.trace)
    try:
        facts = orjson.dumps(read.facts())
        if kept or event.type in _SHORTEN:
            shorten(event.type, event.agent, event.time, data, kept)
        body = orjson.dumps(data)
        retained = _retained_text(event.type, kept) if kept else b""
    except EncodingError:
        raise
    except Exception as error:
        # What the data is made of may run code of the user's own, or be changed by another thread meanwhile.
        raise EncodingError(event.type, f"{type(error).__name__}: {error}") from error
    return Encoded(tuple(map(str.encode, texts)), retained, body, facts, index, event)


def _encode_message(event: Event) -> Encoded | None:
    """A message as Strands hands it over: what the general way makes of it, in fewer steps.

    Returns:
        None where anything is otherwise, of which the general way has something to say.
    """
    said, time, version = event.data, event.time, event.version
    try:
        is_usual = (
            type(said) is dict
            and len(said) == _MEMBERS_OF_A_MESSAGE
            and is_index(index := said["message_id"])
            and type(message := said["message"]) is dict
            and said["redact_message"] is None
            and said["created_at"] is time
            and said["updated_at"] is time
            and type(version) is int
            and 0 < version < VERSION_LIMIT
            and not (event.is_erased or event.is_sealed)
            and "".join((event.event_id, time, event.trace)).isascii()
        )
        if not is_usual:
            return None
        if (plain := text_alone(message)) and version == 1:
            return encode_text(event, index, *plain)
        id_, when, trace = map(str.encode, (event.event_id, time, event.trace))
        header = (_MESSAGE_ADDED, _agent(event.agent), id_, when, b"%d" % version, trace)
        data = to_json({"message": message})
        body, data["message_id"] = orjson.dumps(data), index
        kept, facts = _retained_text(event.type, message_retains(said)), orjson.dumps(message_facts(data))
    except Exception:
        return None
    return _new(Encoded, (header, kept, body, facts, index, event))


def encode_text(event: Event, index: int, role: str, text: str) -> Encoded:
    """What `encode` makes of the event of a message of which this is all, and of which nothing is copied.

    Args:
        event: A `MessageAdded` of the first version, with ids and times that can be stored.
        index: The message's.
        role: Who speaks, see `text_alone`.
        text: What.

    Raises:
        EncodingError: See `encode`.
    """
    try:
        speaker, spoken = role.encode(), orjson.dumps(text)
    except TypeError:
        # It holds a lone surrogate.
        return _encode_in_general(event)
    id_, when, trace = map(str.encode, (event.event_id, event.time, event.trace))
    header = (_MESSAGE_ADDED, _agent(event.agent), id_, when, b"1", trace)
    kept, facts = b'[%d,"%b"]' % (index, speaker), b'{"index":%d,"role":"%b"}' % (index, speaker)
    body = b'{"message":{"role":"%b","content":[{"text":%b}]}}' % (speaker, spoken)
    return _new(Encoded, (header, kept, body, facts, index, event))


@lru_cache(maxsize=1024, typed=True)
def _agent(name: str) -> bytes:
    """An agent's name as it stands in an entry, if it can."""
    return str.encode(check_id("agent", name) if name != "" else name)


def renumbered(encoded: Encoded, index: int) -> Encoded:
    """The same event about the message of another index, with the content it had when it was turned into text."""
    event, data = encoded.event, orjson.loads(encoded.body)
    complete(event.type, event.agent, event.time, retained(event.type, encoded.retained), data)
    fields = event.agent, event.event_id, event.time, event.trace, event.version
    return encode(restored(event.type, {**from_json(data), "message_id": index}, *fields))


def without_member(encoded: Encoded, name: str) -> Encoded:
    """The same event without a member of its data; itself if it has none of this name."""
    event = encoded.event
    if name not in event.data:
        return encoded
    data = {key: value for key, value in event.data.items() if key != name}
    return encode(restored(event.type, data, event.agent, event.event_id, event.time, event.trace, event.version))


def with_member(encoded: Encoded, name: str, value: Any) -> Encoded:
    """The same event with one member more of its data, or another value of it."""
    event = encoded.event
    fields = event.agent, event.event_id, event.time, event.trace, event.version
    return encode(restored(event.type, {**event.data, name: value}, *fields))


def reissued(encoded: Encoded, agent: str | None = None) -> Encoded:
    """The same event under a new id, maybe of another agent: another one, as far as the log is concerned."""
    event, id_ = encoded.event, new_event_id()
    name = event.agent if agent is None else agent
    fields = event.data, name, id_, event.time, event.trace, event.version
    header = (encoded.header[0], name.encode(), id_.encode(), *encoded.header[3:])
    return encoded._replace(header=header, event=restored(event.type, *fields))


def shorten(type_: str, agent: str, time: str, data: dict[str, Any], retained: Mapping[str, Any]) -> None:
    """Take out of the data of an event, JSON values, what need not be written."""
    if change := _SHORTEN.get(type_):
        change(data, agent, time)
    if retained:
        for name in _MEMBERS.get(type_, retained):
            if name in retained and name in data and data[name] == retained[name]:
                del data[name]


def complete(type_: str, agent: str, time: str, retained: Mapping[str, Any], data: Any) -> None:
    """The reverse of `shorten`, for data that was not erased."""
    if type(data) is not dict or WRAPPED in data:
        return
    if retained:
        for name in _MEMBERS.get(type_, retained):
            if name in retained and name not in data:
                data[name] = retained[name]
    if change := _COMPLETE.get(type_):
        change(data, agent, time)


def _shorten_message(data: dict[str, Any], agent: str, time: str) -> None:
    if "message_id" in data and _has_times(data) and data.get("redact_message", ...) is None:
        del data["redact_message"]
        _shorten_times(data, time)


def _complete_message(data: dict[str, Any], agent: str, time: str) -> None:
    if "message_id" in data and "redact_message" not in data:
        data["redact_message"] = None
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _shorten_agent(data: dict[str, Any], agent: str, time: str) -> None:
    is_whole = "conversation_manager_state" in data and "_internal_state" in data and _has_times(data)
    if is_whole and data.get("agent_id") == agent:
        del data["agent_id"]
        # Compared as JSON, in which `0` is not `false`.
        if _sorted(data["_internal_state"]) == _sorted(_idle()):
            del data["_internal_state"]
        _shorten_times(data, time)


def _complete_agent(data: dict[str, Any], agent: str, time: str) -> None:
    if "conversation_manager_state" in data and "agent_id" not in data:
        data["agent_id"] = agent
        if "_internal_state" not in data:
            data["_internal_state"] = _idle()
        data.setdefault("created_at", time)
        data.setdefault("updated_at", time)


def _has_times(data: dict[str, Any]) -> bool:
    return "created_at" in data and "updated_at" in data


def _shorten_times(data: dict[str, Any], time: str) -> None:
    for name in ("created_at", "updated_at"):
        if data[name] == time:
            del data[name]


def _idle() -> dict[str, Any]:
    """The internal state of an agent that waits for nobody, and whose model keeps no conversation itself."""
    return {"interrupt_state": {"interrupts": {}, "context": {}, "activated": False}, "model_state": {}}


def _sorted(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


MESSAGES = ("message.added", "message.updated", "message.redacted")
_RETAINED: dict[str, tuple[str, ...]] = dict.fromkeys(MESSAGES, ("message_id", "role"))
_RETAINED |= dict.fromkeys(("invocation.completed", "invocation.failed"), ("removed",))
"""What events of which there are many retain: where it is all of that, its values alone say so, in this order."""
_MEMBERS = dict.fromkeys(MESSAGES, ("message_id",))
"""What of what is retained is a member of the data: all, but for the role of a message, which stands in the message."""
_AGENTS = [f"agent.{happened}" for happened in ("created", "updated")]
_SHORTEN: dict[str, Change] = dict.fromkeys(MESSAGES, _shorten_message) | dict.fromkeys(_AGENTS, _shorten_agent)
_COMPLETE: dict[str, Change] = dict.fromkeys(MESSAGES, _complete_message) | dict.fromkeys(_AGENTS, _complete_agent)


class Entry(NamedTuple):
    """A stream entry as it stands there: what the hash chain was computed from.

    Attributes:
        id: Its stream id.
        header: `type, agent, event, time, v, trace`.
        base: The id of the event that its batch follows, as text.
        retained: JSON of what outlives an erasure; empty if nothing does.
        salt: Base64url; empty once the body was erased: nothing else tells that it was.
        link: Base64url.
        body: JSON text, which may be compressed, see `bodies.text_of`, or encrypted, see `sealed`; once erased, its
            commitment in base64url.
    """

    id: EventId
    header: tuple[str, ...]
    base: str
    retained: str
    salt: str
    link: str
    body: bytes

    @property
    def is_erased(self) -> bool:
        """Whether its body was erased."""
        return not self.salt


def parse(entry_id: bytes | str, entry: Mapping[Any, Any]) -> Entry:
    """Read a stream entry, as any valkey-py client returns it (decoded or not).

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    try:
        *names, last = FIELDS if FIELDS[0] in entry else _DECODED_FIELDS
        *header, base, kept, salt, link = [_text(entry[name]) for name in names]
        found = Entry(EventId.parse(entry_id), tuple(header), base, kept, salt, link, _body(entry[last]))
        if found.is_erased:
            check_erased(found.body)
        return found
    except (KeyError, ValueError) as error:
        reason = f"it has no field {error}" if isinstance(error, KeyError) else reason_of(error)
        raise CorruptEntryError(_text(entry_id), reason) from error


def decode(entry_id: bytes | str, entry: Mapping[Any, Any]) -> Recorded:
    """Read the event of a stream entry; old versions are lifted to the newest.

    Raises:
        CorruptEntryError: When it is not an entry this library wrote.
    """
    raw = parse(entry_id, entry)
    try:
        return Recorded(raw.id, _event(raw), raw.link)
    except ValueError as error:
        raise CorruptEntryError(str(raw.id), reason_of(error)) from error


def retained(type_: str, text: str | bytes) -> dict[str, Any]:
    """What outlives an erasure of an event of a type, from the field of that name.

    Raises:
        ValueError: When it is neither a JSON object nor a list of what events of its type retain.
    """
    found = orjson.loads(text) if text else {}
    if type(found) is list and found and len(found) == len(names := _RETAINED.get(type_, ())):
        return dict(zip(names, found))  # noqa: B905 - they are equally long
    if type(found) is not dict:
        raise MalformedEntryError("what is retained is no JSON object")
    return found


def _retained_text(type_: str, kept: Mapping[str, Any]) -> bytes:
    names = _RETAINED.get(type_)
    return orjson.dumps([kept[name] for name in names] if names and kept.keys() == {*names} else kept)


def check_erased(body: bytes) -> None:
    """Accept what may stand in place of an erased body: its commitment, and nothing else.

    Raises:
        ValueError: When it is anything else, which somebody has put there.
    """
    if not _COMMITMENT.fullmatch(body):
        raise MalformedEntryError("it has no salt, as if it was erased, but a body that is no commitment")


def is_current(type_: str, version: bytes) -> bool:
    """Whether data of this type and version stands in an entry as it is read."""
    return not UPCASTERS or (type_, int(version)) not in UPCASTERS


def _event(entry: Entry) -> Event:
    type_, agent, event_id, time, version, trace = entry.header
    number, data = int(version), retained(type_, entry.retained)
    is_sealed = entry.body[:4] == MAGIC and not entry.is_erased
    if not entry.is_erased and not is_sealed:
        kept, data = data, orjson.loads(text_of(entry.body))
        complete(type_, agent, time, kept, data)
        while (type_, number) in UPCASTERS:
            data = UPCASTERS[type_, number](data)
            number += 1
    return restored(type_, data, agent, event_id, time, trace, number, entry.is_erased, is_sealed)


def _body(value: bytes | str) -> bytes:
    body = value.encode() if isinstance(value, str) else value
    if not body.startswith((MARK, MAGIC)):
        # What was neither compressed nor encrypted is text.
        body.decode()
    return body


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
