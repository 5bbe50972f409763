"""Whose run the agent of a node is in.

Applications make agents once and put them into a graph or swarm per request. So an agent has one registration, however
many orchestrators it has been a node of, and what it is heard of goes to the run it is in: from the hook before the
call of its node to the one after it. Nothing of a run stays behind on the agent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, TypeAlias
from urllib.parse import quote
from weakref import WeakKeyDictionary

from strands.hooks import BeforeInvocationEvent

from .. import events
from ..events import Event
from .agent_hooks import RESUMES, AgentHooks, listen_to_agent
from .compat import Heard, Writer, all_of, listen
from .facts import current_traceparent, error_of

HooksOf: TypeAlias = "Callable[[str, Any], AgentHooks]"
"""Makes what hears an agent that is a node, by the name of its transcript."""

_TELLS_STATE = "invocation_state" in {field.name for field in fields(BeforeInvocationEvent)}
"""Whether this version of Strands says which call an invocation belongs to."""


def node_name(above: str, node_id: str) -> str:
    """What the transcript of a node is called; a node whose id has a colon in it is no node within another."""
    return f"{above}:{quote(node_id, safe='/ ') if set(node_id) & set(':%') else node_id}"


def _outcome(source: Any, node_id: str, has_redacted: bool) -> dict[str, Any]:
    """How a node ended, as the orchestrator's own results say."""
    results = getattr(getattr(source, "state", None), "results", None)
    found = results.get(node_id) if isinstance(results, dict) else None
    error = getattr(found, "result", None)
    status = getattr(getattr(found, "status", None), "value", None)
    return {"status": status, **(error_of(error, has_redacted) if isinstance(error, BaseException) else {})}


class NodeRun:
    """One call of a node.

    Args:
        name: Of its transcript.
        hook: What Strands tells before it; with it, what is handed on from the orchestrator's call to its agents.
        hooks_of: Makes what hears an agent in a node, by the name of its transcript.

    Attributes:
        is_invoked: Whether its agent was.
    """

    is_invoked = False

    def __init__(self, name: str, hook: Any, hooks_of: HooksOf) -> None:
        self.name, self.invocation_state = name, hook.invocation_state
        self.source_id, self.task, self.began = id(hook.source), _task(), time.monotonic()
        executor = _executor(hook.source, hook.node_id)
        self._listener = _listener(executor)
        self.hears = hooks_of(name, executor) if self._listener and hasattr(executor, "messages") else None
        self.within = NodeRuns(hooks_of)
        if self._listener:
            self._listener.runs.append(self)

    @property
    def has_redacted(self) -> bool:
        """Whether a guardrail has redacted anything in it: its error may quote that."""
        return self.within.has_redacted or bool(self.hears and self.hears.facts.has_redacted)

    def end(self) -> None:
        """What the agent does from now on is no part of this."""
        self.within.end()
        if self._listener:
            self._listener.leave(self)


class NodeRuns:
    """The nodes at work in orchestrators that share a session.

    Args:
        hooks_of: See `NodeRun`.

    Attributes:
        has_redacted: Whether a guardrail has redacted anything in one that is over.
    """

    def __init__(self, hooks_of: HooksOf) -> None:
        self._hooks_of, self.has_redacted = hooks_of, False
        self._runs: dict[tuple[int, str], NodeRun] = {}

    def begin(self, hook: Any, above: str) -> list[Event]:
        """A node of an orchestrator is about to be called."""
        self._end((id(hook.source), hook.node_id))
        run = NodeRun(node_name(above, hook.node_id), hook, self._hooks_of)
        self._runs[id(hook.source), hook.node_id] = run
        return [events.NodeStarted({"node": hook.node_id}, hook.source.id, trace=current_traceparent())]

    def ended(self, hook: Any) -> list[Event]:
        """The call of a node is over."""
        run = self._end((id(hook.source), hook.node_id))
        duration = run and round((time.monotonic() - run.began) * 1000, 3)
        outcome = _outcome(hook.source, hook.node_id, bool(run and run.has_redacted))
        data = {"node": hook.node_id, **outcome, "duration_ms": duration}
        return [events.NodeCompleted(data, hook.source.id, trace=current_traceparent())]

    def end(self, source: Any = None) -> None:
        """All calls of an orchestrator's nodes, or of all, are over; Strands tells that of some only this way."""
        for key in list(self._runs):
            if source is None or key[0] == id(source):
                self._end(key)

    def _end(self, key: tuple[int, str]) -> NodeRun | None:
        if run := self._runs.pop(key, None):
            run.end()
            self.has_redacted |= run.has_redacted
        return run


def listen_to_nodes(orchestrator: Any, above: str) -> Iterator[str]:
    """Hear of all agents that are nodes, also of graphs and swarms within; the names of their transcripts."""
    for node_id in dict(getattr(orchestrator, "nodes", {})):
        executor, name = _executor(orchestrator, node_id), node_name(above, node_id)
        if _listener(executor) and hasattr(executor, "messages"):
            yield name
        else:
            yield from listen_to_nodes(executor, name)


def _executor(orchestrator: Any, node_id: str) -> Any:
    node = orchestrator.nodes.get(node_id)
    return getattr(node, "executor", node)


class _Listener:
    """Hears an agent, graph or swarm that is a node, and hands on what it hears to the run that is in.

    Attributes:
        runs: Those that have called it, or are about to; Strands lets one of them have an agent at a time, unless it
            may be called while it runs.
    """

    def __init__(self) -> None:
        self.runs: list[NodeRun] = []
        self._invoked_last: Collection[NodeRun] = ()

    def register(self, executor: Any) -> None:
        """Hear it, from now on for as long as it lives."""
        registry = executor.hooks
        if hasattr(executor, "messages"):
            listen(
                registry,
                Heard("BeforeInvocationEvent", self._invoked),
            )
            listen_to_agent(registry, self._hand_on, but=RESUMES)
            return
        listen(
            registry,
            Heard("BeforeNodeCallEvent", self._node_started),
            Heard("AfterNodeCallEvent", self._node_ended),
            Heard("AfterMultiAgentInvocationEvent", self._orchestrator_ended),
        )

    def leave(self, run: NodeRun) -> None:
        """A run is over."""
        self.runs = [one for one in self.runs if one is not run]
        self._invoked_last = [one for one in self._invoked_last if one is not run]

    def _invoked(self, hook: Any) -> None:
        self._invoked_last = self._calling(hook)
        for run in self._invoked_last:
            run.is_invoked = True
        _invoked_by.set({**_invoked_by.get(), id(self): self._invoked_last})

    def _hand_on(self, name: str, hook: Any) -> Writer:
        invoked_by = self._invoked_by(hook)
        if name == "invocation_ended":
            _invoked_by.set({key: runs for key, runs in _invoked_by.get().items() if key != id(self)})
        return all_of([run.hears.take(name, hook) for run in invoked_by if run.hears and run in self.runs])

    def _invoked_by(self, hook: Any) -> Collection[NodeRun]:
        if (known := _invoked_by.get().get(id(self))) is not None:
            return known
        # With a time-out a swarm takes each step of its nodes in a task of its own, which forgets what was set.
        state = getattr(hook, "invocation_state", None)
        same = [run for run in self.runs if run.is_invoked and run.invocation_state is state]
        return same or self._invoked_last

    def _calling(self, hook: Any) -> list[NodeRun]:
        """The run that a call comes from, for each that records it; a call from elsewhere has a state of its own."""
        state = hook.invocation_state if _TELLS_STATE else next((run.invocation_state for run in self.runs), None)
        calling = [run for run in self.runs if run.invocation_state is state]
        if len({run.source_id for run in calling}) > 1:
            # Callers that hand the same state to each call. Rather none than another one's session hears it.
            calling = [run for run in calling if run.task is _task()]
        return calling

    def _node_started(self, hook: Any) -> None:
        for run in self._calling(hook):
            run.within.begin(hook, run.name)

    def _node_ended(self, hook: Any) -> None:
        for run in self._calling(hook):
            run.within.ended(hook)

    def _orchestrator_ended(self, hook: Any) -> None:
        for run in self._calling(hook):
            run.within.end(hook.source)


def _task() -> Any:
    with suppress(RuntimeError):
        return asyncio.current_task()
    return None


_invoked_by: ContextVar[Mapping[int, Collection[NodeRun]]] = ContextVar("invoked_by", default={})  # noqa: B039
"""The runs that each agent is called by: of two calls at once each has its own."""

_listeners: WeakKeyDictionary[Any, _Listener] = WeakKeyDictionary()
"""By hook registry: agents may be equal to each other, or refuse to be hashed."""


def _listener(executor: Any) -> _Listener | None:
    registry = getattr(executor, "hooks", None)
    if registry is None or not hasattr(registry, "add_callback"):
        return None
    if registry not in _listeners:
        _listeners[registry] = _Listener()
        _listeners[registry].register(executor)
    return _listeners[registry]
