"""The values a session folds into: immutable, and plain JSON inside."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..ids import START, EventId
from .growing_ranges import GrowingRanges
from .integrity import NOT_CHECKED, Integrity
from .messages import Messages

ANSWERING = "answering"
"""In the record of an agent: what a call goes on from. Strands knows nothing of it, and passes it over."""

IN_FORCE = "in_force"
"""In the record of an agent: which system prompt and tools it had. Strands passes it over, too."""

MANAGER, REMOVED_COUNT = "conversation_manager_state", "removed_message_count"
"""In the record of an agent: the state of its conversation manager; and in that, how many messages it has removed."""


class Answering(NamedTuple):
    """What a call goes on from that was given a person's answers.

    Attributes:
        interrupts: The ids of the interrupts that were answered.
        waiting: The event at which the agent, graph or swarm waited for them.
    """

    interrupts: tuple[str, ...]
    waiting: str

    @classmethod
    def found_in(cls, record: Any) -> Answering | None:
        """What the record of an agent, or the state of a graph or swarm, says of it."""
        told = _mapping(record).get(ANSWERING)
        if not isinstance(told, Mapping):
            return None
        ids = told.get("interrupts")
        return cls(tuple(map(str, ids)) if isinstance(ids, list) else (), str(told.get("waiting", "")))

    def told(self) -> dict[str, Any]:
        """As it stands in a record."""
        return {"interrupts": list(self.interrupts), "waiting": self.waiting}


class MessageRecord(NamedTuple):
    """One message of a transcript, with the attribute names of Strands' `SessionMessage`.

    Attributes:
        message: The message as plain JSON values; empty once redacted.
        message_id: Its index in the agent's transcript.
        redact_message: What stands in its place after redaction, or None.
        created_at: When the writer created it, ISO text.
        updated_at: When the writer last changed it, ISO text.
        id: The event that wrote it as it is now.
        erased: Whether its content was erased; the message then only says so.
    """

    message: Mapping[str, Any]
    message_id: int
    redact_message: Mapping[str, Any] | None
    created_at: str
    updated_at: str
    id: EventId
    erased: bool = False

    @property
    def shown(self) -> Mapping[str, Any]:
        """The message as it may be shown: the redaction where there is one."""
        return self.message if self.redact_message is None else self.redact_message

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values, as `session-log show --json` has it."""
        return {**self._asdict(), "id": str(self.id)}


class Held(NamedTuple):
    """What an agent held at one point.

    Attributes:
        items: Ranges of message indices `(first, last)`, and messages that stand nowhere in the transcript.
        removed: Its conversation manager's removed count then.
        next: The index of its next message then; those from there on follow.
    """

    items: tuple[tuple[int, int] | Mapping[str, Any], ...]
    removed: int
    next: int

    @classmethod
    def of(cls, items: Iterable[tuple[int, int] | Mapping[str, Any]], removed: int, next_: int) -> Held:
        """The same without what ranges name again, or do not name at all: see `GrowingRanges`."""
        ranges = GrowingRanges(next_)
        kept = (one for item in items for one in ([item] if isinstance(item, Mapping) else ranges.add(*item)))
        return cls(tuple(kept), removed, next_)


@dataclass(frozen=True, slots=True)
class OpenInterrupt:
    """A person is waited for.

    Attributes:
        agent: The agent, graph or swarm that waits.
        interrupt_id: By which it is answered.
        name: What it is called.
        reason: What the person is told, as plain JSON values; None if nothing is.
    """

    agent: str
    interrupt_id: str
    name: str
    reason: Any = None

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return {name: getattr(self, name) for name in ("agent", "interrupt_id", "name", "reason")}


@dataclass(frozen=True, slots=True)
class AgentState:
    """What is known of one agent.

    Attributes:
        agent_id: The agent.
        record: Strands' `SessionAgent` dict as last written; None when only messages were written.
        messages: The transcript: everything that was said.
        held: What the agent held when its window was last recorded, see `WindowChanged`; None when it never was.
        unerased: Redacted messages whose original may still stand in the log: index, and the event that wrote it last.
        moved: The event with which this agent last moved, see `AgentAt`; what a fenced writer expects.
    """

    agent_id: str
    record: Mapping[str, Any] | None = None
    messages: Messages = field(default_factory=Messages)
    held: Held | None = None
    unerased: Mapping[int, EventId] = field(default_factory=dict)
    moved: EventId = START

    @property
    def revision(self) -> int:
        """The session's revision at which this agent last moved; 0 when it never did."""
        return self.moved.revision

    @property
    def state(self) -> Mapping[str, Any]:
        """The user's agent state."""
        return _mapping((self.record or {}).get("state"))

    @property
    def removed(self) -> int:
        """How many messages its conversation manager removed so far."""
        return removed_count((self.record or {}).get(MANAGER))

    @property
    def answering(self) -> Answering | None:
        """What a call goes on from, if the log does not tell of its end."""
        return Answering.found_in(self.record)

    @property
    def in_force(self) -> Mapping[str, Any]:
        """Which system prompt and tools it had, see docs/format.md; empty where its record does not tell."""
        return _mapping((self.record or {}).get(IN_FORCE))

    @property
    def is_interrupted(self) -> bool:
        """Whether it waits for a person, and no call goes on from there."""
        return is_interrupted(self.record) and not self.answering

    @property
    def window(self) -> list[Mapping[str, Any]]:
        """The messages the agent holds, redactions applied: what it resumes with."""
        return [message for _, message in self.window_with_indices()]

    def window_with_indices(self) -> list[tuple[int | None, Mapping[str, Any]]]:
        """The window, each message with its index in the transcript; None where it stands nowhere in it."""
        shown: list[tuple[int | None, Mapping[str, Any]]] = []
        for item in self.window_spans():
            if isinstance(item, Mapping):
                shown.append((None, item))
            else:
                shown += [(record.message_id, record.shown) for record in self.messages[item[0] : item[1]]]
        return shown

    def window_spans(self) -> list[tuple[int, int] | Mapping[str, Any]]:
        """The window as stretches `[start, end)` of positions in `messages`, and messages that stand nowhere in it."""
        if self.held is None:
            return list(_without_first([(0, len(self.messages))], self.removed))
        items = (*self.held.items, (self.held.next, sys.maxsize))
        spans = [item if isinstance(item, Mapping) else self._span(*item) for item in items]
        return list(_without_first(spans, self.removed - self.held.removed))

    def to_json(self, last: int | None = None) -> dict[str, Any]:
        """What it has said and holds as plain JSON values, as `session-log show --json` has it.

        Args:
            last: How many of its messages, the newest: only these are fetched. All for None.
        """
        count = len(self.messages)
        shown = self.messages if last is None else self.messages[max(0, count - last) :]
        spans = self.window_spans()
        return {
            "messages": [record.to_json() for record in shown],
            "message_count": count,
            "window": [dict(span) if isinstance(span, Mapping) else list(span) for span in spans],
            "state": self.state,
            "in_force": self.in_force or None,
        }

    def _span(self, first: int, last: int) -> tuple[int, int]:
        end = len(self.messages) if last == sys.maxsize else self.messages.position(last + 1)
        return self.messages.position(first), end


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session at one position.

    Attributes:
        session: Strands' `Session` dict; None when the session was never created explicitly.
        agents: Agents by id.
        multi_agents: Serialized graphs and swarms by id.
        position: The last event folded.
        link: The hash chain at that event, base64url; empty before the first.
        integrity: Whether the events it was made of are what was written; states are equal whatever it is.
        labels: What people have attached to the session, see `SessionAnnotated`.
    """

    session: Mapping[str, Any] | None = None
    agents: Mapping[str, AgentState] = field(default_factory=dict)
    multi_agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    position: EventId = START
    link: str = ""
    integrity: Integrity = field(default=NOT_CHECKED, compare=False)
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """How many events were folded."""
        return self.position.revision

    @property
    def exists(self) -> bool:
        """Whether there is any event at all."""
        return self.position.revision > 0

    @property
    def interrupts(self) -> tuple[OpenInterrupt, ...]:
        """What persons are asked and have not answered; not of agents whose call goes on from answers."""
        waiting = {name: agent.record for name, agent in self.agents.items() if agent.is_interrupted}
        above = {name: one for name, one in self.multi_agents.items() if is_interrupted(one) and ANSWERING not in one}
        return tuple(one for name, record in (waiting | above).items() for one in _open(name, record))

    def to_json(self, last: int | None = None) -> dict[str, Any]:
        """What the session amounts to as plain JSON values, as `session-log show --json` has it.

        Args:
            last: How many messages of each agent, the newest: only these are fetched. All for None.
        """
        return {
            "session": self.session,
            "labels": dict(self.labels),
            "agents": {name: agent.to_json(last) for name, agent in self.agents.items()},
            "interrupts": [one.to_json() for one in self.interrupts],
            "multi_agents": dict(self.multi_agents),
            "revision": self.revision,
            "position": str(self.position),
            "link": self.link,
            "integrity": str(self.integrity),
        }


def _without_first(
    spans: Iterable[tuple[int, int] | Mapping[str, Any]], count: int
) -> Iterator[tuple[int, int] | Mapping[str, Any]]:
    """What is left when so many messages are taken from the front."""
    for span in spans:
        start, end = (0, 1) if isinstance(span, Mapping) else span
        taken = min(max(0, count), max(0, end - start))
        count -= taken
        if start + taken < end:
            yield span if isinstance(span, Mapping) else (start + taken, end)


def removed_count(conversation_manager_state: Any) -> int:
    """How many messages a conversation manager has removed, from its state."""
    removed = _mapping(conversation_manager_state).get(REMOVED_COUNT)
    return removed if type(removed) is int and removed > 0 else 0


def is_interrupted(record: Any) -> bool:
    """Whether an agent has interrupts that it goes on from, from its record, or an orchestrator, from its state."""
    return _interrupt_state(record).get("activated") is True


def _open(name: str, record: Any) -> Iterator[OpenInterrupt]:
    """The interrupts that have no response."""
    for id_, one in _mapping(_interrupt_state(record).get("interrupts")).items():
        told = _mapping(one)
        if told.get("response") is None:
            yield OpenInterrupt(name, str(id_), str(told.get("name") or ""), told.get("reason"))


def _interrupt_state(record: Any) -> Mapping[str, Any]:
    return _mapping(_mapping(_mapping(record).get("_internal_state")).get("interrupt_state"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
