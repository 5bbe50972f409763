"""What one live agent did that the log must hear of, in order, exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from strands.types.session import SessionAgent, SessionMessage

from .. import codec, events
from ..codec import Encoded
from ..event_log import ANY, FEW_EVENTS, AgentAt, EventLog, Expected, InLife, MultiAgentAt, first_batch
from ..event_log.expected import begun
from ..events import Event
from ..ids import START, EventId
from ..instrumentation import Repaired
from ..instrumentation.hooks import hooks
from ..state import AgentState, Messages, removed_count
from .records import agent_content, answers_tools, data_of
from .trace import current_traceparent
from .window import Window
from .withheld import Withheld


class Journal:
    """Collects the events of one agent and writes them.

    Events are made and encoded where they happen, and written by `flush`, which may run in another thread. Facts wait
    for the next message, so that what happens together travels together. A batch whose outcome is unknown is repeated
    as it was: the log recognises a batch that has landed by its events. Methods that put something in line take the
    span it happened in; the active one if none is given.

    Args:
        log: Where to.
        session_id: The session.
        agent: What the log holds of the agent.
        fenced: Refuse to write when someone else has moved the agent, or the graph or swarm, of this id.
        remembers: Know messages of before by their tracking id, which costs holding them.
        life: Refuse to write to another session than this one, see `EventLog.life`; None to leave that open.
        withheld: What the agent held of a session that was deleted.

    Attributes:
        life: The session this one writes to.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        agent: AgentState,
        fenced: Literal["agent", "multi_agent", ""] = "agent",
        remembers: bool = False,
        life: str | None = None,
        withheld: Withheld | None = None,
    ) -> None:
        record = agent.record or {}
        self.life, self.withheld = life, withheld
        self.agent_id = agent.agent_id
        last = agent.messages.last_index
        self.next_index = 0 if last is None else last + 1
        self._log, self._session_id, self._fenced = log, session_id, fenced
        self._moved = agent.moved
        self._content: Any = agent_content(record)
        self._created_at = str(record.get("created_at", ""))
        self._window = Window(agent, withheld)
        self.has_window = agent.held is not None
        self._seen: list[Any] = []
        self._notes: list[Encoded] = []
        self._held: list[Encoded] = []
        self._waiting: list[Encoded] = []
        self._sent: list[Encoded] = []
        self._tracked: dict[str, tuple[int, str]] = {}
        self._earlier: Messages | None = agent.messages if remembers else None
        self._queue_lock, self._flush_lock = threading.Lock(), threading.Lock()

    @property
    def has_waiting(self) -> bool:
        """Whether a flush would have anything to write."""
        return bool(self._waiting or self._sent)

    @property
    def moved(self) -> EventId:
        """The event with which the agent, graph or swarm moved last, as far as this knows."""
        return self._moved

    @property
    def is_unsettled(self) -> bool:
        """Whether a batch was tried, and may have landed or not."""
        return bool(self._sent)

    @property
    def content(self) -> Mapping[str, Any]:
        """The agent's record as it was handed over last, as JSON values; empty when none was."""
        content: Mapping[str, Any] = self._content
        return content

    def note(self, happened: Iterable[Event]) -> None:
        """Keep facts until something is written that must not wait."""
        with self._queue_lock:
            self._notes += [codec.encode(event) for event in happened]

    def queue(self, happened: Sequence[Event] = ()) -> None:
        """Put events, and the facts before them, in line to be written.

        Raises:
            EncodingError: When a value cannot be stored; then none of these events is in line.
        """
        self._line_up(happened)

    def _line_up(self, happened: Sequence[Event]) -> list[Encoded]:
        encoded = [codec.encode(event) for event in happened]
        with self._queue_lock:
            self._waiting += self._notes + encoded
            self._notes = []
        return encoded

    def message(self, message: SessionMessage, trace: str | None = None, hold: bool = False) -> None:
        """Put a message in line, or hold it back until `release`.

        Raises:
            EncodingError: When a value in it cannot be stored; its index stays free.
        """
        event = events.MessageAdded(data_of(message), self.agent_id, time=message.updated_at, trace=_or_current(trace))
        encoded = self._hold(event) if hold else self._line_up([event])[0]
        self._window.added(message.message_id, encoded.body)
        self._seen.append(message.message)
        self.next_index = max(self.next_index, message.message_id + 1)
        self.track(message)

    def is_of_before(self, message: Any) -> bool:
        """Whether a message belongs to a session that was deleted: it answers tools that were called there."""
        return self.withheld is not None and not self.next_index and answers_tools(message)

    def _hold(self, event: Event) -> Encoded:
        encoded = codec.encode(event)
        with self._queue_lock:
            self._held += [*self._notes, encoded]
            self._notes = []
        return encoded

    def release(self) -> None:
        """Put what was held back in line, before the facts that were noted since."""
        with self._queue_lock:
            self._waiting, self._held = self._waiting + self._held, []

    def rewrite_held(self, message: SessionMessage) -> bool:
        """Give a message that is held back another content.

        Returns:
            Whether it was held back.
        """
        with self._queue_lock:
            for position, encoded in enumerate(self._held):
                if encoded.message_index == message.message_id:
                    event = events.MessageAdded(data_of(message), self.agent_id, trace=encoded.event.trace)
                    self._held[position] = codec.encode(event)
                    self._window.replaced(message.message_id, message.message)
                    return True
        return False

    def update(self, message: SessionMessage, trace: str | None = None) -> None:
        """Put a message's new content in line.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        self.queue([events.MessageUpdated(data_of(message), self.agent_id, trace=_or_current(trace))])
        self._window.replaced(message.message_id, message.message)
        self.track(message)

    def track(self, message: SessionMessage) -> None:
        """Remember which index a message of this tracking id has."""
        tracking_id = (message.message or {}).get("tracking_id")
        if isinstance(tracking_id, str):
            self._tracked[tracking_id] = (message.message_id, message.created_at)

    def tracked(self, tracking_id: object) -> tuple[int, str] | None:
        """The index of the message last written with this tracking id, and when it was created."""
        if not isinstance(tracking_id, str):
            return None
        if tracking_id not in self._tracked and self._earlier is not None:
            earlier = {record.message.get("tracking_id"): record for record in self._earlier}
            self._tracked = {
                **{key: (found.message_id, found.created_at) for key, found in earlier.items() if key},
                **self._tracked,
            }
            self._earlier = None
        return self._tracked.get(tracking_id)

    def state(self, agent: SessionAgent, trace: str | None = None) -> None:
        """Put the agent's record in line for the first time, or if its content is not what was handed over last.

        Content is compared, not Strands' version counters: those start anew when `agent.state` is replaced.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        agent.created_at = self._created_at or agent.created_at
        data = data_of(agent) if self.withheld is None else self.withheld.left_of(data_of(agent))
        content = codec.to_json(agent_content(data), "agent")
        if content != self._content:
            # At the very time the record names, which then need not be written twice.
            kind = events.AgentUpdated if self._content else events.AgentCreated
            self.queue([kind(data, self.agent_id, time=agent.updated_at, trace=_or_current(trace))])
            self._content, self._created_at = content, agent.created_at

    def glance(self, messages: Sequence[Any], conversation_manager_state: Any, trace: str | None = None) -> None:
        """As `window`, but only if other messages are held than last time: cheap enough for every message.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        same = len(messages) == len(self._seen) and all(map(_is, messages, self._seen))
        if not same:
            self.window(messages, conversation_manager_state, trace)

    def window(
        self, messages: Sequence[Any], conversation_manager_state: Any, trace: str | None = None, forced: bool = False
    ) -> None:
        """Put what the agent holds in line, if messages and state do not tell it.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        removed = removed_count(conversation_manager_state) if self.withheld is None else 0
        changed = self._window.changed(messages, removed, self.next_index, forced)
        self._seen = list(messages)
        if changed is not None:
            self.has_window = True
            self.queue([events.WindowChanged(changed, self.agent_id, trace=_or_current(trace))])

    def adopt(self, happened: Sequence[Event]) -> None:
        """Put events made elsewhere in line, and take note of what they mean for the agent.

        Raises:
            EncodingError: When a value in them cannot be stored.
        """
        self._take_note(self._line_up(happened))

    def write(self, happened: Sequence[Event]) -> None:
        """Write events made elsewhere at once, after what is in line; nothing of them is kept when that fails.

        Raises:
            SessionLogError: When they cannot be written, or someone else has moved the agent.
        """
        self.flush()
        with self._flush_lock:
            encoded = [codec.encode(event) for event in happened]
            self._landed(encoded, self._log.append(self._session_id, encoded, self._expected()))
        self._take_note(encoded)

    def renumber(self, next_index: int) -> Callable[[int], int]:
        """Go on at an index; messages that wait, and have not landed, move with what refers to them.

        Returns:
            The new index of a message, by the one it had.
        """
        with self._queue_lock:
            waiting = [one.message_index for one in (*self._sent, *self._waiting, *self._held)]
            first = min((index for index in waiting if index is not None), default=self.next_index)
            shift = next_index - first

            def moved(index: int) -> int:
                return index + shift if index >= first else index

            if shift:
                for line in (self._sent, self._waiting, self._held):
                    line[:] = [_renumbered(encoded, moved) for encoded in line]
                self._tracked = {key: (moved(index), at) for key, (index, at) in self._tracked.items()}
            self.next_index += shift
        return moved

    def reset(self) -> None:
        """The session was deleted: nothing is in line, and a new one gets nothing the agent still holds of it."""
        with self._flush_lock, self._queue_lock:
            self._moved, self.life, self.withheld = START, None, Withheld(self._content, self.withheld)
            self._notes, self._held, self._waiting, self._sent = [], [], [], []
            self._seen, self._content, self._created_at = [], {}, ""
            self._tracked, self._earlier, self.next_index = {}, None, 0
            self._window, self.has_window = Window(AgentState(self.agent_id), self.withheld), False

    def _take_note(self, written: Sequence[Encoded]) -> None:
        for encoded in written:
            event = encoded.event
            if isinstance(event, (events.AgentCreated, events.AgentUpdated)):
                self._content = codec.to_json(agent_content(event.data))
                self._created_at = str(event.data["created_at"])
            elif event.message_index is not None:
                self._window.added(event.message_index, encoded.body)
                self._seen.append(event.data["message"])
                self.next_index = max(self.next_index, event.message_index + 1)
            elif isinstance(event, events.MessageUpdated):
                self._window.replaced(event.data["message_id"], event.data["message"])

    def flush(self) -> None:
        """Write what is in line, oldest first.

        Raises:
            SessionLogError: What could not be written stays in line, for the next time.
        """
        with self._flush_lock:
            failed_before = self._sent
            while self.has_waiting:
                batch = self._next_batch()
                self._landed(batch, self._log.append(self._session_id, batch, self._expected()))
                self._sent = []
                if batch is failed_before:
                    hooks.tell(Repaired(len(batch)))

    def _expected(self) -> Expected:
        if self.life is not None and not (self._fenced and self._moved.revision):
            return InLife(self.life)
        if not self._fenced:
            return ANY
        return (AgentAt if self._fenced == "agent" else MultiAgentAt)(self.agent_id, self._moved)

    def _next_batch(self) -> list[Encoded]:
        """What was tried before, alone; else what is in line, or as much of it as may land at once."""
        with self._queue_lock:
            if not self._sent:
                count = first_batch(self._waiting, FEW_EVENTS)
                self._sent, self._waiting = self._waiting[:count], self._waiting[count:]
            return self._sent

    def _landed(self, batch: Sequence[Encoded], ids: Sequence[EventId]) -> None:
        self.life = self.life and begun(self.life, ids[0])
        for id_, encoded in zip(ids, batch, strict=True):
            if encoded.event.moves == self._fenced:
                self._moved = id_


def _renumbered(encoded: Encoded, moved: Callable[[int], int]) -> Encoded:
    index = encoded.event.data.get("message_id")
    if not isinstance(index, int) or moved(index) == index:
        return encoded
    return codec.renumbered(encoded, moved(index))


def _or_current(trace: str | None) -> str:
    return current_traceparent() if trace is None else trace


def _is(one: Any, other: Any) -> bool:
    return one is other
