"""What changed between two states of a session. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from ..ids import EventId
from .integrity import NOT_CHECKED, Integrity
from .messages import Messages
from .session import AgentState, MessageRecord, SessionState

_TIMES = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes:
        path: Keys and positions that lead to it.
        kind: What became of it.
        before: What it was; None when it was added.
        after: What it is; None when it was removed.
    """

    path: tuple[str | int, ...]
    kind: Literal["added", "changed", "removed"]
    before: Any
    after: Any

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return {"path": list(self.path), "kind": self.kind, "before": self.before, "after": self.after}

    @classmethod
    def between(cls, before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
        """What differs between two JSON values: dicts by key, lists by position, anything else as a whole."""
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for key in dict.fromkeys([*before, *after]):
                yield from cls._at((*path, key), key in before, key in after, before.get(key), after.get(key))
        elif isinstance(before, list) and isinstance(after, list):
            for at in range(max(len(before), len(after))):
                one, other = (values[at] if at < len(values) else None for values in (before, after))
                yield from cls._at((*path, at), at < len(before), at < len(after), one, other)
        elif before != after or type(before) is not type(after):
            yield cls(path, "changed", before, after)

    @classmethod
    def _at(cls, path: tuple[str | int, ...], was: bool, is_: bool, before: Any, after: Any) -> Iterator[Change]:
        if was and is_:
            yield from cls.between(before, after, path)
        else:
            yield cls(path, "removed" if was else "added", before, after)


@dataclass(frozen=True, slots=True)
class MessageChange:
    """One message that differs.

    Attributes:
        index: Its index in the transcript.
        before: What it was; None when there was none.
        after: What it is; None when there is none.
    """

    index: int
    before: MessageRecord | None
    after: MessageRecord | None

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        before, after = (record and record.to_json() for record in (self.before, self.after))
        return {"index": self.index, "before": before, "after": after}


@dataclass(frozen=True, slots=True)
class AgentDiff:
    """What differs of one agent.

    Attributes:
        presence: Whether the agent was there before and is after.
        added: Messages that were not there.
        changed: Messages with another content.
        redacted: Messages that were redacted, or whose content was erased.
        removed: Messages that are not there any more; only when going back in time.
        state: What differs in the user's agent state.
        record: What differs in the rest of its record; when it was written does not count.
        window_left: Indices of messages it held and does not any more.
        window_joined: Indices of messages it did not hold and does now.
        window_rearranged: Whether it holds what it held in another order or number, or other messages that stand
            nowhere in the transcript, such as summaries.
    """

    presence: Literal["kept", "added", "removed"]
    added: tuple[MessageChange, ...]
    changed: tuple[MessageChange, ...]
    redacted: tuple[MessageChange, ...]
    removed: tuple[MessageChange, ...]
    state: tuple[Change, ...]
    record: tuple[Change, ...]
    window_left: tuple[int, ...]
    window_joined: tuple[int, ...]
    window_rearranged: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return self == _UNCHANGED

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values."""
        return {
            "presence": self.presence,
            "added": _listed(self.added),
            "changed": _listed(self.changed),
            "redacted": _listed(self.redacted),
            "removed": _listed(self.removed),
            "state": _listed(self.state),
            "record": _listed(self.record),
            "window_left": list(self.window_left),
            "window_joined": list(self.window_joined),
            "window_rearranged": self.window_rearranged,
        }


@dataclass(frozen=True, slots=True)
class SessionDiff:
    """What differs between two points of a session.

    Attributes:
        before: The last event before the one point.
        after: The last event before the other.
        agents: What differs, by agent; those that are the same are left out.
        multi_agents: What differs in the state of graphs and swarms; the path begins with their id.
        session: What differs in the session's own record.
        integrity: Whether the events that both points were made of are what was written.
        labels: What differs in the labels of the session.
    """

    before: EventId
    after: EventId
    agents: Mapping[str, AgentDiff]
    multi_agents: tuple[Change, ...]
    session: tuple[Change, ...]
    integrity: Integrity = NOT_CHECKED
    labels: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.agents or self.multi_agents or self.session or self.labels)

    def to_json(self) -> dict[str, Any]:
        """Everything that differs as plain JSON values, as `session-log diff --json` has it."""
        return {
            "before": str(self.before),
            "after": str(self.after),
            "agents": {name: agent.to_json() for name, agent in self.agents.items()},
            "multi_agents": _listed(self.multi_agents),
            "session": _listed(self.session),
            "labels": _listed(self.labels),
            "integrity": str(self.integrity),
        }


def _listed(changes: Iterable[Change | MessageChange]) -> list[dict[str, Any]]:
    return [one.to_json() for one in changes]


_UNCHANGED = AgentDiff("kept", (), (), (), (), (), (), (), ())


def diff(before: SessionState, after: SessionState) -> SessionDiff:
    """What differs between two states of one session; either may be the earlier."""
    names = list(dict.fromkeys([*before.agents, *after.agents]))
    agents = {name: _agent(before.agents.get(name), after.agents.get(name)) for name in names}
    return SessionDiff(
        before.position,
        after.position,
        {name: found for name, found in agents.items() if not found.is_empty},
        tuple(Change.between(before.multi_agents, after.multi_agents)),
        tuple(Change.between(before.session or {}, after.session or {})),
        before.integrity.and_(after.integrity),
        tuple(Change.between(before.labels, after.labels)),
    )


def _agent(before: AgentState | None, after: AgentState | None) -> AgentDiff:
    presence: Literal["kept", "added", "removed"] = "kept"
    if before is None or after is None:
        presence = "added" if before is None else "removed"
    one, other = before or AgentState(""), after or AgentState("")
    pairs = list(_pairs(one.messages, other.messages))
    both = [pair for pair in pairs if pair.before and pair.after]
    held, holds = _held(one), _held(other)
    return AgentDiff(
        presence,
        tuple(pair for pair in pairs if pair.before is None),
        tuple(pair for pair in both if not _is_redaction(pair)),
        tuple(pair for pair in both if _is_redaction(pair)),
        tuple(pair for pair in pairs if pair.after is None),
        tuple(Change.between(one.state, other.state)),
        tuple(Change.between(_record(one), _record(other))),
        tuple(index for index in held if index not in holds),
        tuple(index for index in holds if index not in held),
        _arrangement(one, held.keys() & holds.keys()) != _arrangement(other, held.keys() & holds.keys()),
    )


def _pairs(before: Messages, after: Messages) -> Iterator[MessageChange]:
    """Messages that differ, in order of their index: what another event wrote, or what was erased since."""
    start = _shared(before, after)
    one = {record.message_id: record for record in before[start:]}
    other = {record.message_id: record for record in after[start:]}
    for index in sorted(one.keys() | other.keys()):
        pair = MessageChange(index, one.get(index), other.get(index))
        if pair.before is None or pair.after is None or _mark(pair.before) != _mark(pair.after):
            yield pair


def _shared(before: Messages, after: Messages) -> int:
    """How many messages at the beginning stand in the very same segments: states that follow each other share them."""
    shared = 0
    for one, other in zip(before.segments, after.segments, strict=False):
        if one is not other:
            break
        shared += one.count
    return shared


def _mark(record: MessageRecord) -> tuple[EventId, bool]:
    return record.id, record.erased


def _is_redaction(pair: MessageChange) -> bool:
    one, other = pair.before, pair.after
    if one is None or other is None:
        return False
    return (one.redact_message is None and other.redact_message is not None) or other.erased > one.erased


def _held(agent: AgentState) -> dict[int, None]:
    spans = (span for span in agent.window_spans() if not isinstance(span, Mapping))
    ranges = (range(first, last + 1) for span in spans for first, last in agent.messages.indices(*span))
    return dict.fromkeys(chain.from_iterable(ranges))


def _arrangement(agent: AgentState, common: Set[int]) -> list[Any]:
    """What an agent holds, in order, of what it also holds at the other point; and what stands nowhere else in full."""
    found: list[Any] = []
    for span in agent.window_spans():
        if isinstance(span, Mapping):
            found.append(span)
        else:
            ranges = (range(first, last + 1) for first, last in agent.messages.indices(*span))
            found += [index for index in chain.from_iterable(ranges) if index in common]
    return found


def _record(agent: AgentState) -> Mapping[str, Any]:
    return {name: value for name, value in (agent.record or {}).items() if name not in ("state", *_TIMES)}
