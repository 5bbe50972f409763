"""What every event has, whatever it is about."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from ..errors import EncodingError, shown
from ..ids import MESSAGE_INDEX_LIMIT, EventId, check_id
from ..randomness import random_bytes

ROLES = ("user", "assistant")
VERSION_LIMIT = 10**6
_CREATES_MESSAGE = "message.added"
_MADE: Any = object()
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""Two bits of a UUID that are always the same, and two of chance, as a hexadecimal digit."""
_CUSTOM_TYPE = re.compile(r"custom(\.[a-z0-9_]+)+")


def new_event_id() -> str:
    """A fresh UUIDv7 (RFC 9562): time-ordered, and unique without asking anyone."""
    clock, chance = f"{time.time_ns() // 1_000_000:012x}", random_bytes().hex()
    return f"{clock[:8]}-{clock[8:]}-7{chance[:3]}-{_VARIANT[chance[3]]}{chance[4:7]}-{chance[7:19]}"


def now() -> str:
    """The clock of this machine as RFC 3339 text in UTC, as `isoformat` writes it."""
    second, within = divmod(time.time_ns() // 1_000, 1_000_000)
    return f"{_second(second)}.{within:06d}+00:00" if within else f"{_second(second)}+00:00"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, timezone.utc).isoformat()[:-6]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        type: Dotted name, for example `message.added`.
        data: The content. Whatever `codec.values` can store when written; plain JSON values when read back.
        agent: The agent it is about; empty when it is about the session as a whole.
        event_id: UUIDv7 chosen by the writer; repeating an append whose outcome was unknown, with the same
            `SessionLog`, stores it once.
        time: The writer's clock, RFC 3339.
        trace: W3C traceparent of the span it happened in, or empty.
        version: Schema version of `data` for this type.
        is_erased: Whether its content was erased; `data` then is what it `retains`. The log alone sets it.
        is_sealed: Whether its content is encrypted, and the log was not given the key; `data` likewise.
    """

    type: str
    data: Mapping[str, Any]
    agent: str = ""
    event_id: str = field(default_factory=new_event_id, kw_only=True)
    time: str = field(default_factory=now, kw_only=True)
    trace: str = field(default="", kw_only=True)
    version: int = field(default=1, kw_only=True)
    is_erased: bool = field(default=False, kw_only=True)
    is_sealed: bool = field(default=False, kw_only=True)

    known: ClassVar[dict[str, Callable[..., Event]]] = {}

    @property
    def has_content(self) -> bool:
        """Whether its content can be read: it was neither erased, nor is it encrypted with a key that is not there."""
        return not (self.is_erased or self.is_sealed)

    @classmethod
    def moved_by(cls, data: Mapping[str, Any]) -> str:
        """What an event of this class changes the resuming of, see `moves`; of its data, what it `retains` will do."""
        return ""

    @property
    def moves(self) -> str:
        """What it changes the resuming of, so that a writer who did not know of it must not go on.

        `agent`, the one it names, or `multi_agent`, the graph or swarm of that id; empty for nothing.
        """
        return self.moved_by(self.data)

    @property
    def message_index(self) -> int | None:
        """The message index this event creates; the log refuses to create one twice."""
        return None

    def facts(self) -> dict[str, Any]:
        """What consumers may know without reading content: roles, names, counts, durations. Never content."""
        return {}

    def retains(self) -> dict[str, Any]:
        """What of the data outlives its erasure because the events around it need it. Never content.

        It stands in the clear beside the body from the beginning, and the hash chain covers it there.
        """
        return {}


_moves_nothing = Event.__dict__["moved_by"].__func__


class Known(Event):
    """An event whose type name this version understands; `TYPE` is given by the class."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "TYPE" in cls.__dict__:
            Event.known[cls.TYPE] = cls

    def __init__(
        self,
        data: Mapping[str, Any],
        agent: str = "",
        *,
        event_id: str = _MADE,
        time: str = _MADE,
        trace: str = "",
        version: int = 1,
    ) -> None:
        """Take the content, the agent, and any other envelope field of `Event` by name."""
        event_id = new_event_id() if event_id is _MADE else event_id
        time = now() if time is _MADE else time
        _set_type(self, self.TYPE)
        _set_data(self, data)
        _set_agent(self, agent)
        _set_id(self, event_id)
        _set_time(self, time)
        _set_trace(self, trace)
        _set_version(self, version)
        _set_erased(self, False)
        _set_sealed(self, False)


class Custom(Event):
    """An event of the user's own; its type begins with `custom.`: lower case letters, digits, `_` and dots."""

    __slots__ = ()


_FIELDS = ("type", "data", "agent", "event_id", "time", "trace", "version", "is_erased", "is_sealed")
_set_type, _set_data, _set_agent, _set_id, _set_time, _set_trace, _set_version, _set_erased, _set_sealed = (
    Event.__dict__[name].__set__ for name in _FIELDS
)
"""Set a field of an event though it is frozen, and without a look at its name: very many are made."""


def restored(
    type_: str,
    data: Any,
    agent: str,
    event_id: str,
    time: str,
    trace: str,
    version: int,
    is_erased: bool = False,
    is_sealed: bool = False,
) -> Event:
    """An event as it stands in the log; what its fields may be was checked when it was written."""
    kind: Any = Event.known.get(type_) or (Custom if type_.startswith("custom.") else Event)
    event: Event = object.__new__(kind)
    _set_type(event, type_)
    _set_data(event, data)
    _set_agent(event, agent)
    _set_id(event, event_id)
    _set_time(event, time)
    _set_trace(event, trace)
    _set_version(event, version)
    _set_erased(event, is_erased)
    _set_sealed(event, is_sealed)
    return event


def moved_by(type_: str, data: object) -> str:
    """What an event of a type with this data changes the resuming of, see `Event.moves`."""
    kind: Any = Event.known.get(type_, Event)
    move = kind.moved_by
    # Of most events no data has to be looked at.
    if move.__func__ is _moves_nothing:
        return ""
    moved: str = move(data if isinstance(data, Mapping) else {})
    return moved


def check_type(event: Event) -> None:
    """Let users write events of their own and of the types known here, but none that look like either.

    Raises:
        EncodingError: When the type is unknown and not `custom.something`.
    """
    if Event.known.get(event.type) is not type(event) and not _CUSTOM_TYPE.fullmatch(event.type):
        raise EncodingError(
            "type", f"{event.type!r} must look like custom.name: lower case letters, digits, _ and dots"
        )


def as_read(event: Event, data: Any, index: int | None) -> Event:
    """Refuse an event whose envelope could not be stored, or not be read back as it was.

    Args:
        event: The event.
        data: What it says, as JSON values.
        index: The message index it creates, if it does.

    Returns:
        The event as it will be read: what readers find in its data is compared with what the feed tells of it.

    Raises:
        EncodingError: When a field holds what it cannot; names the field.
        InvalidIdError: When the agent is not empty and no id.
    """
    _check_texts(event)
    if Event.known.get(event.type) is not type(event):
        check_type(event)
    if event.is_erased:
        raise EncodingError("is_erased", "an event whose content was erased cannot be appended again")
    if event.is_sealed:
        raise EncodingError("is_sealed", "an event whose content cannot be read cannot be appended again")
    if type(event.version) is not int or not 0 < event.version < VERSION_LIMIT:
        raise EncodingError("version", f"{shown(event.version)} is no whole number from 1 on")
    if event.type == _CREATES_MESSAGE or index is not None:
        _check_index(index, event.data.get("message_id"))
    fields = event.agent, event.event_id, event.time, event.trace, event.version
    read = restored(event.type, data, *fields) if event.type in Event.known else event
    if event.agent != "":
        check_id("agent", event.agent)
    return read


def _check_texts(event: Event) -> None:
    texts = (event.type, event.event_id, event.time, event.trace)
    try:
        if "".join(texts).isascii():
            return
    except TypeError:
        # One of them is no text.
        pass
    for name, value in zip(("type", "event_id", "time", "trace"), texts, strict=True):
        check_text(name, value)


def check_text(name: str, value: object) -> None:
    """Accept text that can be stored.

    Raises:
        EncodingError: When it is something else, or holds a lone surrogate.
    """
    if not isinstance(value, str):
        raise EncodingError(name, f"it must be text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EncodingError(name, "it holds a lone surrogate") from error


def _check_index(index: object, given: object) -> None:
    if type(index) is not int:
        raise EncodingError("message_id", f"{shown(given)} is no integer")
    if not -MESSAGE_INDEX_LIMIT < index < MESSAGE_INDEX_LIMIT:
        raise EncodingError("message_id", f"{shown(index)} is not below 10**14")


class Recorded(NamedTuple):
    """An event as the log holds it.

    Attributes:
        id: Where it stands in its session.
        event: What happened.
        link: The session's hash chain up to and including this event, base64url.
    """

    id: EventId
    event: Event
    link: str

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log events --json` has it."""
        event = self.event
        found = {
            "id": str(self.id),
            "type": event.type,
            "agent": event.agent,
            "event_id": event.event_id,
            "time": event.time,
            "v": event.version,
            "trace": event.trace,
            "link": self.link,
            "data": event.data,
        }
        return {**found, "sealed": True} if event.is_sealed else found
