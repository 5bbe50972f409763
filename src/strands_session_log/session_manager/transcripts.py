"""What the agents of the nodes of graphs and swarms say: transcripts that nothing resumes from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ..errors import ConcurrentWriteError, SessionLostError
from ..event_log import EventLog
from ..event_log.whereabouts import Sought
from ..events import Event
from ..lifecycle import Facts, Outbox
from ..lifecycle.agents_as_tools import AgentsAsTools, sought_by_ids
from ..lifecycle.erasing import erase_copies, erase_original, never_written
from ..lifecycle.guardrail import Guardrail
from ..lifecycle.hooks import Writer
from ..lifecycle.nodes import ASKED, ENDED, Handlers
from ..lifecycle.records import is_prompt
from ..lifecycle.trace import current_traceparent
from ..state import AgentState
from .errors import session_exceptions

_MAX_CONFLICTS = 10


class Transcript:
    """What the agents of one node say, over all its runs.

    Nothing resumes from it, so whoever else runs a node of this name meanwhile is let be: what is to be written goes on
    after that. What a guardrail redacts is redacted here, and its original erased, with the next append that succeeds.

    Args:
        log: Where to write.
        session_id: The session.
        name: The agent it is in the session.
        known: Reads what the log holds of it.
        life: Tells which session that is, see `EventLog.life`, once it has begun.
        holds: Whether prompts are held back until their model call has settled.
        redact: Told of what was redacted, before it is erased.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        name: str,
        known: Callable[[], AgentState],
        life: Callable[[], str | None],
        holds: bool,
        redact: Callable[[Sought], None],
    ) -> None:
        self._life = life
        self._redact, self._never_written = redact, list[Sought]()
        self._log, self._session_id, self._name, self._known, self._holds = log, session_id, name, known, holds
        self._outbox = Outbox(log, session_id, AgentState(name), fenced="")
        self._agents: WeakKeyDictionary[Any, tuple[Facts, Guardrail]] = WeakKeyDictionary()
        self._to_erase: set[int] = set()
        self._has_begun = False
        self._index_lock, self._write_lock, self._erase_lock = threading.Lock(), threading.Lock(), threading.Lock()

    def handlers(self, agent: Any) -> Handlers:
        """What to do in a run of the node, which begins after what the log holds of it by then."""
        self._has_begun = False
        self._outbox.forget_what_is_held()
        facts, guardrail = self._agents.setdefault(agent.hooks, (Facts(self._name), Guardrail()))
        tools = AgentsAsTools(self._redacted_within)
        return {
            ASKED: lambda hook: guardrail.asked(hook.agent),
            ENDED: lambda hook: self._model_ended(guardrail, hook),
            "BeforeInvocationEvent": lambda hook: self._outbox.note(facts.invocation_started(hook)),
            "BeforeModelCallEvent": lambda hook: self._outbox.note(facts.model_asked(hook)),
            "AfterModelCallEvent": lambda hook: self._outbox.note(facts.model_ended(hook)),
            "AfterToolCallEvent": lambda hook: self._tool_ended(facts, tools, hook),
            "BeforeToolCallEvent": lambda hook: self._tool_started(facts, tools, hook),
            "MessageAddedEvent": lambda hook: self._message_added(guardrail, hook),
            "AfterInvocationEvent": lambda hook: self._invocation_ended(facts, guardrail, tools, hook),
        }

    def _tell(self, happened: list[Event]) -> Writer:
        self._outbox.queue(happened)
        return self._write

    def _message_added(self, guardrail: Guardrail, hook: Any) -> Writer:
        holds, outbox, agent = self._holds and is_prompt(hook.message), self._outbox, hook.agent
        with self._index_lock, session_exceptions():
            if not holds:
                outbox.release(agent.hooks)
            record = outbox.say(hook.message, agent.messages, hold_for=agent.hooks if holds else None)
            said = guardrail.said(hook.message, agent)
            said.index, said.created_at = record.message_id, record.created_at
        return None if holds else self._write

    def _tool_started(self, facts: Facts, tools: AgentsAsTools, hook: Any) -> Writer:
        tools.began(hook)
        return self._tell(facts.tool_started(hook))

    def _tool_ended(self, facts: Facts, tools: AgentsAsTools, hook: Any) -> None:
        tools.ended(hook)
        self._outbox.note(facts.tool_ended(hook))

    def _redacted_within(self, redaction: Any) -> Writer:
        """An agent that is a tool has redacted what stands in the state of the graph or swarm."""
        parts = self._name.split(":")
        above = [":".join(parts[:count]) for count in range(1, len(parts))]
        self._never_written.append(sought_by_ids(redaction, above))
        return self._write

    def _invocation_ended(self, facts: Facts, guardrail: Guardrail, tools: AgentsAsTools, hook: Any) -> Writer:
        tools.end()
        # A model call that was cancelled has no end of its own.
        self._model_ended(guardrail, hook)
        self._outbox.release(hook.agent.hooks)
        return self._tell(facts.invocation_ended(hook))

    def _model_ended(self, guardrail: Guardrail, hook: Any) -> Writer:
        with self._index_lock, session_exceptions():
            for said in guardrail.redacted(hook.agent):
                if said.index is None:
                    continue
                held, replaced = self._outbox.held_message(said.index), said.replaced()
                if self._outbox.redact_held(replaced):
                    found = [never_written(self._name, said.index, held, replaced.message)] if held else []
                    self._never_written += found
                else:
                    self._outbox.adopt([said.redacted(self._name, current_traceparent())])
                    self._to_erase.add(said.index)
        return self._write if self._to_erase or self._never_written else None

    def _write(self) -> None:
        with session_exceptions():
            self._flush()
            # Runs of one node may write side by side: what is erased once must not be taken for what comes after it.
            with self._erase_lock:
                self._erase()

    def _erase(self) -> None:
        for index in sorted(self._to_erase):
            erase_original(self._log, self._session_id, self._name, index, self._redact)
            self._to_erase.discard(index)
        while self._never_written:
            self._redact(self._never_written[0])
            erase_copies(self._log, self._session_id, self._never_written[0])
            self._never_written.pop(0)

    def _flush(self) -> None:
        with self._write_lock:
            # What may have landed keeps its place, or is told that another has it.
            if not self._has_begun and not self._outbox.is_unsettled:
                self._go_on()
            self._outbox.life = self._outbox.life or self._life()
            for left in range(_MAX_CONFLICTS, -1, -1):
                try:
                    return self._outbox.flush()
                except ConcurrentWriteError as error:
                    if not left or isinstance(error, SessionLostError):
                        raise
                    self._go_on()
        return None

    def _go_on(self) -> None:
        """After what the log holds by now."""
        last = self._known().messages.last_index
        with self._index_lock:
            moved = self._outbox.renumber(0 if last is None else last + 1)
            self._to_erase = {moved(index) for index in self._to_erase}
            for _, guardrail in self._agents.values():
                guardrail.renumber(moved)
        self._has_begun = True
