"""Graphs and swarms: their state, their nodes, and what the nodes' agents say.

Agents inside a graph or swarm may not carry a session manager, and their histories start anew with each run. They are
listened to instead: agent `<orchestrator>:<node>` of the session is the transcript of a node over all runs, and
`<orchestrator>:<node>:<inner node>` that of a node in a graph or swarm that is a node itself.

A prompt that a guardrail redacts in a node is redacted in the transcript of the node. The orchestrator's own state,
`multi_agent.created` and `multi_agent.updated`, may still hold it as the orchestrator's task: Strands keeps it there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from strands.types.session import SessionMessage

from .. import events
from ..codec import to_json
from ..event_log import EventLog
from ..events import Event
from ..ids import check_id
from ..lifecycle import Facts, Journal, listen
from ..lifecycle.erasing import erase_original
from ..lifecycle.guardrail import Guardrail, watch
from ..lifecycle.hooks import Handler
from ..lifecycle.trace import current_traceparent
from ..lifecycle.withheld import said_since
from ..state import AgentState, SessionState
from .errors import session_exceptions


class Orchestrators:
    """Listens to the graphs and swarms of one session.

    Args:
        log: Where to write.
        session_id: The session.
        state: Reads the newest state of a session.
        records_facts: Whether nodes, and what happens in them, are events too.
    """

    def __init__(
        self, log: EventLog, session_id: str, state: Callable[[str], SessionState], records_facts: bool
    ) -> None:
        self._log, self._session_id, self._state, self._records_facts = log, session_id, state, records_facts
        self._journals: dict[str, Journal] = {}
        self._facts: dict[str, Facts] = {}
        self._started: dict[tuple[str, str], float] = {}
        self._nodes: WeakSet[Node] = WeakSet()
        self._life: str | None = None
        self._withheld: set[str] = set()
        self._sources: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._shared: dict[str, Any] = {}

    def register(self, registry: Any, manager: Any) -> None:
        """Listen to one orchestrator's registry."""

        def initialized(hook: Any) -> Callable[[], None]:
            return lambda: self._initialize(hook.source, manager)

        listen(registry, "MultiAgentInitializedEvent", initialized)
        listen(registry, "BeforeMultiAgentInvocationEvent", self._invocation_started)
        listen(registry, "BeforeNodeCallEvent", self._unless_withheld(self._node_started))
        listen(registry, "AfterNodeCallEvent", self._unless_withheld(self._node_ended))
        listen(registry, "AfterMultiAgentInvocationEvent", self._unless_withheld(self._invocation_ended))

    def session_deleted(self) -> None:
        """Begin anew with the next call: what runs has a task and results of the session that was deleted."""
        self._withheld |= self._journals.keys() | self._facts.keys()
        for name, source in self._sources.items():
            # What cannot be stored is not written, either.
            with suppress(Exception):
                self._shared[name] = to_json(_shared(source.serialize_state()))
        self._journals.clear()
        self._life = None
        for node in self._nodes:
            node.session_deleted()

    def synced(self, source: Any) -> Callable[[], None]:
        """Put the state of an orchestrator in line, as it is now; returns what writes it."""
        journal = self._journal(source.id)
        if source.id in self._withheld:
            return self._writing(journal)
        with session_exceptions():
            journal.queue([events.MultiAgentUpdated(self._state_of(source), source.id, trace=current_traceparent())])
        return self._writing(journal)

    def _writing(self, journal: Journal) -> Callable[[], None]:
        def write() -> None:
            with session_exceptions():
                journal.flush()
                if self._life is None:
                    self._keep_to_life()

        return write

    def _keep_to_life(self) -> None:
        """A session was begun anew: what is written later belongs to that one."""
        found = self._log.life(self._session_id).name
        if not found.startswith(" "):
            self._life = found
            for journal in list(self._journals.values()):
                journal.life = found

    def _state_of(self, source: Any) -> Any:
        """Without what the agents of a swarm shared in a session that was deleted: it stays from call to call."""
        state = source.serialize_state()
        if source.id not in self._shared or not _shared(state):
            return state
        shared = said_since(_shared(state), self._shared[source.id])
        return {**state, "context": {**state["context"], "shared_context": shared}}

    def _unless_withheld(self, handle: Handler) -> Handler:
        return lambda hook: None if hook.source.id in self._withheld else handle(hook)

    def _initialize(self, source: Any, manager: Any) -> None:
        self._sources[source.id] = source
        with session_exceptions():
            # What is written later belongs to the session that is read, or begun, here.
            life = self._life or self._log.life(self._session_id).name
            manager.initialize_multi_agent(source)
            self._life = self._log.life(self._session_id).name if life.startswith(" ") else life
        if self._records_facts:
            self._facts_of(source).prime(source)
            self._listen_to_nodes(source, source.id, self._state(self._session_id))

    def _listen_to_nodes(self, source: Any, name: str, state: SessionState) -> None:
        """Those of graphs and swarms within as well, named after the nodes on the way to them."""
        for node_id, node in dict(getattr(source, "nodes", {})).items():
            inner = f"{name}:{node_id}"
            executor: Any = getattr(node, "executor", node)
            if hasattr(executor, "hooks") and hasattr(executor, "messages"):
                check_id("agent_id", inner)
                known = state.agents.get(inner) or AgentState(inner)
                listener = Node(self._log, self._session_id, known, self._life)
                listener.register(executor.hooks)
                self._nodes.add(listener)
            elif hasattr(executor, "nodes"):
                self._listen_to_nodes(executor, inner, state)

    def _invocation_started(self, hook: Any) -> None:
        if hook.source.id in self._withheld and _goes_on(hook.source):
            # With its task and results of before.
            return
        self._withheld.discard(hook.source.id)
        for node in self._nodes:
            node.orchestrator_called(hook.source.id)
        self._answered(hook.source)

    def _node_started(self, hook: Any) -> Callable[[], None] | None:
        self._started[hook.source.id, hook.node_id] = time.monotonic()
        if not self._records_facts:
            return None
        # Strands takes the answers of humans only after it told that the orchestrator was called.
        self._answered(hook.source)
        journal = self._journal(hook.source.id)
        journal.queue([events.NodeStarted({"node": hook.node_id}, hook.source.id, trace=current_traceparent())])
        return self._writing(journal)

    def _node_ended(self, hook: Any) -> Callable[[], None]:
        started = self._started.pop((hook.source.id, hook.node_id), None)
        if self._records_facts:
            duration = None if started is None else round((time.monotonic() - started) * 1000, 3)
            data = {"node": hook.node_id, "status": _status(hook.source, hook.node_id), "duration_ms": duration}
            node = events.NodeCompleted(data, hook.source.id, trace=current_traceparent())
            self._journal(hook.source.id).note([node])
        return self.synced(hook.source)

    def _invocation_ended(self, hook: Any) -> Callable[[], None]:
        if self._records_facts:
            raised = self._facts_of(hook.source).interrupts_raised(hook.source)
            self._journal(hook.source.id).note(_of_nodes_left_out(raised, hook.source))
        return self.synced(hook.source)

    def _answered(self, source: Any) -> None:
        if self._records_facts:
            answered = self._facts_of(source).interrupts_answered(source)
            self._journal(source.id).note(_of_nodes_left_out(answered, source))

    def _facts_of(self, source: Any) -> Facts:
        return self._facts.setdefault(source.id, Facts(source.id))

    def _journal(self, name: str) -> Journal:
        journal = Journal(self._log, self._session_id, AgentState(name), fenced=False, life=self._life)
        return self._journals.setdefault(name, journal)


class Node:
    """Listens to the agent of one node.

    What a guardrail redacts is redacted in the transcript of the node, and its original erased, with the next append
    that succeeds.

    Args:
        log: Where to write.
        session_id: The session.
        known: What the log holds of it, under its name.
        life: Which session that is, see `EventLog.life`.
    """

    def __init__(self, log: EventLog, session_id: str, known: AgentState, life: str | None) -> None:
        self._log, self._session_id, self._name = log, session_id, known.agent_id
        self._journal, self._facts, self._guardrail = (
            Journal(log, session_id, known, life=life),
            Facts(known.agent_id),
            Guardrail(),
        )
        self._to_erase: set[int] = set()
        self._is_silent = False

    def session_deleted(self) -> None:
        """Begin anew, with the next call of its orchestrator."""
        self._journal.reset()
        self._to_erase.clear()
        self._is_silent = True

    def orchestrator_called(self, name: str) -> None:
        """A graph or swarm was called; it may be the one around this node."""
        self._is_silent = self._is_silent and not self._name.startswith(f"{name}:")

    def register(self, registry: Any) -> None:
        """Listen to the agent's registry."""
        watch(registry, lambda hook: self._guardrail.asked(hook.agent), self._unless_silent(self._model_ended))
        listen(registry, "BeforeInvocationEvent", self._noting(self._facts.invocation_started))
        listen(registry, "BeforeModelCallEvent", self._noting(self._facts.model_asked))
        listen(registry, "AfterModelCallEvent", self._noting(self._facts.model_ended))
        listen(registry, "AfterToolCallEvent", self._noting(self._facts.tool_ended))
        listen(registry, "BeforeToolCallEvent", self._unless_silent(self._tool_started))
        listen(registry, "MessageAddedEvent", self._unless_silent(self._message_added))
        listen(registry, "AfterInvocationEvent", self._unless_silent(self._invocation_ended))

    def _unless_silent(self, handle: Handler) -> Handler:
        return lambda hook: None if self._is_silent else handle(hook)

    def _noting(self, tell: Callable[[Any], list[Event]]) -> Handler:
        return self._unless_silent(lambda hook: self._journal.note(tell(hook)))

    def _message_added(self, hook: Any) -> Callable[[], None]:
        record = SessionMessage.from_message(hook.message, self._journal.next_index)
        with session_exceptions():
            self._journal.message(record)
        said = self._guardrail.said(hook.message, hook.agent)
        said.index, said.created_at = record.message_id, record.created_at
        return self._write

    def _tool_started(self, hook: Any) -> Callable[[], None]:
        self._journal.queue(self._facts.tool_started(hook))
        return self._write

    def _invocation_ended(self, hook: Any) -> Callable[[], None]:
        # A model call that was cancelled has no end of its own.
        self._model_ended(hook)
        self._journal.queue(self._facts.invocation_ended(hook))
        return self._write

    def _model_ended(self, hook: Any) -> Callable[[], None] | None:
        found = [said for said in self._guardrail.redacted(hook.agent) if said.index is not None]
        for said in found:
            with session_exceptions():
                self._journal.adopt([said.redacted(self._name, current_traceparent())])
            self._to_erase.add(said.index or 0)
        return self._write if found else None

    def _write(self) -> None:
        with session_exceptions():
            self._journal.flush()
            for index in sorted(self._to_erase):
                erase_original(self._log, self._session_id, self._name, index)
                self._to_erase.discard(index)


def _goes_on(source: Any) -> bool:
    """Whether an orchestrator that is called goes on with what was interrupted, or was under way."""
    waits = getattr(getattr(source, "_interrupt_state", None), "activated", False)
    return bool(waits or getattr(source, "_resume_from_session", False))


def _shared(state: Any) -> Any:
    """What the agents of a swarm have told each other."""
    context = state.get("context") if isinstance(state, dict) else None
    return context.get("shared_context") if isinstance(context, dict) else None


def _status(source: Any, node_id: str) -> str | None:
    """How a node ended, as the orchestrator's own results say."""
    results = getattr(getattr(source, "state", None), "results", None)
    status = getattr(results.get(node_id), "status", None) if isinstance(results, dict) else None
    return getattr(status, "value", None)


def _of_nodes_left_out(interrupts: list[Event], source: Any) -> list[Event]:
    """Only what hooks of the orchestrator raised: what a node's agent raised is told by the agent."""
    told: set[str] = set()
    for node in source._interrupt_state.context.values() if interrupts else ():
        state = node.get("interrupt_state") if isinstance(node, dict) else None
        told |= set((state or {}).get("interrupts", {}))
    return [one for one in interrupts if one.data["id"] not in told]
