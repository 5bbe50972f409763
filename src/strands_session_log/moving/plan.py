"""What a stored session is as events, and which of them the log lacks.

An imported event has an id made from its content. So the log itself tells what an import has written already, whether
anybody else has written to the session since, and where an import that was interrupted goes on.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from .. import events
from ..codec import Encoded, encode, to_json
from ..errors import InvalidPointError
from ..events import Event
from ..ids import Instant, parse_point
from ..session_log import SessionLog
from .stored import StoredSession

Outcome = Literal["imported", "completed", "skipped", "conflict", "failed"]

_SAME_SLOT = {
    events.AgentUpdated.TYPE: events.AgentCreated.TYPE,
    events.MessageUpdated.TYPE: events.MessageAdded.TYPE,
    events.MessageRedacted.TYPE: events.MessageAdded.TYPE,
    events.MultiAgentUpdated.TYPE: events.MultiAgentCreated.TYPE,
}
# What may change while a session goes on in the other store; all else is written once.
_CHANGES: dict[str, type[events.Known]] = {
    events.AgentCreated.TYPE: events.AgentUpdated,
    events.MultiAgentCreated.TYPE: events.MultiAgentUpdated,
    events.WindowChanged.TYPE: events.WindowChanged,
}
_NAMES = {
    events.SessionCreated.TYPE: "the session's record",
    events.SessionAnnotated.TYPE: "the session's label",
    events.AgentCreated.TYPE: "the state",
    events.MessageAdded.TYPE: "message",
    events.WindowChanged.TYPE: "the window",
    events.MultiAgentCreated.TYPE: "the state",
}


_MOST_NAMED = 3
_CURE = "to have it as the source does, delete it from the log and import it anew"


class PlannedMessage(NamedTuple):
    """What an event is the newest word on: a session's record, an agent's, a message, a graph's state."""

    type: str
    agent: str
    number: int | None

    def __str__(self) -> str:
        what = _NAMES.get(self.type, self.type)
        number = "" if self.number is None else f" {self.number}"
        return f"{what}{number} of {self.agent!r}" if self.agent else f"{what}{number}"


@dataclass(slots=True)
class Found:
    """What the log has of a session already.

    Attributes:
        latest: The id of the newest event of each slot.
        ever: Every event with its slot.
        only_imported: Whether nobody but an import has written to it.
        revision: How many events there are.
        data: What the first and the newest event of each slot say, if asked for.
    """

    latest: dict[PlannedMessage, str] = field(default_factory=dict)
    ever: set[tuple[PlannedMessage, str]] = field(default_factory=set)
    only_imported: bool = True
    revision: int = 0
    data: dict[PlannedMessage, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)

    def oldest(self, slot: PlannedMessage) -> Mapping[str, Any] | None:
        """What was said first; None when nothing was."""
        return self.data[slot][0] if slot in self.data else None

    def newest(self, slot: PlannedMessage) -> Mapping[str, Any] | None:
        """What was said last; None when nothing was."""
        return self.data[slot][1] if slot in self.data else None


class Decision(NamedTuple):
    """What to do about a session: the events to write, or what is in the way."""

    outcome: Outcome
    missing: Sequence[Encoded] = ()
    problem: str = ""


def planned(stored: StoredSession) -> list[Encoded]:
    """A stored session as events, each with the id made from its content.

    Raises:
        EncodingError: When a value cannot be stored.
    """
    return [_identified(stored.session_id, encode(event)) for event in _events(stored)]


def find(log: SessionLog, session_id: str, with_data: bool = False) -> Found:
    """Look at what the log has of a session.

    Args:
        log: The log.
        session_id: The session.
        with_data: Keep what its events say, too.
    """
    found = Found()
    for recorded in log._events.read(session_id):
        event, slot = recorded.event, _slot(recorded.event)
        found.latest[slot] = event.event_id
        if with_data:
            found.data[slot] = found.data.get(slot, (event.data, event.data))[0], event.data
        found.ever.add((slot, event.event_id))
        found.only_imported &= event.event_id == _made_id(session_id, slot, event.data)
        found.revision = recorded.id.revision
    return found


def decide(wanted: Sequence[Encoded], found: Found) -> Decision:
    """Compare what a session should have with what it has.

    Args:
        wanted: The whole session.
        found: What the log has of it.
    """
    if not found.revision:
        return Decision("imported", wanted)
    slots = {_slot(one.event): one for one in wanted}
    behind = {slot: one for slot, one in slots.items() if found.latest.get(slot) != one.event.event_id}
    surplus = [slot for slot in found.latest if slot not in slots]
    if not behind and not surplus:
        return Decision("skipped")
    if not found.only_imported:
        lacking = [slot for slot, one in behind.items() if (slot, one.event.event_id) not in found.ever]
        problem = f"the log has events of its own under this id, but not {_named(lacking)}, as the source has it"
        return Decision("conflict", problem=f"{problem}; {_CURE}") if lacking else Decision("skipped")
    if surplus:
        return Decision("conflict", problem=f"the log has {_named(surplus)}, and the source has not; {_CURE}")
    changed = [slot for slot in behind if slot in found.latest and slot.type not in _CHANGES]
    if changed:
        problem = f"the source has changed {_named(changed)} since it was imported; {_CURE}"
        return Decision("conflict", problem=problem)
    return Decision("completed", [_next_word(slot, one, found) for slot, one in behind.items()])


def _events(stored: StoredSession) -> Iterator[Event]:
    yield events.SessionCreated(stored.record)
    yield events.SessionAnnotated({"imported_from": stored.origin})
    for agent in stored.agents:
        yield events.AgentCreated(agent.record, agent.agent_id)
        for message in agent.messages:
            yield events.MessageAdded(message, agent.agent_id)
        if agent.window is not None:
            yield events.WindowChanged(agent.window, agent.agent_id)
    for name, state in stored.multi_agents.items():
        yield events.MultiAgentCreated(state, name)


def _slot(event: Event) -> PlannedMessage:
    type_ = _SAME_SLOT.get(event.type, event.type)
    index = event.data.get("message_id") if type_ == events.MessageAdded.TYPE else None
    return PlannedMessage(type_, event.agent, index if type(index) is int else None)


def _identified(session_id: str, encoded: Encoded) -> Encoded:
    event = encoded.event
    return _with(encoded, type(event), _made_id(session_id, _slot(event), to_json(event.data)))


def _next_word(slot: PlannedMessage, encoded: Encoded, found: Found) -> Encoded:
    """The same content, as a change of what the log has."""
    return _with(encoded, _CHANGES[slot.type], encoded.event.event_id) if slot in found.latest else encoded


def _with(encoded: Encoded, kind: type[Event], event_id: str) -> Encoded:
    event = encoded.event
    # An import makes events of known types only, and their classes take the content first, unlike `Event` itself.
    named = kind(event.data, event.agent, event_id=event_id, time=event.time)  # type: ignore[arg-type]
    header = (named.type.encode(), encoded.header[1], event_id.encode(), *encoded.header[3:])
    return encoded._replace(header=header, message_index=named.message_index, event=named)


def _made_id(session_id: str, slot: PlannedMessage, data: Mapping[str, Any]) -> str:
    """A UUIDv7 like any other, of when the content came to be, but with a digest of it instead of randomness."""
    body = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(b"\0".join((session_id.encode(), slot.type.encode(), slot.agent.encode(), body))).digest()
    value = _milliseconds(data.get("created_at")) << 80 | int.from_bytes(digest[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def _milliseconds(moment: object) -> int:
    try:
        point = parse_point(moment) if isinstance(moment, str) else None
    except InvalidPointError:
        return 0
    return point.ms & (1 << 48) - 1 if isinstance(point, Instant) else 0


def _named(slots: Sequence[PlannedMessage]) -> str:
    """Some of them; the rest is counted."""
    more = len(slots) - _MOST_NAMED
    return ", ".join(map(str, slots[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
