"""Graphs and swarms: their state, their nodes, and what the nodes' agents say.

Agents inside a graph or swarm may not carry a session manager, and their histories start anew with each run. They are
listened to instead, while their node is called: agent `<orchestrator>:<node>` of the session is the transcript of a
node over all runs, and `<orchestrator>:<node>:<inner node>` that of a node in a graph or swarm that is a node itself.
Where an agent of the session has that id already, the transcript is `<orchestrator>:<node>/node`, which no agent of
Strands can be called.

A prompt that a guardrail redacts in a node is redacted in the transcript of the node. The orchestrator's own state,
`multi_agent.created` and `multi_agent.updated`, may still hold it as the orchestrator's task: Strands keeps it there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from strands.types.session import SessionMessage

from .. import events
from ..codec import to_json
from ..errors import ConcurrentWriteError, SessionLostError
from ..event_log import EventLog
from ..events import Event
from ..ids import START, EventId, check_id
from ..lifecycle import Facts, Journal, listen
from ..lifecycle.erasing import erase_original
from ..lifecycle.guardrail import Guardrail
from ..lifecycle.hooks import Handler, Writer
from ..lifecycle.nodes import ASKED, ENDED, Handlers, NodeFacts, NodeRuns, listen_to_nodes
from ..lifecycle.trace import current_traceparent
from ..lifecycle.withheld import said_since
from ..state import AgentState, SessionState
from .errors import session_exceptions

_MAX_CONFLICTS = 10


class Orchestrators:
    """Listens to the graphs and swarms of one session.

    Args:
        log: Where to write.
        session_id: The session.
        state: Reads the newest state of a session.
        is_agent: Whether there is an agent of this id that resumes from its transcript.
        records_facts: Whether nodes, and what happens in them, are events too.

    Attributes:
        runs: The nodes at work.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        state: Callable[[str], SessionState],
        is_agent: Callable[[str], bool],
        records_facts: bool,
    ) -> None:
        self.log, self.session_id, self.records_facts = log, session_id, records_facts
        self._state, self._is_agent = state, is_agent
        self._each: WeakKeyDictionary[Any, Orchestrator] = WeakKeyDictionary()
        self._transcripts: dict[str, Transcript] = {}
        self.runs = NodeRuns(self._handlers)
        self.life: str | None = None

    def register(self, registry: Any, restore: Callable[[Any], None]) -> None:
        """Listen to one orchestrator's registry.

        Args:
            registry: Its hooks.
            restore: Gives it the state that the session has of it, or writes its first one.
        """
        self._each[registry] = Orchestrator(self, restore)
        self._each[registry].register(registry)

    def session_deleted(self) -> None:
        """Begin anew with the next call: what runs has a task and results of the session that was deleted."""
        self.life = None
        self.runs.end()
        self._transcripts.clear()
        for one in self._each.values():
            one.session_deleted()

    def keep_to_life(self, journal: Journal) -> None:
        """What is written later belongs to the session that was begun anew."""
        if self.life is None and not (found := self.log.life(self.session_id).name).startswith(" "):
            self.life = found
        journal.life = self.life

    def synced(self, source: Any, restore: Callable[[Any], None]) -> Callable[[], None]:
        """Put the state of an orchestrator in line, as it is now; returns what writes it."""
        found = self._each.get(getattr(source, "hooks", None)) or Orchestrator(self, restore)
        return found.synced(source)

    def _handlers(self, name: str, agent: Any) -> Handlers:
        name = f"{name}/node" if self._is_agent(name) else name
        if name not in self._transcripts:
            known = partial(self._known, name)
            self._transcripts[name] = Transcript(self.log, self.session_id, name, known, lambda: self.life)
        return self._transcripts[name].handlers(agent)

    def _known(self, name: str) -> AgentState:
        return self._state(self.session_id).agents.get(name) or AgentState(name)


class Orchestrator:
    """One graph or swarm.

    It resumes from its state, so that is fenced, each run for itself: one that resumes, from where it was stopped; any
    other from what is there when it begins. Its first node takes the fence, so whoever had it before is refused from
    then on. After a refusal it is restored before it runs again.

    Args:
        all: Those of the session.
        restore: See `Orchestrators.register`.
    """

    def __init__(self, all: Orchestrators, restore: Callable[[Any], None]) -> None:
        self._all, self._restore = all, restore
        self._journal: Journal | None = None
        self._facts: Facts | None = None
        self._node_facts = NodeFacts()
        self._is_withheld = self._is_refused = False
        self._source: Callable[[], Any] = lambda: None
        self._shared_before: Any = None

    def register(self, registry: Any) -> None:
        """Listen to it."""
        listen(registry, "MultiAgentInitializedEvent", lambda hook: partial(self._initialize, hook.source))
        listen(registry, "BeforeMultiAgentInvocationEvent", self._invocation_started)
        listen(registry, "BeforeNodeCallEvent", self._unless_withheld(self._node_started))
        listen(registry, "AfterNodeCallEvent", self._unless_withheld(self._node_ended))
        listen(registry, "AfterMultiAgentInvocationEvent", self._unless_withheld(self._invocation_ended))

    def session_deleted(self) -> None:
        """Write nothing more of this run, and later on nothing of what its agents have shared until now."""
        self._is_withheld, self._journal = True, None
        if (source := self._source()) is not None:
            # What cannot be stored is not written, either.
            with suppress(Exception):
                self._shared_before = to_json(_shared(source.serialize_state()))

    def synced(self, source: Any) -> Callable[[], None]:
        """Put its state in line, as it is now; returns what writes it."""
        journal = self._journal_of(source)
        if not self._is_withheld:
            with session_exceptions():
                trace = current_traceparent()
                journal.queue([events.MultiAgentUpdated(self._state_of(source), source.id, trace=trace)])
        return self._writing(journal)

    def _state_of(self, source: Any) -> Any:
        """Without what the agents of a swarm shared in a session that was deleted: it stays from call to call."""
        state = source.serialize_state()
        if not self._shared_before or not _shared(state):
            return state
        shared = said_since(_shared(state), self._shared_before)
        return {**state, "context": {**state["context"], "shared_context": shared}}

    def _unless_withheld(self, handle: Handler) -> Handler:
        return lambda hook: None if self._is_withheld else handle(hook)

    def _initialize(self, source: Any) -> None:
        self._source = weakref.ref(source)
        with session_exceptions():
            # What is written later belongs to the session that is read, or begun, here.
            life = self._all.life or self._life()
            self._restored(source)
            self._all.life = self._life() if life.startswith(" ") else life
            self._begun(source, self._fence)
        if self._all.records_facts:
            self._facts_of(source).prime(source)
            for name in listen_to_nodes(source):
                check_id("agent_id", name)

    def _restored(self, source: Any) -> None:
        """Restore it from the state it has at the fence."""
        for _ in range(_MAX_CONFLICTS):
            before = self._moved(source)
            self._restore(source)
            self._fence = self._moved(source)
            if before in (self._fence, START):
                return

    def _life(self) -> str:
        return self._all.log.life(self._all.session_id).name

    def _moved(self, source: Any) -> EventId:
        with session_exceptions():
            return self._all.log.moved(self._all.session_id, source.id)

    def _begun(self, source: Any, at: EventId) -> Journal:
        known = AgentState(source.id, moved=at)
        log, session_id = self._all.log, self._all.session_id
        self._fence = at
        self._journal = Journal(log, session_id, known, fenced="multi_agent", life=self._all.life)
        return self._journal

    def _invocation_started(self, hook: Any) -> Callable[[], None] | None:
        if self._is_withheld and _resumes(hook.source):
            # With its task and results of a session that was deleted.
            return None
        self._is_withheld = False
        self._all.runs.end(hook.source)
        if self._is_refused or not _resumes(hook.source):
            return partial(self._begin, hook.source)
        self._answered(hook.source)
        return None

    def _begin(self, source: Any) -> None:
        with session_exceptions():
            if self._is_refused:
                self._restored(source)
                self._journal, self._is_refused = None, False
            moved = self._moved(source)
            # What could not be written yet is of a run that others have followed.
            if self._journal is None or self._journal.moved != moved:
                self._begun(source, moved)

    def _node_started(self, hook: Any) -> Callable[[], None] | None:
        if not self._all.records_facts:
            return None
        # Strands takes the answers of humans only after it told that the orchestrator was called.
        self._answered(hook.source)
        journal = self._journal_of(hook.source)
        journal.queue(self._node_facts.started(hook))
        self._all.runs.begin(hook, hook.source.id)
        return self._writing(journal)

    def _node_ended(self, hook: Any) -> Callable[[], None]:
        self._all.runs.ended(hook)
        if self._all.records_facts:
            self._journal_of(hook.source).note(self._node_facts.ended(hook))
        return self.synced(hook.source)

    def _invocation_ended(self, hook: Any) -> Callable[[], None]:
        self._all.runs.end(hook.source)
        if self._all.records_facts:
            raised = self._facts_of(hook.source).interrupts_raised(hook.source)
            self._journal_of(hook.source).note(_of_nodes_left_out(raised, hook.source))
        return self.synced(hook.source)

    def _answered(self, source: Any) -> None:
        if self._all.records_facts:
            answered = self._facts_of(source).interrupts_answered(source)
            self._journal_of(source).note(_of_nodes_left_out(answered, source))

    def _facts_of(self, source: Any) -> Facts:
        self._facts = self._facts or Facts(source.id)
        return self._facts

    def _journal_of(self, source: Any) -> Journal:
        return self._journal or self._begun(source, self._moved(source))

    def _writing(self, journal: Journal) -> Callable[[], None]:
        def write() -> None:
            with session_exceptions():
                try:
                    journal.flush()
                except ConcurrentWriteError:
                    self._is_refused = True
                    raise
                self._all.keep_to_life(journal)

        return write


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
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        name: str,
        known: Callable[[], AgentState],
        life: Callable[[], str | None],
    ) -> None:
        self._log, self._session_id, self._name, self._known, self._life = log, session_id, name, known, life
        self._journal = Journal(log, session_id, AgentState(name), fenced="")
        self._agents: WeakKeyDictionary[Any, tuple[Facts, Guardrail]] = WeakKeyDictionary()
        self._to_erase: set[int] = set()
        self._has_begun = False
        self._index_lock, self._write_lock = threading.Lock(), threading.Lock()

    def handlers(self, agent: Any) -> Handlers:
        """What to do in a run of the node, which begins after what the log holds of it by then."""
        self._has_begun = False
        facts, guardrail = self._agents.setdefault(agent.hooks, (Facts(self._name), Guardrail()))
        return {
            ASKED: lambda hook: guardrail.asked(hook.agent),
            ENDED: lambda hook: self._model_ended(guardrail, hook),
            "BeforeInvocationEvent": lambda hook: self._journal.note(facts.invocation_started(hook)),
            "BeforeModelCallEvent": lambda hook: self._journal.note(facts.model_asked(hook)),
            "AfterModelCallEvent": lambda hook: self._journal.note(facts.model_ended(hook)),
            "AfterToolCallEvent": lambda hook: self._journal.note(facts.tool_ended(hook)),
            "BeforeToolCallEvent": lambda hook: self._tell(facts.tool_started(hook)),
            "MessageAddedEvent": lambda hook: self._message_added(guardrail, hook),
            "AfterInvocationEvent": lambda hook: self._invocation_ended(facts, guardrail, hook),
        }

    def _tell(self, happened: list[Event]) -> Writer:
        self._journal.queue(happened)
        return self._write

    def _message_added(self, guardrail: Guardrail, hook: Any) -> Writer:
        with self._index_lock, session_exceptions():
            record = SessionMessage.from_message(hook.message, self._journal.next_index)
            self._journal.message(record)
            said = guardrail.said(hook.message, hook.agent)
            said.index, said.created_at = record.message_id, record.created_at
        return self._write

    def _invocation_ended(self, facts: Facts, guardrail: Guardrail, hook: Any) -> Writer:
        # A model call that was cancelled has no end of its own.
        self._model_ended(guardrail, hook)
        return self._tell(facts.invocation_ended(hook))

    def _model_ended(self, guardrail: Guardrail, hook: Any) -> Writer:
        found = [said for said in guardrail.redacted(hook.agent) if said.index is not None]
        for said in found:
            with session_exceptions():
                self._journal.adopt([said.redacted(self._name, current_traceparent())])
            self._to_erase.add(said.index or 0)
        return self._write if found else None

    def _write(self) -> None:
        with session_exceptions():
            self._flush()
            for index in sorted(self._to_erase):
                erase_original(self._log, self._session_id, self._name, index)
                self._to_erase.discard(index)

    def _flush(self) -> None:
        with self._write_lock:
            # What may have landed keeps its place, or is told that another has it.
            if not self._has_begun and not self._journal.is_unsettled:
                self._go_on()
            self._journal.life = self._journal.life or self._life()
            for left in range(_MAX_CONFLICTS, -1, -1):
                try:
                    return self._journal.flush()
                except ConcurrentWriteError as error:
                    if not left or isinstance(error, SessionLostError):
                        raise
                    self._go_on()
        return None

    def _go_on(self) -> None:
        """After what the log holds by now."""
        last = self._known().messages.last_index
        with self._index_lock:
            moved = self._journal.renumber(0 if last is None else last + 1)
            self._to_erase = {moved(index) for index in self._to_erase}
            for _, guardrail in self._agents.values():
                guardrail.renumber(moved)
        self._has_begun = True


def _shared(state: Any) -> Any:
    """What the agents of a swarm have told each other."""
    context = state.get("context") if isinstance(state, dict) else None
    return context.get("shared_context") if isinstance(context, dict) else None


def _resumes(source: Any) -> bool:
    """Whether its next run goes on where one was stopped, as Strands decides it."""
    interrupts = getattr(source, "_interrupt_state", None)
    return getattr(source, "_resume_from_session", False) or getattr(interrupts, "activated", False)


def _of_nodes_left_out(interrupts: list[Event], source: Any) -> list[Event]:
    """Only what hooks of the orchestrator raised: what a node's agent raised is told by the agent."""
    told: set[str] = set()
    for node in source._interrupt_state.context.values() if interrupts else ():
        state = node.get("interrupt_state") if isinstance(node, dict) else None
        told |= set((state or {}).get("interrupts", {}))
    return [one for one in interrupts if one.data["id"] not in told]
