"""Graphs and swarms: their state, their nodes, and what the nodes' agents say.

Agents inside a graph or swarm may not carry a session manager, and their histories start anew with each run. They are
listened to instead: agent `<orchestrator>:<node>` of the session is the transcript of a node over all runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from strands.types.session import SessionMessage

from .. import events
from ..event_log import EventLog
from ..lifecycle import Facts, Journal, listen
from ..lifecycle.records import check_ids
from ..lifecycle.trace import current_traceparent
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
        self._started: dict[tuple[str, str], float] = {}

    def register(self, registry: Any, manager: Any) -> None:
        """Listen to one orchestrator's registry."""

        def initialized(hook: Any) -> Callable[[], None]:
            return lambda: self._initialize(hook.source, manager)

        listen(registry, "MultiAgentInitializedEvent", initialized)
        listen(registry, "BeforeNodeCallEvent", self._node_started)
        listen(registry, "AfterNodeCallEvent", self._node_ended)
        listen(registry, "AfterMultiAgentInvocationEvent", lambda hook: self.synced(hook.source))

    def synced(self, source: Any) -> Callable[[], None]:
        """Put the state of an orchestrator in line, as it is now; returns what writes it."""
        journal = self._journal(source.id)
        with session_exceptions():
            journal.queue([events.MultiAgentUpdated(source.serialize_state(), source.id, trace=current_traceparent())])
        return _writing(journal)

    def _initialize(self, source: Any, manager: Any) -> None:
        with session_exceptions():
            manager.initialize_multi_agent(source)
        if not self._records_facts:
            return
        state = self._state(self._session_id)
        for node_id, node in dict(getattr(source, "nodes", {})).items():
            agent = getattr(node, "executor", node)
            if hasattr(agent, "hooks") and hasattr(agent, "messages"):
                self._listen_to_node(f"{source.id}:{node_id}", agent, state)

    def _listen_to_node(self, name: str, agent: Any, state: SessionState) -> None:
        check_ids(self._session_id, name)
        journal = Journal(self._log, self._session_id, state.agents.get(name) or AgentState(name))
        facts = Facts(name)

        def message_added(hook: Any) -> Callable[[], None]:
            with session_exceptions():
                journal.message(SessionMessage.from_message(hook.message, journal.next_index))
            return _writing(journal)

        def tool_started(hook: Any) -> Callable[[], None]:
            journal.note(facts.tool_started(hook))
            journal.queue()
            return _writing(journal)

        def invocation_ended(hook: Any) -> Callable[[], None]:
            journal.note(facts.invocation_ended(hook))
            journal.queue()
            return _writing(journal)

        listen(agent.hooks, "BeforeInvocationEvent", lambda hook: journal.note(facts.invocation_started(hook)))
        listen(agent.hooks, "BeforeModelCallEvent", lambda hook: journal.note(facts.model_asked(hook)))
        listen(agent.hooks, "AfterModelCallEvent", lambda hook: journal.note(facts.model_ended(hook)))
        listen(agent.hooks, "AfterToolCallEvent", lambda hook: journal.note(facts.tool_ended(hook)))
        listen(agent.hooks, "BeforeToolCallEvent", tool_started)
        listen(agent.hooks, "MessageAddedEvent", message_added)
        listen(agent.hooks, "AfterInvocationEvent", invocation_ended)

    def _node_started(self, hook: Any) -> Callable[[], None] | None:
        self._started[hook.source.id, hook.node_id] = time.monotonic()
        if not self._records_facts:
            return None
        journal = self._journal(hook.source.id)
        journal.queue([events.NodeStarted({"node": hook.node_id}, hook.source.id, trace=current_traceparent())])
        return _writing(journal)

    def _node_ended(self, hook: Any) -> Callable[[], None]:
        started = self._started.pop((hook.source.id, hook.node_id), None)
        if self._records_facts:
            duration = None if started is None else round((time.monotonic() - started) * 1000, 3)
            data = {"node": hook.node_id, "status": _status(hook.source, hook.node_id), "duration_ms": duration}
            node = events.NodeCompleted(data, hook.source.id, trace=current_traceparent())
            self._journal(hook.source.id).note([node])
        return self.synced(hook.source)

    def _journal(self, name: str) -> Journal:
        return self._journals.setdefault(name, Journal(self._log, self._session_id, AgentState(name), fenced=False))


def _writing(journal: Journal) -> Callable[[], None]:
    def write() -> None:
        with session_exceptions():
            journal.flush()

    return write


def _status(source: Any, node_id: str) -> str | None:
    """How a node ended, as the orchestrator's own results say."""
    results = getattr(getattr(source, "state", None), "results", None)
    status = getattr(results.get(node_id), "status", None) if isinstance(results, dict) else None
    return getattr(status, "value", None)
