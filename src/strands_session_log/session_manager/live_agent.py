"""A live agent of a session manager: what is kept of it, what is put in line when, and when it is written."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, Literal, TypeAlias, get_args

from strands.types.content import Message
from strands.types.exceptions import SessionException
from strands.types.session import SessionAgent, SessionMessage

from ..errors import EncodingError, SessionLogError
from ..events import Event
from ..lifecycle import AgentHooks, AgentOutbox
from ..lifecycle.compat import CAN_WAIT, Audience, Writer, begin_in_thread
from ..lifecycle.direct_calls import about_to_hold
from ..lifecycle.facts import answered
from ..lifecycle.in_force import InForce
from ..lifecycle.records import is_prompt
from ..lifecycle.redaction import Redactions, never_written, sought_by_ids
from ..lifecycle.window import Closely
from .errors import raise_for_callers, session_exceptions
from .restored_messages import RestoredMessages

Flush: TypeAlias = Literal["before_model", "overlap"]
"""When a prompt is written: before its model is asked, or while it is."""
FLUSHES = get_args(Flush)

_MORE_RECORDS = 8
"""Records of messages that are held no more, beside a quarter of those that are: they are dropped together."""
_AFTER_AN_ANSWER = ("MessageAddedEvent", "BeforeToolsEvent", "BeforeToolCallEvent", "AfterInvocationEvent")
"""Where others could look at the log before an answer that waits for its tool, or for the end of the call, is in it."""


class LiveAgent(AgentHooks):
    """One agent that a manager keeps.

    A plain turn is two appends: the question; the answer and the end. A tool adds two: its call and its start, so that
    others see it before it runs; and its result. A call that goes on from an interrupt begins with one more, which
    claims the agent: an answer that is given twice must not run what was approved twice.

    Attributes:
        agent: Gives it, for as long as it lives.
        outbox: What is to be written, and what the log knows.
        latest: The record of the message written last.
        records: Those of the messages it holds: a redaction must find all that store the same dict.
    """

    def __init__(
        self,
        agent: Any,
        outbox: AgentOutbox,
        in_force: InForce,
        records_facts: bool,
        holds_user_messages: bool,
        flush: Flush = "before_model",
    ) -> None:
        super().__init__(outbox.agent_id, records_facts)
        self.agent: Callable[[], Any] = weakref.ref(agent)
        self.outbox, self._in_force, self._holds = outbox, in_force, holds_user_messages
        self.latest: SessionMessage | None = None
        self._records: dict[int, list[SessionMessage]] = {}
        self._are_redacted, self._most_records = False, _MORE_RECORDS
        self._restored: RestoredMessages | None = None
        self.redactions = Redactions(outbox)
        self._overlaps = flush == "overlap"
        self._answer: Message | None = None
        self._after_an_answer = Audience(*_AFTER_AN_ANSWER)
        self.note = outbox.note
        self._unanswered, self._given = _prompts_at_the_end(agent.messages), 0
        self.facts.prime(agent)

    def tell(self, told: Sequence[Event]) -> Writer:
        """See `AgentHooks`."""
        self.outbox.queue(told)
        return self.write

    def settle(
        self, agent: Any, heard: Sequence[Any] | None = None, closely: Closely = "all", forced: bool = False
    ) -> Callable[[], None]:
        """Put what changed about the agent in line.

        Args:
            agent: The agent.
            heard: The messages up to the one just added, if one was.
            closely: Which messages to look into; the others are only looked at, whether they are the same ones.
            forced: Tell what the agent holds in any case.

        Returns:
            Writes it. A value that cannot be stored is told of only then: it must not cost what came with it.
        """
        if closely != "none":
            self._forget_dropped_messages(agent.messages)
        record = SessionAgent.from_agent(agent)
        messages, state = agent.messages, record.conversation_manager_state
        if heard is not None:
            messages, state = about_to_hold(agent, heard, state)
            record.conversation_manager_state = state
        refused: list[EncodingError] = []
        window = partial(self.outbox.window, messages, state, closely, forced)
        state_told = partial(self.outbox.state, record, self._in_force.of(agent, closely != "none"))
        # In one append: an answer may be waiting, which a thread writes with all that stands behind it.
        with self.outbox.lock:
            for step in (state_told, window):
                try:
                    step()
                except EncodingError as error:
                    refused.append(error)
            self.outbox.queue()
        return partial(self._write_but, refused[0]) if refused else self.write

    def write(self) -> None:
        """Write what is in line, and erase what was redacted.

        Raises:
            SessionException: When it cannot be written, or erased, now.
        """
        with session_exceptions:
            self.outbox.flush()
            if self.redactions:
                self.redactions.finish()

    def _write_but(self, refused: EncodingError) -> None:
        self.write()
        with session_exceptions:
            raise refused

    def say(self, message: Message, agent: Any, hold_for: object = None, by_hand: bool = False) -> None:
        """Put a message in line, or hold it back; one that Strands merged into the one before takes its place.

        One that belongs to a session that was deleted is passed over.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        if self.outbox.withheld is not None and self.outbox.is_of_before(message):
            return
        with self.outbox.lock:
            if self._restored is not None or id(message) in self._records:
                self._forget_what_it_said_before(message)
            self.latest = latest = self.outbox.say(message, agent.messages, hold_for=hold_for, by_hand=by_hand)
            self._records.setdefault(id(message), []).append(latest)

    def hold(self, records: Iterable[SessionMessage]) -> None:
        """Keep records of messages that the agent holds: by the dict that was said, which may be redacted later."""
        for record in records:
            self._records.setdefault(id(record.message), []).append(record)

    def hold_restored(self, restored: RestoredMessages) -> None:
        """Keep what the agent was restored with; records are made of it once one of them is asked for."""
        self._restored, self.latest = restored, restored.latest

    def _records_of(self, message: Message) -> list[SessionMessage]:
        """Every record of a message, by the dict that was said, or restored."""
        if self._restored is not None and self._restored.has(message):
            restored, self._restored = self._restored, None
            self.hold(restored.records())
        return self._records.get(id(message), [])

    def redact(self, message: Message) -> None:
        """Put a redaction of the message written last in line; one that is held back is just another one then.

        Raises:
            SessionException: When there is none.
        """
        self.facts.has_redacted = self._are_redacted = True
        for record in self._to_redact(message):
            record.redact_message, index = message, record.message_id
            original = self.redactions.redact(SessionMessage(message, index, created_at=record.created_at))
            if original:
                name, after = self.outbox.agent_id, self.outbox.place(index)
                self.redactions.look_for(never_written(name, index, original, message), after)

    def reset(self) -> None:
        """The session was deleted."""
        self.redactions.forget()
        self._records, self._restored, self.latest, self._unanswered = {}, None, None, []
        self.outbox.reset()

    def model_ended(self, hook: Any) -> None:
        """See `AgentHooks`."""
        self._answer = hook.stop_response and hook.stop_response.message
        if self._records_facts:
            super().model_ended(hook)

    def tool_called(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        super().tool_called(hook)
        # No tool runs before its call is in the log.
        return self.write if self.outbox.has_waiting else None

    def invocation_ended(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        if self._holds:
            self.outbox.release(self)
        if self.tools.calls:
            self.tools.end()
        self.outbox.unclaim()
        self._unanswered, self._given = _prompts_at_the_end(hook.agent.messages), 0
        if self._records_facts:
            self.note(self.facts.invocation_ended(hook))
        return self.settle(hook.agent)

    def settled(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        return self.settle(hook.agent)

    def message_added(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        asks = is_prompt(hook.message)
        holds = self._holds and asks
        if self._holds and not holds:
            self.outbox.release(self)
        try:
            self.say(hook.message, hook.agent, hold_for=self if holds else None)
        except SessionLogError as error:
            # Not `with session_exceptions`, which each message would enter and leave.
            raise_for_callers(error)
        finally:
            # Not before: where the agent holds both, the second is none that Strands has merged into the first.
            if self._unanswered:
                self._drop_unanswered(hook.message, hook.agent.messages)
        if holds:
            return None
        # What was edited between two turns shows with the prompt, further back with its turn; in mid-turn only other
        # messages are looked for.
        heard = _up_to(hook.message, hook.agent.messages)
        write = self.settle(hook.agent, heard, closely="newest" if asks else "none")
        if write != self.write:
            return write
        if self._overlaps and asks:
            # Whatever is written next waits for it.
            begin_in_thread(self.outbox.flush_ahead)
            return None
        if self._is_an_answer_that_can_wait(hook):
            self.outbox.flush_soon()
            return None
        return write

    def _is_an_answer_that_can_wait(self, hook: Any) -> bool:
        """Whether what comes at once, a tool that begins or the end of the call, can be written together with it.

        The call has not returned, and no tool has run: nothing has come of the answer yet. What else is said in the
        name of a model, in a prompt or by a tool that is called directly, is none.
        """
        answer, self._answer = self._answer, None
        if hook.message is not answer or not CAN_WAIT or self.redactions:
            return False
        return not self._after_an_answer.has_others(hook.agent.hooks)

    def message_updated(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        if (known := self.outbox.tracked(hook.tracking_id)) is None:
            return None
        with session_exceptions:
            self.outbox.update(SessionMessage(hook.message, known[0], created_at=known[1]))
        return self.write

    def answers_taken(self, hook: Any) -> Writer:
        """See `AgentHooks`."""
        interrupts = answered(hook.agent)
        if not interrupts or getattr(hook, "cancel", False):
            return None
        with session_exceptions:
            self.outbox.claim(SessionAgent.from_agent(hook.agent), interrupts)
        return self.write

    def redacted_within(self, redaction: Any) -> Writer:
        """See `AgentHooks`."""
        if (agent := self.agent()) is None:
            return None
        found = sought_by_ids(redaction, [self.outbox.agent_id])
        self.outbox.withdraw(found)
        self.redactions.look_for(found)
        # Before its newest record is erased, there is another one.
        return self.settle(agent)

    def _drop_unanswered(self, message: Message, messages: list[Message]) -> None:
        """A prompt that is given again, after a call that got no answer, takes the place of the first.

        A model is asked once what was meant once, and some refuse two prompts in a row; the transcript keeps both.
        """
        self._given += 1
        end = len(_up_to(message, messages))
        again, first = end - self._given, end - 2 * self._given
        before = self._unanswered[-self._given :]
        if first < 0 or not is_prompt(message) or len(before) < self._given:
            self._unanswered = []
        elif _are(messages[first:again], before) and _say_the_same(before, messages[again:end]):
            del messages[first:again]
            self._unanswered = []

    def _forget_dropped_messages(self, messages: Sequence[Any]) -> None:
        """What is held is looked through when records have become a quarter more, not with every call."""
        if len(self._records) <= self._most_records and not self._are_redacted:
            return
        held = set(map(id, messages))
        with self.outbox.lock:
            # In place of a message that is redacted the agent holds another.
            dropped = list(self._records) if self._are_redacted else self._records.keys() - held
            self._are_redacted = False
            for key in dropped:
                kept = [one for one in self._records.pop(key) if id(one.to_message()) in held]
                if kept:
                    self._records[key] = kept
            self._most_records = len(self._records) * 5 // 4 + _MORE_RECORDS

    def _forget_what_it_said_before(self, message: Message) -> None:
        """A dict that is said again, and says something else, is no record any more of what it said."""
        tracking_id = message.get("tracking_id")
        if tracking_id is None or self.outbox.tracked(tracking_id):
            same = self._records.pop(id(message), [])
            self.hold([record for record in same if self.outbox.says(record.message_id, message)])

    def _to_redact(self, message: Message) -> list[SessionMessage]:
        """Every record of a message that is redacted: one that was tried again may stand under several indices."""
        with self.outbox.lock:
            if same := self._records_of(message):
                return list(same)
            latest = self.latest
        if latest is None and self.outbox.withheld is None:
            raise SessionException("No message to redact.")
        return [] if latest is None or _is_another(latest.message, message) else [latest]


def _is_another(written: Any, redacted_message: Any) -> bool:
    """Whether a redaction is of a message that was never written: an agent may be called with what it holds."""
    ids = [message.get("tracking_id") for message in (written, redacted_message)]
    return None not in ids and ids[0] != ids[1]


def _prompts_at_the_end(messages: Sequence[Message]) -> list[Message]:
    """What was said last, as far as it is prompts: they got no answer."""
    return list(takewhile(is_prompt, reversed(messages)))[::-1]


def _are(messages: Sequence[Message], others: Sequence[Message]) -> bool:
    return all(one is other for one, other in zip(messages, others, strict=True))


def _say_the_same(messages: Sequence[Message], others: Sequence[Message]) -> bool:
    """Whether they are the same, but for the names that Strands gives them."""
    unnamed = ([{**one, "tracking_id": None} for one in some] for some in (messages, others))
    return next(unnamed) == next(unnamed)


def _up_to(message: Any, messages: Sequence[Any]) -> Sequence[Any]:
    """The messages up to one of them: Strands may append several before it tells of the first."""
    for position in range(len(messages) - 1, -1, -1):
        if messages[position] is message:
            return messages[: position + 1] if position + 1 < len(messages) else messages
    return messages
