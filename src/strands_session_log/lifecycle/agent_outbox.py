"""What one live agent did that the log must hear of: its messages, its record, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import orjson
from strands.types.content import Message
from strands.types.session import SessionAgent, SessionMessage

from .. import codec, events
from ..codec import Encoded, to_json
from ..errors import AlreadyAnsweredError
from ..event_log import ANY, EventLog
from ..event_log.erasure_scope import Sought
from ..event_log.expected import conflict
from ..events import Event
from ..ids import START, EventId
from ..state import ANSWERING, IN_FORCE, AgentState, Answering, Messages, is_interrupted, removed_count
from .facts import current_traceparent
from .outbox import ENDS, Outbox
from .records import HAS_USUAL_MEMBERS, agent_content, answers_tools, count_alone, data_of, redacted, with_count
from .redaction import without
from .window import Closely, Spoken, Window
from .withheld import Withheld

_new = tuple.__new__
_REMEMBERED = 256
"""Messages of which is known where they stand."""


class AgentOutbox(Outbox):
    """The outbox of an agent: knows what the log has of it, and puts in line what that does not tell.

    Args:
        agent: What the log holds of the agent.
        remembers: Know messages of before by their tracking id, which costs holding them.
        withheld: What the agent held of a session that was deleted.

    Attributes:
        next_index: The index of its next message.
        content: The agent's record as it was handed over last, as JSON values; empty when none was.
        has_window: Whether the log was ever told what the agent holds.
        span_then: The span in which happened what is put in line; None for the active one.
    """

    span_then: str | None = None

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        agent: AgentState,
        fenced: Literal["agent", ""] = "agent",
        remembers: bool = False,
        life: str | None = None,
        withheld: Withheld | None = None,
        keeps_all: bool = False,
    ) -> None:
        super().__init__(log, session_id, agent.agent_id, agent.moved, fenced, life, keeps_all)
        self._know(agent, withheld)
        self._earlier: Messages | None = agent.messages if remembers else None

    def _know(self, agent: AgentState, withheld: Withheld | None) -> None:
        record, last = agent.record or {}, agent.messages.last_index
        self.moved = self.written = agent.moved
        self.withheld, self.has_window = withheld, agent.held is not None
        self.next_index = 0 if last is None else last + 1
        self.content: Mapping[str, Any] = agent_content(record)
        self._created_at = str(record.get("created_at", ""))
        self._answering = answering = agent.answering
        self._answered_elsewhere = agent.moved if answering else None
        self._withdrawn: list[Sought] = []
        self._last = Spoken.last_of(agent.messages)
        self._given_up, self._after = set[int](), dict[int, EventId]()
        self._forget_window(agent, withheld)

    def _forget_window(self, agent: AgentState, withheld: Withheld | None) -> None:
        self._window = Window(agent, withheld)
        self._tracked: dict[str, tuple[int, str]] = {}

    @property
    def span(self) -> str:
        """The span in which happens what is put in line."""
        return current_traceparent() if self.span_then is None else self.span_then

    def say(
        self, message: Message, held: Sequence[Any], hold_for: object = None, by_hand: bool = False
    ) -> SessionMessage:
        """Put a message in line, or hold it back until `release`, under the next index.

        One that Strands merged into the message written last takes its place, see `Spoken.is_continued_by`.

        Args:
            message: The message.
            held: What its agent holds.
            hold_for: Until what is released it is held back; None if it is not.
            by_hand: Whether it was not the agent that said it, which may never hold it.

        Raises:
            EncodingError: When a value in it cannot be stored; its index stays free.
        """
        with self.lock:
            last = self._last
            if last is not None and last.is_continued_by(message, held):
                record = SessionMessage(message, last.at, created_at=last.created_at)
                self.update(record, hold_for)
                return record
            now, index = events.now(), self.next_index
            record = SessionMessage(message, index, None, now, now)
            span = current_traceparent() if self.span_then is None else self.span_then
            event = events.MessageAdded(vars(record).copy(), self.agent_id, time=now, trace=span)
            text = codec.text_alone(message) if HAS_USUAL_MEMBERS else None
            encoded = codec.encode_text(event, index, *text) if text else codec.encode(event)
            self._put_in_line(encoded, hold_for=hold_for)
            self._added(record, encoded, by_hand, text)
            self._after[index] = self.written
            if len(self._after) > _REMEMBERED:
                del self._after[next(iter(self._after))]
        return record

    def place(self, index: int) -> EventId:
        """An event before all that says a message; one of the last is not looked for in the whole session."""
        return self._after.get(index, START)

    def update(self, message: SessionMessage, hold_for: object = None) -> None:
        """Put a message's new content in line, or hold it back as the message is, or is to be.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        with self.lock:
            if place := self._place_of_held(message.message_id):
                encoded = self._rewrite(*place, message)
            else:
                event = events.MessageUpdated(data_of(message), self.agent_id, trace=self.span)
                (encoded,) = self.queue([event], hold_for)
            self._replaced(message, encoded)

    def is_of_before(self, message: Any) -> bool:
        """Whether a message belongs to a session that was deleted: it answers tools that were called there."""
        return self.withheld is not None and not self.next_index and answers_tools(message)

    def redact(self, message: SessionMessage) -> tuple[bool, Any]:
        """Put a redaction in line; of a message that is held back, it takes the place.

        Args:
            message: The record, with nothing of what it said.

        Returns:
            Whether anything is, or may be, in the log that has to be erased. And what it said, as JSON values, if it
            was held back.
        """
        with self.lock:
            place = self._place_of_held(message.message_id)
            if place and place[0][place[1]].message_index is not None:
                original = orjson.loads(place[0][place[1]].body)["message"]
                self._forget_error_texts()
                self._replaced(message, self._rewrite(*place, message))
                return False, original
            if place:
                del place[0][place[1]]
            if message.message_id in self._given_up:
                return False, None
            message.redact_message = message.message
            self.adopt([events.MessageRedacted(redacted(message), self.agent_id, trace=self.span)])
            return True, None

    def _rewrite(self, line: list[Encoded], at: int, message: SessionMessage) -> Encoded:
        before = line[at].event
        line[at] = codec.encode(Event.known[before.type](data_of(message), self.agent_id, trace=before.trace))
        return line[at]

    def _added(
        self, message: SessionMessage, encoded: Encoded, by_hand: bool = False, text: tuple[str, str] | None = None
    ) -> None:
        index = message.message_id
        if index >= self.next_index:
            self.next_index = index + 1
        self._window.added(index, message.message, by_hand, text)
        self._wrote(message, encoded)

    def _replaced(self, message: SessionMessage, encoded: Encoded) -> None:
        self._window.replaced(message.message_id, message.message)
        self._wrote(message, encoded)

    def _wrote(self, message: SessionMessage, encoded: Encoded) -> None:
        if self._last is None or message.message_id >= self._last.at:
            self._last = _new(Spoken, (message.message_id, message.created_at, message.message, encoded.body))
        tracking_id = (message.message or {}).get("tracking_id")
        if isinstance(tracking_id, str):
            self._tracked[tracking_id] = (message.message_id, message.created_at)

    def says(self, index: int, message: Message) -> bool:
        """Whether a message of the transcript, as it was when it was last compared, says what this one does."""
        with self.lock:
            return self._window.says(index, message)

    def tracked(self, tracking_id: object) -> tuple[int, str] | None:
        """The index of the message last written with this tracking id, and when it was created."""
        if not isinstance(tracking_id, str):
            return None
        if tracking_id not in self._tracked and self._earlier is not None:
            earlier = {record.message.get("tracking_id"): record for record in self._earlier}
            found = {key: (record.message_id, record.created_at) for key, record in earlier.items() if key}
            self._tracked, self._earlier = {**found, **self._tracked}, None
        return self._tracked.get(tracking_id)

    def claim(self, agent: SessionAgent, interrupts: Sequence[str]) -> None:
        """Put in line that a call goes on from the answers to interrupts, until `unclaim`.

        It moves the agent. So of all calls that are given the answers, one gets to write it, and those that resume the
        agent later see that it did.

        Raises:
            AlreadyAnsweredError: When another call has gone on from there.
        """
        if at := self._answered_elsewhere:
            taken = self._answering or Answering((), str(at))
            raise AlreadyAnsweredError(self.session_id, self.agent_id, taken.interrupts, at, taken.waiting)
        self._answering = Answering(tuple(interrupts), str(self.moved))
        self.state(agent, forced=True)

    def unclaim(self) -> None:
        """The call is over; with the agent's record, the log is told."""
        if not self._answered_elsewhere:
            self._answering = None

    def withdraw(self, found: Sought) -> None:
        """Keep what was redacted elsewhere out of the agent's record.

        It may be in there for good, or, of messages in no transcript, until the agent is not interrupted.
        """
        self._withdrawn.append(found)

    def state(self, agent: SessionAgent, in_force: Mapping[str, Any] | None = None, forced: bool = False) -> None:
        """Put the agent's record in line for the first time, or if its content is not what was handed over last.

        Content is compared, not Strands' version counters: those start anew when `agent.state` is replaced.

        Args:
            agent: The record.
            in_force: Which system prompt and tools the agent has; None for what was told last.
            forced: Put it in line in any case.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        agent.created_at = self._created_at or agent.created_at
        data = data_of(agent)
        if self._answering or self._withdrawn or self.withheld is not None:
            data = self._to_tell(data)
        if told := in_force or self.content.get(IN_FORCE):
            data[IN_FORCE] = told
        content = agent_content(data)
        if not forced and _is_same(content, self.content):
            return
        with self.lock:
            # What it is as JSON is asked for only where it says more than a count, or what JSON says otherwise.
            if not forced and self._tell_removed(count := count_alone(content, self.content)):
                self.content = with_count(self.content, count)
                return
            content = to_json(content, "agent")
            if not forced and self._tell_removed(count_alone(content, self.content)):
                self.content = content
            elif content != self.content or forced:
                # At the very time the record names, which then need not be written twice.
                kind = events.AgentUpdated if self.content else events.AgentCreated
                self.queue([kind(data, self.agent_id, time=agent.updated_at, trace=self.span)])
                self.content, self._created_at = content, agent.created_at

    def _to_tell(self, data: dict[str, Any]) -> dict[str, Any]:
        """A record with what a call goes on from, and without what must not stand in it."""
        data = data if self.withheld is None else self.withheld.left_of(data)
        is_waiting = is_interrupted(data)
        if is_waiting and self._answering:
            data[ANSWERING] = self._answering.told()
        self._withdrawn = [found for found in self._withdrawn if is_waiting or found.places]
        return without(data, self._withdrawn, own=self.agent_id) if self._withdrawn else data

    def window(
        self,
        messages: Sequence[Any],
        conversation_manager_state: Any,
        closely: Closely = "all",
        forced: bool = False,
    ) -> None:
        """Put what the agent holds in line, if messages and state do not tell it.

        Args:
            messages: What it holds.
            conversation_manager_state: How much of what it held is gone.
            closely: Which messages to look into; the others are only looked at, whether they are the same ones.
            forced: Put it in line in any case.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        removed = removed_count(conversation_manager_state) if self.withheld is None else 0
        with self.lock:
            if closely != "all" and not forced and self._window.is_as_seen(messages, removed, closely == "newest"):
                return
            changed = self._window.changed(messages, removed, self.next_index, forced)
            if changed is not None:
                self.has_window = True
                self.queue([events.WindowChanged(changed, self.agent_id, trace=self.span)])

    def adopt(self, happened: Sequence[Event]) -> None:
        """Put events made elsewhere in line, and take note of what they mean for the agent.

        Raises:
            EncodingError: When a value in them cannot be stored.
        """
        self._take_note(self.queue(happened))

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
            self._append(encoded)
        self._take_note(encoded, by_hand=True)

    def _reserve(self, indices: Sequence[int]) -> None:
        """Refuse indices of messages that wait, and take none of these for what is said meanwhile."""
        with self.lock:
            for index in set(self._indices).intersection(indices):
                raise conflict(self.session_id, ANY, "message", self.agent_id, str(index))
            self.next_index = max(self.next_index, *(index + 1 for index in indices), 0)

    def renumber(self, next_index: int) -> Mapping[int, int]:
        """Go on at an index; see `Outbox.renumber`."""
        with self.lock:
            self.next_index = next_index + len(self._indices)
            new = super().renumber(next_index)
            self._tracked = {key: (new.get(index, index), at) for key, (index, at) in self._tracked.items()}
            self._after = {new.get(index, index): after for index, after in self._after.items()}
            self._last = self._last and self._last._replace(at=new.get(self._last.at, self._last.at))
        return new

    def forget_what_is_held(self) -> None:
        """No agent resumes from this, so none is compared with it."""
        with self.lock:
            self._forget_window(AgentState(self.agent_id), None)

    def reset(self) -> None:
        """The session was deleted: nothing is in line, and a new one gets nothing the agent still holds of it."""
        with self._flush_lock, self.lock:
            self._sent, self._waiting, self._facts, self._held, self._lost = [], [], [], {}, None
            self.life, self._earlier = None, None
            self._know(AgentState(self.agent_id, moved=START), Withheld(self.content, self.withheld))

    def _take_note(self, written: Sequence[Encoded], by_hand: bool = False) -> None:
        with self.lock:
            for encoded in written:
                event = encoded.event
                if isinstance(event, (events.AgentCreated, events.AgentUpdated)):
                    self.content = to_json(agent_content(event.data))
                    self._created_at = str(event.data["created_at"])
                elif isinstance(event, (events.MessageAdded, events.MessageUpdated)):
                    self._take_note_of_message(event, encoded, by_hand)

    def _take_note_of_message(self, event: Event, encoded: Encoded, by_hand: bool) -> None:
        record = SessionMessage(event.data["message"], event.data["message_id"], created_at=event.data["created_at"])
        if event.message_index is not None:
            self._added(record, encoded, by_hand)
        elif by_hand:
            self._wrote(record, encoded)
        else:
            self._replaced(record, encoded)

    def _take_back(self, event: Event) -> None:
        self._window.look_anew()
        if isinstance(event, (events.AgentCreated, events.AgentUpdated, *ENDS)) and event.moves:
            self.content = {}
        elif isinstance(event, events.WindowChanged):
            self._window.untold()
        elif isinstance(event, (events.MessageAdded, events.MessageUpdated)):
            index = event.data["message_id"]
            self._window.lost(index)
            self._last = None if self._last and self._last.at == index else self._last
            if event.message_index is not None:
                self._given_up.add(index)
                self._tracked = {key: found for key, found in self._tracked.items() if found[0] != index}


def _is_same(content: Any, told: Any) -> bool:
    """Whether a record is what was told; what cannot be compared, or is not JSON, counts as another."""
    with suppress(Exception):
        return bool(content == told)
    return False
