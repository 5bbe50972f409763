"""What the agents of the nodes of graphs and swarms say: transcripts that nothing resumes from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ..errors import ConcurrentWriteError, SessionLostError
from ..event_log import EventLog
from ..event_log.erasure_scope import Sought
from ..events import Event
from ..lifecycle import AgentHooks, AgentOutbox
from ..lifecycle.compat import Writer
from ..lifecycle.records import is_prompt
from ..lifecycle.redaction import Redactions, TrackedMessage, never_written, sought_by_ids
from ..state import AgentState, SessionState
from .errors import session_exceptions

_MAX_CONFLICTS = 10


class Transcript:
    """What the agents of one node say, over all its runs.

    Nothing resumes from it, so whoever else runs a node of this name meanwhile is let be: what is to be written goes on
    after that. What a guardrail redacts is redacted here, and its original erased, with the next append that succeeds.

    Args:
        name: The agent it is in the session; where one resumes from that name, it is `<name>/node`.
        state: Reads the newest state of the session.
        life: Tells which session that is, see `EventLog.life`, once it has begun.
        holds: Whether prompts are held back until their model call has settled.
        redact: Told of what was redacted, before it is erased.

    Attributes:
        lock: Held while a message gets its index, and whoever refers to it learns that.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        name: str,
        state: Callable[[], SessionState],
        life: Callable[[], str | None],
        holds: bool,
        redact: Callable[[Sought], None],
    ) -> None:
        self._state, self._life, self.holds = state, life, holds
        self.outbox = AgentOutbox(log, session_id, AgentState(name), fenced="")
        self.redactions = Redactions(self.outbox, redact)
        self._agents: WeakKeyDictionary[Any, _NodeAgent] = WeakKeyDictionary()
        self._has_begun = False
        self.lock, self._write_lock = threading.Lock(), threading.Lock()

    def begin(self, agent: Any) -> AgentHooks:
        """A run of the node, which begins after what the log holds of it by then; returns what hears its agent."""
        self._has_begun = False
        self.outbox.forget_what_is_held()
        return self._agents.setdefault(agent.hooks, _NodeAgent(self))

    def write(self) -> None:
        """Write what is in line, after whatever others have said in this node, and erase what was redacted.

        Raises:
            SessionException: When it cannot be written, or erased, now.
        """
        with session_exceptions:
            self._flush()
            if self.redactions:
                self.redactions.finish()

    def _flush(self) -> None:
        with self._write_lock:
            # What may have landed keeps its place, or is told that another has it.
            if not self._has_begun and not self.outbox.is_unsettled:
                self._go_on()
            self.outbox.life = self.outbox.life or self._life()
            for left in range(_MAX_CONFLICTS, -1, -1):
                try:
                    return self.outbox.flush()
                except ConcurrentWriteError as error:
                    if not left or isinstance(error, SessionLostError):
                        raise
                    self._go_on()
        return None

    def _go_on(self) -> None:
        """After what the log holds by now."""
        agents = self._state().agents
        known = agents.get(self.outbox.agent_id)
        if known is not None and known.record is not None:
            # No agent of Strands can be called that.
            self.outbox.rename(f"{self.outbox.agent_id}/node")
            for agent in self._agents.values():
                agent.facts.agent_id = self.outbox.agent_id
            known = agents.get(self.outbox.agent_id)
        last = known.messages.last_index if known else None
        with self.lock:
            new = self.outbox.renumber(0 if last is None else last + 1)
            self.redactions.renumber(new)
            for agent in self._agents.values():
                agent.guardrail.renumber(new)
        self._has_begun = True


class _NodeAgent(AgentHooks):
    """One agent of a node."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__(transcript.outbox.agent_id)
        self._transcript, self._outbox = transcript, transcript.outbox
        self.note = transcript.outbox.note

    def tell(self, told: Sequence[Event]) -> Writer:
        self._outbox.queue(told)
        return self._transcript.write

    def message_added(self, hook: Any) -> Writer:
        holds = self._transcript.holds and is_prompt(hook.message)
        with self._transcript.lock, session_exceptions:
            if not holds:
                self._outbox.release(self)
            record = self._outbox.say(hook.message, hook.agent.messages, hold_for=self if holds else None)
            said = self.guardrail.said(hook.message, hook.agent)
            said.index, said.created_at = record.message_id, record.created_at
        return None if holds else self._transcript.write

    def invocation_ended(self, hook: Any) -> Writer:
        self.tools.end()
        # A model call that was cancelled has no end of its own.
        self.unguard(hook)
        self._outbox.release(self)
        return self.tell(self.facts.invocation_ended(hook))

    def unguard(self, hook: Any) -> Writer:
        super().unguard(hook)
        return self._transcript.write if self._transcript.redactions else None

    def redacted(self, said: TrackedMessage) -> None:
        with self._transcript.lock, session_exceptions:
            if said.index is None:
                return
            replaced, redactions = said.replaced(), self._transcript.redactions
            if original := redactions.redact(replaced):
                redactions.look_for(never_written(self._outbox.agent_id, said.index, original, replaced.message))

    def redacted_within(self, redaction: Any) -> Writer:
        """An agent that is a tool has redacted what stands in the state of the graph or swarm."""
        parts = self._outbox.agent_id.split(":")
        names = [":".join(parts[:count]) for count in range(1, len(parts))] + [self._outbox.agent_id]
        self._transcript.redactions.look_for(sought_by_ids(redaction, names))
        return self._transcript.write
