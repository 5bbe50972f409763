"""What it costs to resume from a snapshot, counted in messages: whether another one is worth saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..codec import Encoded
from ..events import (
    AgentCreated,
    AgentUpdated,
    Event,
    InvocationCompleted,
    InvocationFailed,
    MessageAdded,
    SessionRewound,
    WindowChanged,
)
from ..events.facts import REMOVED, is_index
from ..state import MANAGER, AgentState, SessionState, removed_count
from .parts import FACTOR, held_spans, stored_of
from .settings import SnapshotSettings


class Cost(NamedTuple):
    """Of the next resume, as the snapshot stands.

    Attributes:
        stored: How many messages come along in segments.
        following: How many events follow.
        held: How many messages the agents hold.
        has_absent: Whether they hold some that are neither stored nor follow, so that the whole log is read for them.
        least: How many would come along if another point were saved now. Where what is held lies scattered, they have
            some of what lies between. 0 where that cannot matter.
    """

    stored: int
    following: int
    held: int
    has_absent: bool = False
    least: int = 0

    def is_too_much(self, settings: SnapshotSettings) -> bool:
        """Whether the next resume would load less than half if another point were saved now.

        What every resume costs, however little it loads, counts as much as the events after which one is saved anyway.
        """
        if self.following >= settings.threshold:
            return True
        return self.following > 0 and (self.has_absent or self._beyond > settings.threshold)

    @property
    def _beyond(self) -> int:
        return self.stored + self.following - max(FACTOR * self.held, self.least)


def cost(stored: int, following: int, state: SessionState, settings: SnapshotSettings) -> Cost:
    """What the next resume costs.

    Args:
        stored: How many messages come along with the snapshot.
        following: How many events follow it.
        state: The state after these.
        settings: How snapshots are kept: what cannot matter is not looked at.
    """
    absent = any(not segment.is_at_hand for agent in state.agents.values() for segment in agent.messages.segments)
    if not absent and stored + following <= settings.threshold:
        return Cost(stored, following, 0)
    spans = [(agent, held_spans(agent)) for agent in state.agents.values()]
    held = sum([last - first for _, found in spans for first, last in found])
    if not absent and stored + following <= FACTOR * held + settings.threshold:
        return Cost(stored, following, held)
    least = sum(stored_of(agent, settings.segment) for agent, _ in spans)
    return Cost(stored, following, held, absent and any(_holds_absent(*one) for one in spans), least)


def _holds_absent(agent: AgentState, spans: Sequence[tuple[int, int]]) -> bool:
    at, left = 0, iter(spans)
    span = next(left, None)
    for segment in agent.messages.segments:
        end = at + segment.count
        while span is not None and span[1] <= at:
            span = next(left, None)
        if span is not None and span[0] < end and not segment.is_at_hand:
            return True
        at = end
    return False


class Estimate:
    """What a writer knows of that cost without asking the server: as of when it looked, and what it wrote since.

    Args:
        revision: Where the newest point stands that is known.
        stored: How many messages come along with it, at most.
        state: What the session was at the last look.
        least: How many messages would come along with a point that was saved then.
    """

    __slots__ = ("_agents", "_heard", "_held", "_scattered", "_stored", "revision")

    def __init__(self, revision: int, stored: int, state: SessionState | None = None, least: int = 0) -> None:
        self.revision, self._stored = revision, stored
        self._agents = {name: _Window.of(agent) for name, agent in (state.agents if state else {}).items()}
        self._held = sum(window.held for window in self._agents.values())
        self._scattered = max(0, least - FACTOR * self._held)
        self._heard: list[Event] = []

    def is_outdated_by(self, happened: Iterable[Event | Encoded], revision: int, settings: SnapshotSettings) -> bool:
        """Whether it is worth to look, now that the session has grown: agents hold less, or what they had dropped."""
        tells_of_absent = False
        for one in happened:
            event = one.event if isinstance(one, Encoded) else one
            if event.type == MessageAdded.TYPE:
                (self._agents.get(event.agent) or self._window(event.agent)).total += 1
                self._held += 1
            elif event.type in _TELLING:
                tells_of_absent |= self._hear(event)
        beyond = self._stored + revision - self.revision - FACTOR * self._held - self._scattered
        return tells_of_absent or beyond > settings.threshold

    def is_outdated_after(self, other: Estimate, settings: SnapshotSettings) -> bool:
        """The same after what another has heard meanwhile, in whose place this one comes; not if that is nothing.

        It is heard once: whoever looks again finds it in the session.
        """
        is_outdated = bool(other._heard) and self.is_outdated_by(other._heard, self.revision, settings)
        self._heard = []
        return is_outdated

    def _window(self, agent: str) -> _Window:
        found = self._agents.get(agent)
        if found is None:
            found = self._agents[agent] = _Window()
        return found

    def _hear(self, event: Event) -> bool:
        """Whether it tells of what may not be stored."""
        if not self._stored:
            self._heard.append(event)
        window, tells_of_absent = self._window(event.agent), event.type == SessionRewound.TYPE
        if event.type == WindowChanged.TYPE:
            tells_of_absent = window.changed(event.data)
        elif not tells_of_absent and isinstance(event.data, Mapping):
            window.shrunk(event.data)
        self._held = sum(window.held for window in self._agents.values())
        return tells_of_absent


class _Window:
    """What one agent holds, as far as it is stored.

    Attributes:
        total: How many messages it held and its conversation manager had removed by then.
        removed: How many that has removed by now.
        first: The index of the first that is stored, or follows.
    """

    __slots__ = ("first", "removed", "total")

    def __init__(self, total: int = 0, removed: int = 0, first: int = 0) -> None:
        self.total, self.removed, self.first = total, removed, first

    @classmethod
    def of(cls, agent: AgentState) -> _Window:
        here = (segment.first for segment in agent.messages.segments if segment.is_at_hand)
        tail = (record.message_id for record in agent.messages.tail)
        held = sum(last - first for first, last in held_spans(agent))
        return cls(held + agent.removed, agent.removed, next(here, next(tail, 0)))

    @property
    def held(self) -> int:
        return max(0, self.total - self.removed)

    def shrunk(self, data: Mapping[str, Any]) -> None:
        """By the record of the agent, or by what the end of a call says of it."""
        told = data.get(REMOVED)
        self.removed = (told if is_index(told) else removed_count(data.get(MANAGER))) or self.removed

    def changed(self, data: Any) -> bool:
        items, removed = (data.get("items"), data.get("removed")) if isinstance(data, Mapping) else (None, None)
        ranges = [item for item in items if _is_range(item)] if isinstance(items, Sequence) else []
        self.total = sum(last - first + 1 for first, last in ranges) + (removed if type(removed) is int else 0)
        return any(first < self.first for first, _ in ranges)


def _is_range(item: Any) -> bool:
    return isinstance(item, Sequence) and [*map(type, item)] == [int, int]


_TELLING = frozenset(
    kind.TYPE
    for kind in (AgentCreated, AgentUpdated, InvocationCompleted, InvocationFailed, WindowChanged, SessionRewound)
)
