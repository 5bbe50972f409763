"""What one live agent did that the log must hear of, in order, exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson
from strands.types.content import Message
from strands.types.session import SessionAgent, SessionMessage

from .. import codec, events
from ..codec import Encoded
from ..errors import AlreadyAnsweredError, ConcurrentWriteError, ServerRefusedError, SessionLogError
from ..event_log import ANY, AgentAt, EventLog, Expected, InLife, MultiAgentAt
from ..event_log.expected import begun, conflict
from ..event_log.whereabouts import Sought
from ..events import Event
from ..ids import START, EventId
from ..instrumentation import Repaired
from ..instrumentation.hooks import hooks
from ..state import ANSWERING, AgentState, Answering, Messages, is_interrupted, removed_count
from .backlog import Backlog, is_about
from .erasing import without
from .records import agent_content, answers_tools, data_of
from .spoken import Spoken
from .trace import current_traceparent
from .window import Window
from .withheld import Withheld


class Outbox:
    """Collects the events of one agent and writes them.

    Events are made and encoded where they happen, and written by `flush`, which may run in another thread. Facts wait
    for the next message, so that what happens together travels together. A batch whose outcome is unknown is repeated
    as it was: the log recognises a batch that has landed by its events. Methods that put something in line take the
    span it happened in; the active one if none is given. Any number of threads may use it.

    Args:
        log: Where to.
        session_id: The session.
        agent: What the log holds of the agent.
        fenced: Refuse to write when someone else has moved the agent, or the graph or swarm, of this id.
        remembers: Know messages of before by their tracking id, which costs holding them.
        life: Refuse to write to another session than this one, see `EventLog.life`; None to leave that open.
        withheld: What the agent held of a session that was deleted.
        keeps_all: Give up nothing of a batch that can never be written: its owner has other means.

    Attributes:
        life: The session this one writes to.
        lock: Held by whoever needs several things of it to belong together; never while the network is waited for.
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
        keeps_all: bool = False,
    ) -> None:
        record = agent.record or {}
        self.life, self.withheld = life, withheld
        self.agent_id = agent.agent_id
        last = agent.messages.last_index
        self.next_index = 0 if last is None else last + 1
        self._log, self._session_id, self._fenced = log, session_id, fenced
        self._moved = agent.moved
        self._answering = agent.answering
        self._answered_elsewhere = agent.moved if agent.answering else None
        self._withdrawn: list[Sought] = []
        self._content: Any = agent_content(record)
        self._created_at = str(record.get("created_at", ""))
        self._window = Window(agent, withheld)
        self.has_window = agent.held is not None
        self._seen: list[Any] = []
        self._backlog = Backlog()
        self._given_up: set[int] = set()
        self._tracked: dict[str, tuple[int, str]] = {}
        self._keeps_all = keeps_all
        self._earlier: Messages | None = agent.messages if remembers else None
        self._last = Spoken.last_of(agent.messages)
        self.lock, self._flush_lock = threading.RLock(), threading.Lock()

    @property
    def has_waiting(self) -> bool:
        """Whether a flush would have anything to write."""
        return bool(self._backlog)

    @property
    def moved(self) -> EventId:
        """The event with which the agent, graph or swarm moved last, as far as this knows."""
        return self._moved

    @property
    def is_unsettled(self) -> bool:
        """Whether a batch was tried, and may have landed or not."""
        return bool(self._backlog.sent)

    @property
    def content(self) -> Mapping[str, Any]:
        """The agent's record as it was handed over last, as JSON values; empty when none was."""
        content: Mapping[str, Any] = self._content
        return content

    def note(self, happened: Iterable[Event]) -> None:
        """Keep facts until something is written that must not wait."""
        with self.lock:
            self._backlog.note([codec.encode(event) for event in happened])

    def queue(self, happened: Sequence[Event] = ()) -> None:
        """Put events, and the facts before them, in line to be written.

        Raises:
            EncodingError: When a value cannot be stored; then none of these events is in line.
        """
        self._line_up(happened)

    def _line_up(self, happened: Sequence[Event]) -> list[Encoded]:
        encoded = [codec.encode(event) for event in happened]
        with self.lock:
            self._backlog.put(encoded)
        return encoded

    def say(
        self,
        message: Message,
        held: Sequence[Any],
        trace: str | None = None,
        hold_for: object = None,
        by_hand: bool = False,
    ) -> SessionMessage:
        """Put a message in line, or hold it back until `release`, under the next index.

        One that Strands merged into the message written last takes its place, see `Spoken.is_continued_by`.

        Args:
            message: The message.
            held: What its agent holds.
            trace: The span it was said in.
            hold_for: Until what is released it is held back; None if it is not.
            by_hand: Whether it was not the agent that said it, which may never hold it.

        Returns:
            Its record.

        Raises:
            EncodingError: When a value in it cannot be stored; its index stays free.
        """
        with self.lock:
            if self._last is not None and self._last.is_continued_by(message, held):
                record = SessionMessage(message, self._last.at, created_at=self._last.created_at)
                self.update(record, trace, hold_for)
            else:
                now = events.now()
                record = SessionMessage(message, self.next_index, created_at=now, updated_at=now)
                self.message(record, trace, hold_for, by_hand)
        return record

    def message(
        self, message: SessionMessage, trace: str | None = None, hold_for: object = None, by_hand: bool = False
    ) -> None:
        """Put a message in line under the index its record has, or hold it back until `release`.

        Raises:
            EncodingError: When a value in it cannot be stored; its index stays free.
        """
        event = events.MessageAdded(data_of(message), self.agent_id, time=message.updated_at, trace=_or_current(trace))
        with self.lock:
            encoded = self._put(event, hold_for)
            self._added(message.message_id, encoded.body, None if by_hand else message.message)
            self._wrote(message, encoded)

    def _added(self, index: int, body: bytes, live: Any) -> None:
        """A message of the transcript; one that the agent does not hold has no live one."""
        self._window.added(index, body, by_hand=live is None)
        if live is not None:
            self._seen.append(live)
        self.next_index = max(self.next_index, index + 1)

    def _wrote(self, message: SessionMessage, encoded: Encoded) -> None:
        if self._last is None or message.message_id >= self._last.at:
            self._last = Spoken(message.message_id, message.created_at, message.message, encoded.body)
        self.track(message)

    def is_of_before(self, message: Any) -> bool:
        """Whether a message belongs to a session that was deleted: it answers tools that were called there."""
        return self.withheld is not None and not self.next_index and answers_tools(message)

    def _put(self, event: Event, hold_for: object) -> Encoded:
        encoded = codec.encode(event)
        self._backlog.put([encoded], hold_for)
        return encoded

    def release(self, what: object) -> None:
        """Put what was held back for it in line, before the facts that were noted since."""
        with self.lock:
            self._backlog.release(what)

    def held_message(self, index: int) -> Any:
        """What a message says that is held back, as JSON values; None if it is not."""
        with self.lock:
            place = self._backlog.place_of_held(index)
            return None if place is None else orjson.loads(place[0][place[1]].body)["message"]

    def redact_held(self, message: SessionMessage) -> bool:
        """Let a redaction take the place of what is held back of a message.

        Returns:
            Whether all of it was held back: then nothing else has to be redacted.
        """
        with self.lock:
            if message.message_id in self._given_up:
                # It is not in the log at all.
                return True
            if (place := self._backlog.place_of_held(message.message_id)) is None:
                return False
            line, at = place
            if line[at].message_index is None:
                del line[at]
                return False
            self._wrote(message, self._rewrite(line, at, message))
            self._window.replaced(message.message_id, message.message)
            return True

    def update(self, message: SessionMessage, trace: str | None = None, hold_for: object = None) -> None:
        """Put a message's new content in line, or hold it back as the message is, or is to be.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        event = events.MessageUpdated(data_of(message), self.agent_id, trace=_or_current(trace))
        with self.lock:
            if place := self._backlog.place_of_held(message.message_id):
                encoded = self._rewrite(*place, message)
            else:
                encoded = self._put(event, hold_for)
            self._window.replaced(message.message_id, message.message)
            self._wrote(message, encoded)

    def _rewrite(self, line: list[Encoded], at: int, message: SessionMessage) -> Encoded:
        before = line[at].event
        line[at] = codec.encode(Event.known[before.type](data_of(message), self.agent_id, trace=before.trace))
        return line[at]

    def says(self, index: int, message: Message) -> bool:
        """Whether a message of the transcript, as it was when it was last compared, says what this one does."""
        with self.lock:
            return self._window.says(index, message)

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

    def claim(self, agent: SessionAgent, interrupts: Sequence[str]) -> None:
        """Put in line that a call goes on from the answers to interrupts, until `unclaim`.

        It moves the agent. So of all calls that are given the answers, one gets to write it, and those that resume the
        agent later see that it did.

        Args:
            agent: The agent's record, with the answers in it.
            interrupts: Their ids.

        Raises:
            AlreadyAnsweredError: When another call has gone on from there.
        """
        if at := self._answered_elsewhere:
            taken = self._answering or Answering((), str(at))
            raise AlreadyAnsweredError(self._session_id, self.agent_id, taken.interrupts, at, taken.waiting)
        self._answering = Answering(tuple(interrupts), str(self._moved))
        self.state(agent, forced=True)

    def withdraw(self, found: Sought) -> None:
        """Keep what was redacted elsewhere out of the agent's record, which may hold it until it is not interrupted."""
        self._withdrawn.append(found)

    def unclaim(self) -> None:
        """The call is over; with the agent's record, the log is told."""
        if not self._answered_elsewhere:
            self._answering = None

    def state(self, agent: SessionAgent, trace: str | None = None, forced: bool = False) -> None:
        """Put the agent's record in line for the first time, or if its content is not what was handed over last.

        Content is compared, not Strands' version counters: those start anew when `agent.state` is replaced.

        Args:
            agent: The record.
            trace: The span it is of.
            forced: Put it in line in any case.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        agent.created_at = self._created_at or agent.created_at
        data = data_of(agent) if self.withheld is None else self.withheld.left_of(data_of(agent))
        if is_interrupted(data):
            if self._answering:
                data[ANSWERING] = self._answering.told()
            if self._withdrawn:
                data["_internal_state"] = without(data["_internal_state"], self._withdrawn)
        else:
            self._withdrawn = []
        content = codec.to_json(agent_content(data), "agent")
        with self.lock:
            if content != self._content or forced:
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
        with self.lock:
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

        They are no part of what the live agent holds, and do not change it.

        Raises:
            SessionLogError: When they cannot be written, or someone else has moved the agent.
        """
        self.flush()
        with self._flush_lock:
            encoded = [codec.encode(event) for event in happened]
            self._reserve([one.message_index for one in encoded if one.message_index is not None])
            self._landed(encoded, self._log.append(self._session_id, encoded, self._expected()))
        self._take_note(encoded, by_hand=True)

    def _reserve(self, indices: Sequence[int]) -> None:
        """Refuse indices of messages that wait, and take none of these for what is said meanwhile."""
        with self.lock:
            for index in set(self._backlog.indices).intersection(indices):
                raise conflict(self._session_id, ANY, "message", self.agent_id, str(index))
            self.next_index = max(self.next_index, *(index + 1 for index in indices), 0)

    def renumber(self, next_index: int) -> Callable[[int], int]:
        """Go on at an index; messages that wait, and have not landed, move with what refers to them.

        Returns:
            The new index of a message, by the one it had.
        """
        with self.lock:
            first = min(self._backlog.indices, default=self.next_index)
            shift = next_index - first

            def moved(index: int) -> int:
                return index + shift if index >= first else index

            if shift:
                self._backlog.renumber(moved)
                self._tracked = {key: (moved(index), at) for key, (index, at) in self._tracked.items()}
                self._last = self._last and self._last._replace(at=moved(self._last.at))
            self.next_index += shift
        return moved

    def forget_what_is_held(self) -> None:
        """No agent resumes from this, so none is compared with it."""
        with self.lock:
            self._window, self._seen, self._tracked = Window(AgentState(self.agent_id)), [], {}

    def reset(self) -> None:
        """The session was deleted: nothing is in line, and a new one gets nothing the agent still holds of it."""
        with self._flush_lock, self.lock:
            self._moved, self.life, self.withheld = START, None, Withheld(self._content, self.withheld)
            self._backlog = Backlog()
            self._seen, self._content, self._created_at = [], {}, ""
            self._answering, self._answered_elsewhere, self._withdrawn = None, None, []
            self._tracked, self._earlier, self._last, self._given_up = {}, None, None, set()
            self.next_index = 0
            self._window, self.has_window = Window(AgentState(self.agent_id), self.withheld), False

    def _take_note(self, written: Sequence[Encoded], by_hand: bool = False) -> None:
        with self.lock:
            for encoded in written:
                event = encoded.event
                if isinstance(event, (events.AgentCreated, events.AgentUpdated)):
                    self._content = codec.to_json(agent_content(event.data))
                    self._created_at = str(event.data["created_at"])
                elif isinstance(event, (events.MessageAdded, events.MessageUpdated)):
                    self._take_note_of_message(event, encoded, by_hand)

    def _take_note_of_message(self, event: Event, encoded: Encoded, by_hand: bool) -> None:
        record = SessionMessage(event.data["message"], event.data["message_id"], created_at=event.data["created_at"])
        if event.message_index is not None:
            self._added(record.message_id, encoded.body, None if by_hand else record.message)
        elif not by_hand:
            self._window.replaced(record.message_id, record.message)
        self._wrote(record, encoded)

    def flush(self) -> None:
        """Write what is in line, oldest first.

        Raises:
            SessionLogError: What could not be written stays in line, for the next time; but for what never can be,
                as it is too large, or a message whose index another one has: it is given up, and all else written.
        """
        given_up: SessionLogError | None = None
        with self._flush_lock:
            failed_before = self._backlog.sent
            while self.has_waiting:
                with self.lock:
                    batch = self._backlog.next_batch()
                try:
                    self._landed(batch, self._log.append(self._session_id, batch, self._expected()))
                except (ConcurrentWriteError, ServerRefusedError) as error:
                    if not (hopeless := self._hopeless(error)):
                        raise
                    self._give_up(hopeless)
                    given_up = error
                    continue
                self._backlog.sent = []
                if batch is failed_before:
                    hooks.tell(Repaired(len(batch)))
        if given_up:
            raise given_up

    def _hopeless(self, error: ConcurrentWriteError | ServerRefusedError) -> list[Encoded]:
        """What of a batch that was refused can never be written; not what its owner has other means for."""
        if isinstance(error, ConcurrentWriteError):
            index = error.actual.get("message") if self._fenced == "agent" else None
            return [one for one in self._backlog.sent if isinstance(index, int) and is_about(one, index)]
        is_too_large = error.is_too_large and not self._keeps_all
        return [max(self._backlog.sent, key=lambda one: len(one.body))] if is_too_large else []

    def _give_up(self, hopeless: Sequence[Encoded]) -> None:
        with self.lock:
            self._backlog.drop(hopeless)
            for one in hopeless:
                self._take_back(one.event)

    def _take_back(self, event: Event) -> None:
        """The log does not know what an event would have told it."""
        self._seen = []
        if isinstance(event, (events.AgentCreated, events.AgentUpdated)):
            self._content = {}
        elif isinstance(event, events.WindowChanged):
            self._window.untold()
        elif isinstance(event, (events.MessageAdded, events.MessageUpdated)):
            index = event.data["message_id"]
            self._window.lost(index)
            self._last = None if self._last and self._last.at == index else self._last
            if event.message_index is not None:
                self._given_up.add(index)
                self._tracked = {key: found for key, found in self._tracked.items() if found[0] != index}

    def _expected(self) -> Expected:
        if self.life is not None and not (self._fenced and self._moved.revision):
            return InLife(self.life)
        if not self._fenced:
            return ANY
        return (AgentAt if self._fenced == "agent" else MultiAgentAt)(self.agent_id, self._moved)

    def _landed(self, batch: Sequence[Encoded], ids: Sequence[EventId]) -> None:
        self.life = self.life and begun(self.life, ids[0])
        for id_, encoded in zip(ids, batch, strict=True):
            if encoded.event.moves == self._fenced:
                self._moved = id_


def _or_current(trace: str | None) -> str:
    return current_traceparent() if trace is None else trace


def _is(one: Any, other: Any) -> bool:
    return one is other
