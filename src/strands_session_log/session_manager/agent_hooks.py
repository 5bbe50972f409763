"""The hooks of one session manager: when something happens to an agent, what is put in line, and when it is written."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from strands.hooks import AgentInitializedEvent
from strands.types.session import SessionAgent, SessionMessage

from ..errors import EncodingError
from ..lifecycle import Facts, listen
from ..lifecycle.agents_as_tools import AgentsAsTools, sought_by_ids
from ..lifecycle.direct_calls import about_to_hold
from ..lifecycle.facts import answered
from ..lifecycle.hooks import Ordered
from ..lifecycle.records import is_prompt
from .errors import session_exceptions

if TYPE_CHECKING:
    from .manager import ValkeySessionManager


class AgentHooks:
    """Listens to the agents of a session manager.

    A plain turn is three appends: the question, the answer, the end; a tool adds its start, so that others see it
    before it runs, and its result. A call that goes on from an interrupt begins with one more, which claims the agent:
    an answer that is given twice must not run what was approved twice.

    Args:
        manager: Whose agents.
        records_facts: Whether invocations, model calls and tools are events too.
        holds_user_messages: Whether a user message waits for the model call to settle.
    """

    def __init__(self, manager: ValkeySessionManager, records_facts: bool, holds_user_messages: bool) -> None:
        self._manager, self._records_facts, self._holds = manager, records_facts, holds_user_messages
        self.facts: dict[str, Facts] = {}
        self._tools: dict[str, AgentsAsTools] = {}

    def register(self, registry: Any) -> None:
        """Listen to one agent's registry."""
        # Strands allows no hook that waits here: an agent is made synchronously.
        registry.add_callback(AgentInitializedEvent, lambda event: self._manager.initialize(event.agent))
        listen(registry, "MessageAddedEvent", self._message_added)
        listen(registry, "MessageUpdatedEvent", self._message_updated)
        listen(registry, "AfterInvocationEvent", self._invocation_ended)
        listen(registry, "BidiAgentStopEvent", lambda hook: self.settle(hook.agent))
        if self._records_facts:
            listen(registry, "BeforeInvocationEvent", self._noting(Facts.invocation_started))
            listen(registry, "BeforeModelCallEvent", self._noting(Facts.model_asked))
            listen(registry, "AfterModelCallEvent", self._noting(Facts.model_ended))
            listen(registry, "BeforeToolCallEvent", self._tool_started)
            listen(registry, "AfterToolCallEvent", self._noting(Facts.tool_ended))
        listen(registry, "BeforeToolCallEvent", lambda hook: self._tools_of(hook.agent).began(hook))
        listen(registry, "AfterToolCallEvent", lambda hook: self._tools_of(hook.agent).ended(hook))
        # Last, so that a call which other hooks forbid takes no answer.
        listen(Ordered(registry, math.inf), "BeforeInvocationEvent", self._answers_taken)

    def settle(
        self, agent: Any, heard: Sequence[Any] | None = None, closely: bool = True, forced: bool = False
    ) -> Callable[[], None]:
        """Put what changed about an agent in line.

        Args:
            agent: The agent.
            heard: The messages up to the one just added, if one was.
            closely: Look into the messages; else only whether they are the same ones.
            forced: Tell what the agent holds in any case.

        Returns:
            Writes it. A value that cannot be stored is told of only then: it must not cost what came with it.
        """
        with session_exceptions():
            outbox = self._manager.outbox(agent)
        self._manager.forget_dropped_messages(agent)
        record = SessionAgent.from_agent(agent)
        messages, state = agent.messages if heard is None else heard, record.conversation_manager_state
        if heard is not None:
            messages, record.conversation_manager_state = about_to_hold(agent, heard, state)

        def window() -> None:
            if closely:
                outbox.window(messages, record.conversation_manager_state, forced=forced)
            else:
                outbox.glance(messages, record.conversation_manager_state)

        refused: list[EncodingError] = []
        for step in (partial(outbox.state, record), window):
            try:
                step()
            except EncodingError as error:
                refused.append(error)
        outbox.queue()
        return self._writing(agent, refused)

    def _writing(self, agent: Any, refused: list[EncodingError]) -> Callable[[], None]:
        outbox = self._manager.outbox(agent)

        def write() -> None:
            with session_exceptions():
                outbox.flush()
                self._manager.redactions.finish(outbox.agent_id)
                if refused:
                    raise refused[0]

        return write

    def _message_added(self, hook: Any) -> Callable[[], None] | None:
        asks = is_prompt(hook.message)
        holds = self._holds and asks
        with session_exceptions():
            if not holds:
                self._manager.outbox(hook.agent).release(hook.agent.agent_id)
            self._manager.say(hook.message, hook.agent, hold_for=hook.agent.agent_id if holds else None)
        # What was edited between two turns shows with the prompt; in mid-turn only other messages are looked for.
        heard = _up_to(hook.message, hook.agent.messages)
        return None if holds else self.settle(hook.agent, heard, closely=asks)

    def _message_updated(self, hook: Any) -> Callable[[], None] | None:
        outbox = self._manager.outbox(hook.agent)
        known = outbox.tracked(hook.tracking_id)
        if known is None:
            return None
        with session_exceptions():
            outbox.update(SessionMessage(hook.message, known[0], created_at=known[1]))
        return self._writing(hook.agent, [])

    def _tools_of(self, agent: Any) -> AgentsAsTools:
        if agent.agent_id not in self._tools:
            self._tools[agent.agent_id] = AgentsAsTools(partial(self._redacted_within, weakref.ref(agent)))
        return self._tools[agent.agent_id]

    def _redacted_within(self, calling: Callable[[], Any], redaction: Any) -> Callable[[], None] | None:
        """An agent that is a tool has redacted what stands in the state of the one that calls it."""
        agent = calling()
        if agent is None:
            return None
        outbox = self._manager.outbox(agent)
        found = sought_by_ids(redaction, [outbox.agent_id])
        outbox.withdraw(found)
        self._manager.redactions.look_for(outbox.agent_id, found)
        # Before its newest record is erased, there is another one.
        return self.settle(agent)

    def _answers_taken(self, hook: Any) -> Callable[[], None] | None:
        interrupts = answered(hook.agent)
        if not interrupts or getattr(hook, "cancel", False):
            return None
        outbox = self._manager.outbox(hook.agent)
        with session_exceptions():
            outbox.claim(SessionAgent.from_agent(hook.agent), interrupts)
        return self._writing(hook.agent, [])

    def _invocation_ended(self, hook: Any) -> Callable[[], None]:
        outbox = self._manager.outbox(hook.agent)
        outbox.release(hook.agent.agent_id)
        outbox.unclaim()
        self._tools_of(hook.agent).end()
        if self._records_facts:
            self._noting(Facts.invocation_ended)(hook)
        return self.settle(hook.agent)

    def _tool_started(self, hook: Any) -> Callable[[], None]:
        self._noting(Facts.tool_started)(hook)
        self._manager.outbox(hook.agent).queue()
        return self._writing(hook.agent, [])

    def _noting(self, tell: Callable[[Facts, Any], Any]) -> Callable[[Any], None]:
        def note(hook: Any) -> None:
            agent_id = hook.agent.agent_id
            self._manager.outbox(hook.agent).note(tell(self.facts[agent_id], hook))

        return note


def _up_to(message: Any, messages: Sequence[Any]) -> Sequence[Any]:
    """The messages up to one of them: Strands may append several before it tells of the first."""
    for position in range(len(messages) - 1, -1, -1):
        if messages[position] is message:
            return messages[: position + 1]
    return messages
