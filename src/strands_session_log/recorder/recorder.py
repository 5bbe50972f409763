"""SessionRecorder: the listening half of mirror mode."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from weakref import WeakSet

from strands.hooks import AgentInitializedEvent, HookProvider, HookRegistry
from strands.types.session import SessionAgent, SessionMessage

from .. import events
from ..codec import to_json
from ..errors import NotCopied, check_flag, check_whole, refuse_unknown
from ..event_log import EventLog
from ..event_log.erasure_scope import Sought
from ..lifecycle import AgentHooks, AgentOutbox, Record, records_facts
from ..lifecycle.agent_hooks import FACTS, listen_to_agent
from ..lifecycle.compat import Heard, Writer, listen
from ..lifecycle.contents import HeldCopies, snapshot
from ..lifecycle.direct_calls import about_to_hold, ends_direct_call
from ..lifecycle.erasing import erase_copies, erase_original
from ..lifecycle.facts import answered
from ..lifecycle.in_force import InForce
from ..lifecycle.nodes import NodeRuns
from ..lifecycle.records import answers_tools, check_ids
from ..lifecycle.redaction import (
    TrackedMessage,
    never_written,
    sought_by_ids,
    without,
)
from ..session_log import SessionLog, providing
from ..state import is_interrupted
from .ending import at_end_of_child, finish
from .lazy_log import LazyLog
from .losses import RecorderStats
from .worker import After, Worker, workers

logger = logging.getLogger(__name__)

_open: WeakSet[SessionRecorder] = WeakSet()
_LAST_WORD = 0.1
"""The part of the time to close in that is left for telling what was not written."""


class SessionRecorder(HookProvider, NotCopied):
    """Mirrors agents into the log: `Agent(session_manager=other, hooks=[SessionRecorder(log, "s-42")])`.

    Works beside any session manager, or none. It fails open: no hook of it raises or waits for the network; a server
    that is away is waited for in the background, and what had to be given up is counted, logged once, and told in
    the log itself as a `recording.gap`. A `SessionLog` cannot be made while the server is away; with a URL instead, the
    recorder connects in the background too, so that no application waits for a server when it starts.

    What a guardrail redacts is redacted in the log, and its original erased.

    Args:
        log: Where to: a log, or a URL as for `SessionLog.connect`.
        session_id: The session.
        namespace: First part of every key, `strands` if left out; a log has its own.
        buffer: How many steps of an agent may wait for a server that is away.
        record: `all`, or `state` for messages, state and window only.
        record_prompts: Keep what the system prompt says in the agent's record, and not its digest alone.
        ttl: After how long without an event the session may be deleted, as for `ValkeySessionManager`.
        subject: Whom it is about; likewise.

    Raises:
        ValueError: When the id, the namespace or the URL cannot be one, or the log is of another namespace; an
            `InvalidSettingError` when one of the settings cannot be.
        UnknownArgumentError: When there is no argument of this name.
    """

    _INSTEAD = "give the same one to other agents, and make another in another process"

    @refuse_unknown
    def __init__(
        self,
        log: SessionLog | str,
        session_id: str,
        *,
        namespace: str | None = None,
        buffer: int = 10_000,
        record: Record = "all",
        record_prompts: bool = False,
        ttl: timedelta | str | None = None,
        subject: str | None = None,
    ) -> None:
        check_ids(session_id)
        check_flag("record_prompts", record_prompts)
        check_whole("buffer", buffer, 1)
        self._source = LazyLog(log, namespace, providing(session_id, ttl, subject, log))
        self._session_id, self._buffer = session_id, buffer
        self._records_facts, self._records_prompts = records_facts(record), record_prompts
        self._recordings: dict[str, _Recording] = {}
        self._nodes = NodeRuns(self._node)
        _open.add(self)

    @property
    def stats(self) -> RecorderStats:
        """What became of everything seen so far, over all agents."""
        each = [worker.stats for worker in self._workers]
        errors = [stats.last_error for stats in each if stats.last_error]
        return RecorderStats(
            sum(stats.recorded for stats in each),
            sum(stats.waiting for stats in each),
            sum(stats.lost for stats in each),
            errors[0] if errors else "",
        )

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything seen so far is in the log.

        Args:
            timeout: For how many seconds at most.

        Returns:
            Whether it is.
        """
        deadline = time.monotonic() + timeout
        return all(worker.flush(max(0.0, deadline - time.monotonic())) for worker in list(self._workers))

    def close(self, timeout: float = 10.0) -> bool:
        """Write what waits, for so many seconds at most, and stop; returns whether everything was written.

        What was not is told as a `recording.gap`, if the server takes that, and logged.
        """
        workers = list(self._workers)
        done = self.flush(timeout * (1 - _LAST_WORD))
        if not done:
            for worker in workers:
                worker.leave("the recorder was closed")
            told = self.flush(timeout * _LAST_WORD)
            unwritten = sum(worker.unwritten for worker in workers)
            logger.warning("session_id=<%s>, unwritten=<%d>, told=<%s> | closed", self._session_id, unwritten, told)
        for worker in workers:
            worker.close()
        self._source.close()
        return done

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Listen to one agent; or to a graph or swarm, whose nodes it records as agents `<graph>:<node>`.

        Raises:
            ValueError: When an agent is made while another one of its id is recorded.
        """
        # What is wrong with the application is told where it is made, as the session managers of Strands do.
        registry.add_callback(AgentInitializedEvent, lambda hook: self._check_unique(hook.agent))
        registry.add_callback(AgentInitializedEvent, partial(self._of_agent, "initialized"))
        listen_to_agent(registry, self._of_agent, but=("answers_taken",))
        listen(
            registry,
            Heard("BeforeNodeCallEvent", self._quietly(self._node_started)),
            Heard("AfterNodeCallEvent", self._quietly(self._node_ended)),
            Heard("AfterMultiAgentInvocationEvent", self._quietly(lambda hook: self._nodes.end(hook.source))),
        )

    def _check_unique(self, agent: Any) -> None:
        recording = self._recordings.get(agent.agent_id)
        if recording is None or not recording.is_of_another(agent):
            return
        # One that was dropped may be waiting to be collected.
        gc.collect()
        if recording.is_of_another(agent):
            raise ValueError(
                f"agent_id={agent.agent_id!r} | the session {self._session_id!r} has a live agent of this id already;"
                " give each agent an agent_id of its own, or each conversation a recorder"
            )

    def _of_agent(self, name: str, hook: Any) -> None:
        recording = self._recording(hook.agent.agent_id)
        recording.agent = recording.agent or weakref.ref(hook.agent)
        recording.take(name, hook)

    def _node_started(self, hook: Any) -> None:
        started = self._nodes.begin(hook, hook.source.id)
        if self._records_facts:
            self._recording(hook.source.id).note(started, begins=True)

    def _node_ended(self, hook: Any) -> None:
        ended = self._nodes.ended(hook)
        if self._records_facts:
            self._recording(hook.source.id).note(ended)

    def _node(self, name: str, agent: Any) -> AgentHooks:
        taken = self._recordings.get(name)
        return self._recording(f"{name}/node" if taken and taken.agent else name)

    def _recording(self, agent_id: str) -> _Recording:
        recording = self._recordings.get(agent_id)
        if recording is None:
            worker = Worker(self._source.log, self._session_id, agent_id, self._buffer)
            new = _Recording(self._session_id, agent_id, worker, self._records_facts, self._records_prompts)
            recording = self._recordings.setdefault(agent_id, new)
        at_end_of_child(_write_what_waits)
        return recording

    @property
    def _workers(self) -> list[Worker]:
        return [recording.worker for recording in list(self._recordings.values())]

    def _quietly(self, take: Callable[[Any], None]) -> Any:
        """Whatever goes wrong in here must not reach the graph or swarm."""

        def hook(event: Any) -> None:
            try:
                take(event)
            except Exception as error:
                self._recording(event.source.id).worker.lose(error)

        return hook


class _Recording(AgentHooks):
    """What is recorded of one agent, or of one node.

    Attributes:
        agent: The agent it is of; none for a node, whose agents come and go: their state and window are nothing to
            resume from.
        worker: Writes it.
    """

    agent: Callable[[], Any] | None = None

    def __init__(
        self, session_id: str, agent_id: str, worker: Worker, records_facts: bool, records_prompts: bool
    ) -> None:
        super().__init__(agent_id, records_facts)
        self._in_force = InForce(records_prompts)
        self._session_id, self._agent_id, self.worker = session_id, agent_id, worker
        self._withdrawn, self._copies = list[Sought](), HeldCopies()

    def is_of_another(self, agent: Any) -> bool:
        """Whether it is of an agent that lives, and is not this one."""
        mine = self.agent and self.agent()
        return mine is not None and mine is not agent

    def take(self, name: str, hook: Any) -> Writer:
        """Record; whatever goes wrong in here must not reach the agent."""
        try:
            return super().take(name, hook) if self._records_facts or name not in FACTS else None
        except Exception as error:
            self.worker.lose(error)
        return None

    def note(self, told: Sequence[events.Event], begins: bool = False) -> None:
        if told:
            self.worker.put(partial(_queue, told), begins)

    tell = note

    def invocation_started(self, hook: Any) -> None:
        self.tools.end()
        if self._records_facts:
            self.note(self.facts.invocation_started(hook), begins=True)

    def initialized(self, hook: Any) -> None:
        """The agent was made."""
        record, messages = SessionAgent.from_agent(hook.agent), snapshot(list(hook.agent.messages))
        in_force = self._in_force.of(hook.agent)

        def step(outbox: AgentOutbox) -> None:
            outbox.state(record, in_force)
            if not outbox.next_index and outbox.withheld is None:
                for message in messages:
                    outbox.say(message, ())
            outbox.window(messages, record.conversation_manager_state)

        self.agent = weakref.ref(hook.agent)
        self.facts.prime(hook.agent)
        self.worker.put(step, begins=True)

    def message_added(self, hook: Any) -> None:
        said = self.guardrail.said(hook.message, hook.agent)
        message = snapshot(hook.message)
        # All that counts of what the agent holds; the rest would be kept with each step that waits.
        name = message.get("tracking_id")
        held = [message for one in hook.agent.messages if name is not None and one.get("tracking_id") == name]
        record = self._record(hook.agent) if self.agent else None
        in_force = self._in_force.of(hook.agent)

        def step(outbox: AgentOutbox) -> None:
            if outbox.is_of_before(message):
                return
            # Redacted while it waited: then the original is not written at all.
            said.original = to_json(message) if said.redaction else None
            spoken = outbox.say(said.redaction or message, held)
            said.index, said.created_at, said.withheld = spoken.message_id, spoken.created_at, outbox.withheld
            if record is not None:
                outbox.state(record, in_force)

        self.worker.put(step, begins=not answers_tools(message))
        if ends_direct_call(hook.message):
            # It is in no call whose end would tell what the agent holds.
            self.settled(hook)

    def message_updated(self, hook: Any) -> None:
        message = snapshot(hook.message)

        def step(outbox: AgentOutbox) -> None:
            known = outbox.tracked(message.get("tracking_id"))
            if known is not None:
                outbox.update(SessionMessage(message, known[0], created_at=known[1]))

        self.worker.put(step)

    def redacted(self, said: TrackedMessage) -> None:
        said.redaction = snapshot(said.live)

        def step(outbox: AgentOutbox) -> After | None:
            known = outbox.tracked(said.redaction.get("tracking_id"))
            if said.index is None and known:
                said.index, said.created_at, said.withheld = *known, outbox.withheld
            if said.index is None or said.withheld is not outbox.withheld:
                return None
            outbox.redact(said.replaced())
            return partial(_erase, said, self._session_id, self._agent_id)

        self.worker.put(step)

    def redacted_within(self, redaction: Any) -> None:
        if (agent := self.agent and self.agent()) is None:
            return
        found = sought_by_ids(redaction, [self._agent_id])
        self._withdrawn.append(found)
        record = self._record(agent)

        def step(outbox: AgentOutbox) -> After:
            outbox.state(record)
            return lambda log: erase_copies(log, self._session_id, found)

        self.worker.put(step)

    def _record(self, agent: Any) -> SessionAgent:
        record = SessionAgent.from_agent(agent)
        if self._withdrawn and is_interrupted(vars(record)):
            record._internal_state = without(record._internal_state, self._withdrawn)
        return record

    def invocation_ended(self, hook: Any) -> None:
        # A call that was cancelled has no end of its own.
        self.unguard(hook)
        if self._records_facts:
            # Before what the agent holds then.
            self.note(self.facts.invocation_ended(hook))
        self.tools.end()
        self.settled(hook)
        self._withdrawn = self._withdrawn if answered(hook.agent) else []

    def settled(self, hook: Any) -> None:
        if self.agent is None:
            return
        record = self._record(hook.agent)
        state = record.conversation_manager_state
        held, record.conversation_manager_state = about_to_hold(hook.agent, hook.agent.messages, state)
        messages, in_force = self._copies.of(held), self._in_force.of(hook.agent)

        def step(outbox: AgentOutbox) -> None:
            outbox.state(record, in_force)
            outbox.window(messages, record.conversation_manager_state)

        self.worker.put(step)


def _erase(said: TrackedMessage, session_id: str, agent_id: str, log: EventLog) -> None:
    if said.original is not None:
        # An error may have quoted it.
        erase_copies(log, session_id, never_written(agent_id, said.index or 0, said.original, said.redaction))
    erase_original(log, session_id, agent_id, said.index or 0)


def _queue(told: Sequence[events.Event], outbox: AgentOutbox) -> None:
    outbox.queue(told)


@atexit.register
def _write_what_waits() -> None:
    finish(list(workers))


def _begin_in_child() -> None:
    """A forked child has neither the threads nor the locks of its parent, which goes on with what waits."""
    for recorder in list(_open):
        recorder._source.begin()
    for worker in list(workers):
        worker.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
