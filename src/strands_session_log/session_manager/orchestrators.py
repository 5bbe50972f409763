"""Graphs and swarms: their state, their nodes, and what the nodes' agents say.

Agents inside a graph or swarm may not carry a session manager, and their histories start anew with each run. They are
listened to instead, while their node is called: agent `<orchestrator>:<node>` of the session is the transcript of a
node over all runs, and `<orchestrator>:<node>:<inner node>` that of a node in a graph or swarm that is a node itself.
Where an agent of the session has that id already, the transcript is `<orchestrator>:<node>/node`, which no agent of
Strands can be called.

A prompt that a guardrail redacts in a node is redacted in the transcript of the node, and in the orchestrator's own
state, `multi_agent.created` and `multi_agent.updated`, which holds what it was made of: the orchestrator's task, what
other nodes have said. Strands keeps these in the live orchestrator; a run that resumes elsewhere goes on with the
redaction.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from .. import events
from ..codec import from_json, to_json
from ..errors import AlreadyAnsweredError, ConcurrentWriteError
from ..event_log import EventLog
from ..event_log.erasure_scope import Sought
from ..events import Event
from ..ids import START, EventId, check_id
from ..lifecycle import AgentHooks, Facts, Outbox
from ..lifecycle.compat import Handler, Heard, listen
from ..lifecycle.facts import answered, current_traceparent
from ..lifecycle.nodes import NodeRuns, listen_to_nodes
from ..lifecycle.redaction import without
from ..lifecycle.withheld import said_since
from ..state import ANSWERING, Answering, SessionState, is_interrupted
from .errors import session_exceptions
from .nodes import Transcript

_MAX_CONFLICTS = 10


class Orchestrators:
    """Listens to the graphs and swarms of one session.

    Args:
        state: Reads the newest state of the session.
        records_facts: Whether nodes, and what happens in them, are events too.
        holds_user_messages: Whether the prompt of a node waits for its model call to settle.

    Attributes:
        runs: The nodes at work.
    """

    def __init__(
        self,
        log: EventLog,
        session_id: str,
        state: Callable[[], SessionState],
        records_facts: bool,
        holds_user_messages: bool,
    ) -> None:
        self.log, self.session_id, self.records_facts = log, session_id, records_facts
        self._state, self._holds = state, holds_user_messages
        self._each: WeakKeyDictionary[Any, Orchestrator] = WeakKeyDictionary()
        self._transcripts: dict[str, Transcript] = {}
        self.runs = NodeRuns(self._hooks_of)
        self.life: str | None = None
        self._redacted: list[Sought] = []

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
        for one in list(self._each.values()):
            one.session_deleted()

    def keep_to_life(self, outbox: Outbox) -> None:
        """What is written later belongs to the session that was begun anew."""
        if self.life is None and not (found := self.log.life(self.session_id).name).startswith(" "):
            self.life = found
        outbox.life = self.life

    def synced(self, source: Any, restore: Callable[[Any], None]) -> Callable[[], None]:
        """Put the state of an orchestrator in line, as it is now; returns what writes it."""
        registry = getattr(source, "hooks", None)
        # One of the user's own making may have no hooks.
        found = None if registry is None else self._each.get(registry)
        return (found or Orchestrator(self, restore)).synced(source)

    def without_redacted(self, name: str, state: dict[str, Any]) -> dict[str, Any]:
        """The state of an orchestrator, without what was redacted in its nodes."""
        found = [one for one in list(self._redacted) if one.is_above(name)]
        return without(state, found, above=True) if found else state

    def forget_redacted(self, name: str) -> None:
        """An orchestrator has another task."""
        self._redacted = [found for found in self._redacted if not found.is_above(name)]

    def state_of(self, name: str) -> Any:
        """The state of an orchestrator as the log has it; None if it has none."""
        return self._state().multi_agents.get(name)

    def redact(self, found: Sought) -> None:
        """What nodes were told is about to be erased: before that, orchestrators are kept without it."""
        self._redacted.append(found)
        for one in list(self._each.values()):
            one.redact(found)

    def _hooks_of(self, name: str, agent: Any) -> AgentHooks:
        if name not in self._transcripts:
            where = self.log, self.session_id, name, self._state
            self._transcripts[name] = Transcript(*where, lambda: self.life, self._holds, self.redact)
        return self._transcripts[name].begin(agent)


class Orchestrator:
    """One graph or swarm.

    It resumes from its state, so that is fenced, each run for itself: one that resumes, from where it was stopped; any
    other from what is there when it begins. Its first node takes the fence, so whoever had it before is refused from
    then on. After a refusal it is restored before it runs again. A run that goes on from a person's answers claims them
    with its first node, before any tool runs: what is restored meanwhile sees that, and is refused.

    Args:
        all: Those of the session.
        restore: See `Orchestrators.register`.
    """

    def __init__(self, all: Orchestrators, restore: Callable[[Any], None]) -> None:
        self._all, self._restore = all, restore
        self._outbox: Outbox | None = None
        self._facts: Facts | None = None
        self._is_withheld = self._is_refused = self._is_taken = False
        self._answering: Answering | None = None
        self._state: dict[str, Any] | None = None
        self._state_lock = threading.Lock()
        self._source: Callable[[], Any] = lambda: None
        self._shared_before: Any = None

    def register(self, registry: Any) -> None:
        """Listen to it."""
        listen(
            registry,
            Heard("MultiAgentInitializedEvent", lambda hook: partial(self._initialize, hook.source)),
            Heard("BeforeMultiAgentInvocationEvent", self._invocation_started),
            Heard("BeforeNodeCallEvent", self._unless_withheld(self._node_started)),
            Heard("AfterNodeCallEvent", self._unless_withheld(self._node_ended)),
            Heard("AfterMultiAgentInvocationEvent", self._unless_withheld(self._invocation_ended)),
        )

    def session_deleted(self) -> None:
        """Write nothing more of this run, and later on nothing of what its agents have shared until now."""
        self._is_withheld, self._outbox, self._state = True, None, None
        if (source := self._source()) is not None:
            # What cannot be stored is not written, either.
            with suppress(Exception):
                self._shared_before = to_json(_shared(source.serialize_state()))

    def synced(self, source: Any) -> Callable[[], None]:
        """Put its state in line, as it is now; returns what writes it."""
        outbox = self._outbox_of(source)
        if not self._is_withheld:
            with self._state_lock, session_exceptions:
                state = self._all.without_redacted(source.id, self._state_of(source))
                claimed = {ANSWERING: self._answering.told()} if self._answering and is_interrupted(state) else {}
                self._queue(outbox, source.id, {**state, **claimed})
        return self._writing(outbox)

    def _state_of(self, source: Any) -> Any:
        """Without what the agents of a swarm shared in a session that was deleted: it stays from call to call."""
        state = source.serialize_state()
        if not self._shared_before or not _shared(state):
            return state
        shared = said_since(_shared(state), self._shared_before)
        return {**state, "context": {**state["context"], "shared_context": shared}}

    def _queue(self, outbox: Outbox, name: str, state: dict[str, Any]) -> None:
        outbox.queue([events.MultiAgentUpdated(state, name, trace=current_traceparent())])
        self._state = state

    def redact(self, found: Sought) -> None:
        """Write its state without what is about to be erased: it would be as it was before it held that."""
        outbox = self._outbox
        if self._is_withheld or outbox is None or not found.is_above(outbox.agent_id):
            return
        with session_exceptions:
            # Not under the lock, for which nodes wait in the event loop.
            known = self._state or from_json(self._all.state_of(outbox.agent_id) or {})
        with self._state_lock, session_exceptions:
            state = self._state or known
            cleaned = without(state, [found], above=True)
            if cleaned is state:
                return
            self._queue(outbox, outbox.agent_id, cleaned)
        # That others have followed this run is told when its node is done.
        with suppress(ConcurrentWriteError):
            self._writing(outbox)()

    def _unless_withheld(self, handle: Handler) -> Handler:
        return lambda hook: None if self._is_withheld else handle(hook)

    def _initialize(self, source: Any) -> None:
        self._source = weakref.ref(source)
        with session_exceptions:
            # What is written later belongs to the session that is read, or begun, here.
            life = self._all.life or self._life()
            self._restored(source)
            self._all.life = self._life() if life.startswith(" ") else life
            self._begun(source, self._fence)
        if self._all.records_facts:
            self._facts_of(source).prime(source)
            for name in list(listen_to_nodes(source, source.id)):
                check_id("agent_id", name)

    def _restored(self, source: Any) -> None:
        """Restore it from the state it has at the fence."""
        for _ in range(_MAX_CONFLICTS):
            before = self._moved(source)
            self._restore(source)
            self._fence = self._moved(source)
            if before in (self._fence, START):
                break
        self._answering = Answering.found_in(self._all.state_of(source.id)) if _is_interrupted(source) else None
        self._is_taken = self._answering is not None

    def _life(self) -> str:
        return self._all.log.life(self._all.session_id).name

    def _moved(self, source: Any) -> EventId:
        with session_exceptions:
            return self._all.log.moved(self._all.session_id, source.id)

    def _begun(self, source: Any, at: EventId) -> Outbox:
        log, session_id = self._all.log, self._all.session_id
        self._fence, self._state = at, None
        self._outbox = Outbox(log, session_id, source.id, at, fenced="multi_agent", life=self._all.life)
        return self._outbox

    def _invocation_started(self, hook: Any) -> Callable[[], None] | None:
        if self._is_withheld and _resumes(hook.source):
            # With its task and results of a session that was deleted.
            return None
        self._is_withheld = False
        self._all.runs.end(hook.source)
        if not _resumes(hook.source):
            self._all.forget_redacted(hook.source.id)
        if self._is_refused or not _resumes(hook.source):
            return partial(self._begin, hook.source)
        self._check_claim(hook.source)
        self._answered(hook.source)
        return None

    def _check_claim(self, source: Any) -> None:
        if self._is_taken and (taken := self._answering):
            self._is_refused, session_id = True, self._all.session_id
            with session_exceptions:
                raise AlreadyAnsweredError(session_id, source.id, taken.interrupts, self._fence, taken.waiting)

    def _begin(self, source: Any) -> None:
        with session_exceptions:
            if self._is_refused:
                self._restored(source)
                self._outbox, self._is_refused = None, False
                self._check_claim(source)
            moved = self._moved(source)
            # What could not be written yet is of a run that others have followed.
            if self._outbox is None or self._outbox.moved != moved:
                self._begun(source, moved)

    def _claim(self, source: Any) -> Callable[[], None] | None:
        """Strands takes the answers of humans only after it told that the orchestrator was called."""
        if not (answers := answered(source)):
            return None
        if self._answering:
            # A node beside the first one: its tools, too, wait until the claim has landed.
            return self._writing(self._outbox_of(source))
        self._answering = Answering(tuple(answers), str(self._outbox_of(source).moved))
        return self.synced(source)

    def _node_started(self, hook: Any) -> Callable[[], None] | None:
        claim = self._claim(hook.source)
        if not self._all.records_facts:
            return claim
        self._answered(hook.source)
        outbox = self._outbox_of(hook.source)
        outbox.queue(self._all.runs.begin(hook, hook.source.id))
        return self._writing(outbox)

    def _node_ended(self, hook: Any) -> Callable[[], None]:
        ended = self._all.runs.ended(hook)
        if self._all.records_facts:
            self._outbox_of(hook.source).note(ended)
        return self.synced(hook.source)

    def _invocation_ended(self, hook: Any) -> Callable[[], None]:
        self._all.runs.end(hook.source)
        self._answering = None
        if self._all.records_facts:
            raised = self._facts_of(hook.source).interrupts_raised(hook.source)
            self._outbox_of(hook.source).note(_of_nodes_left_out(raised, hook.source))
        return self.synced(hook.source)

    def _answered(self, source: Any) -> None:
        if self._all.records_facts:
            answered = self._facts_of(source).interrupts_answered(source)
            self._outbox_of(source).note(_of_nodes_left_out(answered, source))

    def _facts_of(self, source: Any) -> Facts:
        self._facts = self._facts or Facts(source.id)
        return self._facts

    def _outbox_of(self, source: Any) -> Outbox:
        return self._outbox or self._begun(source, self._moved(source))

    def _writing(self, outbox: Outbox) -> Callable[[], None]:
        def write() -> None:
            with session_exceptions:
                try:
                    outbox.flush()
                except ConcurrentWriteError:
                    self._is_refused = True
                    raise
                self._all.keep_to_life(outbox)

        return write


def _shared(state: Any) -> Any:
    """What the agents of a swarm have told each other."""
    context = state.get("context") if isinstance(state, dict) else None
    return context.get("shared_context") if isinstance(context, dict) else None


def _resumes(source: Any) -> bool:
    """Whether its next run goes on where one was stopped, as Strands decides it."""
    return getattr(source, "_resume_from_session", False) or _is_interrupted(source)


def _is_interrupted(source: Any) -> bool:
    return getattr(getattr(source, "_interrupt_state", None), "activated", False)


def _of_nodes_left_out(interrupts: list[Event], source: Any) -> list[Event]:
    """Only what hooks of the orchestrator raised: what a node's agent raised is told by the agent."""
    told: set[str] = set()
    for node in source._interrupt_state.context.values() if interrupts else ():
        state = node.get("interrupt_state") if isinstance(node, dict) else None
        told |= set((state or {}).get("interrupts", {}))
    return [one for one in interrupts if one.data["id"] not in told]
