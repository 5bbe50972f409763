"""What happened in a session, a row an event: what a timeline is drawn from, and where each thing stands.

A block holds a fixed stretch of revisions, so that those before the newest stay as they are, and any of them can be
read by itself, the newest first. No content is kept but the beginnings of what was asked.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple

import orjson

from strands_session_log import EventId, Recorded

from ..content.markup import one_line
from .salvage import DAMAGED, is_damaged

BLOCK: Final = 8_192
"""How many events a block has."""
_LONGEST_TITLE: Final = 80
_MOST: Final = 0xFFFFFFFF
_MOST_LANES: Final = 0xFFFF
SESSION_LANE: Final = "session"


class Kind(IntEnum):
    """What an event is drawn as."""

    USER = 0
    MODEL = 1
    TOOL = 2
    WAIT = 3
    STATE = 4
    TURN = 5
    NODE = 6
    REWIND = 7
    FORK = 8
    GAP = 9
    CUSTOM = 10


class Flag(IntFlag):
    """What else there is to an event."""

    ERROR = 1
    ERASED = 2
    TURN_START = 4
    TURN_END = 8
    MESSAGE = 16
    ANSWER = 32


_KINDS: Final[Mapping[str, Kind]] = {
    "message.updated": Kind.STATE,
    "message.redacted": Kind.STATE,
    "model.completed": Kind.MODEL,
    "model.failed": Kind.MODEL,
    "tool.started": Kind.TOOL,
    "tool.completed": Kind.TOOL,
    "tool.failed": Kind.TOOL,
    "interrupt.raised": Kind.WAIT,
    "interrupt.answered": Kind.WAIT,
    "invocation.started": Kind.TURN,
    "invocation.completed": Kind.TURN,
    "invocation.failed": Kind.TURN,
    "node.started": Kind.NODE,
    "node.completed": Kind.NODE,
    "session.rewound": Kind.REWIND,
    "session.forked": Kind.FORK,
    "recording.gap": Kind.GAP,
    DAMAGED: Kind.GAP,
}
_FLAGS: Final[Mapping[str, Flag]] = {
    "message.added": Flag.MESSAGE,
    "model.failed": Flag.ERROR,
    "tool.failed": Flag.ERROR,
    "invocation.started": Flag.TURN_START,
    "invocation.completed": Flag.TURN_END,
    "invocation.failed": Flag.TURN_END,
    "interrupt.answered": Flag.ANSWER,
    "recording.gap": Flag.ERROR,
    DAMAGED: Flag.ERROR,
}


class TurnStart(NamedTuple):
    """Where an agent was called, and with what."""

    revision: int
    agent: str
    title: str = ""


class ListedTurns(NamedTuple):
    """A part of the turns of a session.

    Attributes:
        turns: Those of the part.
        number: Of the first of them, from 1.
        total: How many turns the session has.
        before: The revision of the turn before them; 0 for none.
        since: From which revision on a point belongs to the part.
        until: Before which; 0 for ever.
    """

    turns: Sequence[TurnStart]
    number: int
    total: int
    before: int
    since: int
    until: int


class Interruption(NamedTuple):
    """A person was asked, or has answered."""

    revision: int
    agent: str
    interrupt: str
    name: str
    is_answer: bool


class Amendment(NamedTuple):
    """A message was said otherwise later, or redacted."""

    revision: int
    agent: str
    message_id: int


class ErasureNote(NamedTuple):
    """Where it stands that the content of an event was erased."""

    revision: int
    reason: str
    by: str


class Jump(NamedTuple):
    """From where on agents resumed from an earlier point."""

    revision: int
    to: int


class IndexBlock:
    """The events of a fixed stretch of revisions.

    Args:
        number: Which one, from 0; its first revision is `number * BLOCK + 1`.

    Attributes:
        lanes: Whose events they are, by the number in `lane`.
        turns: Where agents were called.
        interruptions: Where people were asked, and have answered.
        changes: Where messages were changed.
        erasures: By revision: where it stands that its content was erased.
        jumps: Where the session was rewound.
        messages: The revisions of messages.
        last: The event added last that could be read; None before the first.
    """

    def __init__(self, number: int) -> None:
        self.number, self.lanes = number, list[str]()
        self.last: EventId | None = None
        self._ms, self._durations = array("Q"), array("I")
        self._kinds, self._flags, self._lanes_of = array("B"), array("B"), array("H")
        self.turns, self.interruptions = list[TurnStart](), list[Interruption]()
        self.changes, self.jumps = list[Amendment](), list[Jump]()
        self.erasures, self.messages = dict[int, ErasureNote](), array("Q")
        self._lane_numbers = dict[str, int]()

    @property
    def first(self) -> int:
        """Its first revision."""
        return self.number * BLOCK + 1

    @property
    def until(self) -> int:
        """The last revision it can have."""
        return (self.number + 1) * BLOCK

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def is_full(self) -> bool:
        """Whether no event can be added."""
        return len(self) == BLOCK

    def add(self, recorded: Recorded) -> None:
        """The next event."""
        id_, event, _ = recorded
        data = event.data if isinstance(event.data, Mapping) else {}
        kind = _kind(event.type, data)
        flags = _FLAGS.get(event.type, Flag(0))
        if event.is_erased:
            flags |= Flag.ERASED
        if data.get("error") and not data.get("cancelled"):
            flags |= Flag.ERROR
        self._ms.append(id_.ms)
        self._durations.append(_duration(data))
        self._kinds.append(kind)
        self._flags.append(flags)
        self._lanes_of.append(self._lane(event.agent))
        self._note(id_.revision, event.type, event.agent, data)
        self.last = self.last if is_damaged(recorded) else id_

    def newest(self) -> tuple[int, int, str, int, int]:
        """Of the event added last: milliseconds since the epoch, duration, lane, kind and flags."""
        lane = self.lanes[self._lanes_of[-1]]
        return self._ms[-1], self._durations[-1], lane, self._kinds[-1], self._flags[-1]

    def _lane(self, agent: str) -> int:
        name = agent or SESSION_LANE
        number = self._lane_numbers.get(name)
        if number is None:
            number = self._lane_numbers[name] = min(len(self.lanes), _MOST_LANES)
            self.lanes.append(name)
        return number

    def _note(self, revision: int, type_: str, agent: str, data: Mapping[str, Any]) -> None:
        match type_:
            case "message.added":
                self.messages.append(revision)
                self._entitle(agent, data)
            case "invocation.started":
                self.turns.append(TurnStart(revision, agent))
            case "interrupt.raised" | "interrupt.answered":
                answered = type_ == "interrupt.answered"
                one = Interruption(revision, agent, str(data.get("id", "")), str(data.get("name", "")), answered)
                self.interruptions.append(one)
            case "message.updated" | "message.redacted":
                self.changes.append(Amendment(revision, agent, _index(data)))
            case "payload.erased":
                note = ErasureNote(revision, str(data.get("reason") or ""), str(data.get("by") or ""))
                self.erasures |= {id_.revision: note for id_ in _ids(data.get("erased"))}
            case "session.rewound":
                self.jumps += [Jump(revision, id_.revision) for id_ in _ids([data.get("to")])]

    def _entitle(self, agent: str, data: Mapping[str, Any]) -> None:
        """The first message of a call says what the turn is about."""
        if self.turns and not self.turns[-1].title and self.turns[-1].agent == agent:
            self.turns[-1] = self.turns[-1]._replace(title=_title(data))

    def encoded(self) -> bytes:
        """As a browser reads it: the length of the head in 4 bytes, the head as JSON, and the columns.

        All little endian: milliseconds since the first, and duration, of 4 bytes each; lane of 2; kind and flags of 1.
        """
        start = next(filter(None, self._ms), 0)  # Of an event that is missing nobody knows when it was.
        head = {
            "first": self.first,
            "count": len(self),
            "start": start,
            "lanes": self.lanes,
            "jumps": self.jumps,
            "turns": [turn.revision for turn in self.turns],
        }
        text = orjson.dumps(head, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=list)
        text += b" " * (-len(text) % 4)
        offsets = array("I", (min(_MOST, max(0, ms - start)) for ms in self._ms))
        columns = (offsets, self._durations, self._lanes_of, self._kinds, self._flags)
        return len(text).to_bytes(4, "little") + text + b"".join(map(_little, columns))


def _little(column: array[int]) -> bytes:
    if sys.byteorder == "big" and column.itemsize > 1:
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _kind(type_: str, data: Mapping[str, Any]) -> Kind:
    if type_ == "message.added":
        return Kind.MODEL if _role(data) == "assistant" else Kind.USER
    return _KINDS.get(type_, Kind.CUSTOM if type_.startswith("custom.") else Kind.STATE)


def _role(data: Mapping[str, Any]) -> str:
    message = data.get("message")
    return str(message.get("role", "")) if isinstance(message, Mapping) else ""


def _duration(data: Mapping[str, Any]) -> int:
    given = data.get("duration_ms")
    return min(_MOST, max(0, int(given))) if isinstance(given, (int, float)) and given == given else 0


def _index(data: Mapping[str, Any]) -> int:
    index = data.get("message_id")
    return index if type(index) is int else -1


def _ids(values: Any) -> Iterator[EventId]:
    for value in values if isinstance(values, Iterable) else ():
        try:
            yield value if isinstance(value, EventId) else EventId.parse(value)
        except (ValueError, TypeError, AttributeError):
            continue


def _title(data: Mapping[str, Any]) -> str:
    message = data.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping) and isinstance(text := block.get("text"), str):
            return one_line(text, _LONGEST_TITLE)
    return ""
