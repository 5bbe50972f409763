"""SessionRecorder: the listening half of mirror mode."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from strands.hooks import AgentInitializedEvent, HookProvider, HookRegistry
from strands.types.session import SessionAgent, SessionMessage

from .. import events
from ..codec import from_json, to_json
from ..lifecycle import Facts, Journal, listen
from ..lifecycle.erasing import erase_original
from ..lifecycle.guardrail import Guardrail, Said, watch
from ..lifecycle.records import answers_tools, check_ids
from ..lifecycle.trace import current_traceparent
from ..session_log import DEFAULT_NAMESPACE, SessionLog
from .ending import at_end_of_child, finish
from .losses import RecorderStats
from .source import Source
from .worker import After, Worker, workers

logger = logging.getLogger(__name__)

_open: WeakSet[SessionRecorder] = WeakSet()
_LAST_WORD = 0.1
"""The part of the time to close in that is left for telling what was not written."""


class SessionRecorder(HookProvider):
    """Mirrors agents into the log: `Agent(session_manager=other, hooks=[SessionRecorder(log, "s-42")])`.

    Works beside any session manager, or none. It fails open: no hook of it raises or waits for the network; a server
    that is away is waited for in the background, and what had to be given up is counted, logged once, and told in
    the log itself as a `recording.gap`. A `SessionLog` cannot be made while the server is away; with a URL instead, the
    recorder connects in the background too, so that no application waits for a server when it starts.

    What a guardrail redacts is redacted in the log, and its original erased.

    Args:
        log: Where to: a log, or a URL as for `SessionLog.connect`.
        session_id: The session.
        namespace: First part of every key; only with a URL.
        buffer: How many steps of an agent may wait for a server that is away.
        record: `all`, or `state` for messages, state and window only.

    Raises:
        ValueError: When the id, the namespace or the URL cannot be one.
    """

    def __init__(
        self,
        log: SessionLog | str,
        session_id: str,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        buffer: int = 10_000,
        record: str = "all",
    ) -> None:
        check_ids(session_id)
        if record not in ("all", "state"):
            raise ValueError(f"record={record!r}: must be 'all' or 'state'")
        self._source, self._session_id, self._buffer = Source(log, namespace), session_id, buffer
        self._records_facts = record == "all"
        self._workers: dict[str, Worker] = {}
        self._facts: dict[str, Facts] = {}
        self._guardrails: dict[str, Guardrail] = {}
        _open.add(self)

    @property
    def stats(self) -> RecorderStats:
        """What became of everything seen so far, over all agents."""
        each = [worker.stats for worker in self._workers.values()]
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
        return all(worker.flush(max(0.0, deadline - time.monotonic())) for worker in list(self._workers.values()))

    def close(self, timeout: float = 10.0) -> bool:
        """Write what waits, for so many seconds at most, and stop; returns whether everything was written.

        What was not is told as a `recording.gap`, if the server takes that, and logged.
        """
        workers = list(self._workers.values())
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
        """Listen to one agent."""
        registry.add_callback(AgentInitializedEvent, self._quietly(self._initialized))
        listen(registry, "MessageAddedEvent", self._quietly(self._message_added))
        listen(registry, "MessageUpdatedEvent", self._quietly(self._message_updated))
        listen(registry, "AfterInvocationEvent", self._quietly(self._invocation_ended))
        listen(registry, "BidiAgentStopEvent", self._quietly(self._settled))
        watch(registry, self._quietly(self._model_asked), self._quietly(self._model_ended))
        if self._records_facts:
            started = self._noting(Facts.invocation_started, begins=True)
            listen(registry, "BeforeInvocationEvent", self._quietly(started))
            listen(registry, "BeforeModelCallEvent", self._quietly(self._noting(Facts.model_asked)))
            listen(registry, "AfterModelCallEvent", self._quietly(self._noting(Facts.model_ended)))
            listen(registry, "BeforeToolCallEvent", self._quietly(self._noting(Facts.tool_started)))
            listen(registry, "AfterToolCallEvent", self._quietly(self._noting(Facts.tool_ended)))

    def _initialized(self, hook: Any) -> None:
        record, messages = SessionAgent.from_agent(hook.agent), _snapshot(list(hook.agent.messages))
        agent_id, trace = hook.agent.agent_id, current_traceparent()

        def step(journal: Journal) -> None:
            journal.state(record, trace)
            if not journal.next_index and journal.withheld is None:
                for message in messages:
                    journal.message(SessionMessage.from_message(message, journal.next_index), trace)
            journal.window(messages, record.conversation_manager_state, trace)

        self._facts[agent_id], self._guardrails[agent_id] = Facts(agent_id), Guardrail()
        self._facts[agent_id].prime(hook.agent)
        self._worker(agent_id).put(step, begins=True)

    def _message_added(self, hook: Any) -> None:
        said = self._guardrail(hook.agent).said(hook.message, hook.agent)
        message, record, trace = _snapshot(hook.message), SessionAgent.from_agent(hook.agent), current_traceparent()

        def step(journal: Journal) -> None:
            if journal.is_of_before(message):
                return
            # Redacted while it waited: then the original is not written at all.
            spoken = SessionMessage.from_message(said.redaction or message, journal.next_index)
            journal.message(spoken, trace)
            said.index, said.created_at, said.withheld = spoken.message_id, spoken.created_at, journal.withheld
            journal.state(record, trace)

        self._worker(hook.agent.agent_id).put(step, begins=not answers_tools(message))

    def _message_updated(self, hook: Any) -> None:
        message, trace = _snapshot(hook.message), current_traceparent()

        def step(journal: Journal) -> None:
            known = journal.tracked(message.get("tracking_id"))
            if known is not None:
                journal.update(SessionMessage(message, known[0], created_at=known[1]), trace)

        self._worker(hook.agent.agent_id).put(step)

    def _model_asked(self, hook: Any) -> None:
        self._guardrail(hook.agent).asked(hook.agent)

    def _model_ended(self, hook: Any) -> None:
        for said in self._guardrail(hook.agent).redacted(hook.agent):
            said.redaction = _snapshot(said.live)
            self._worker(hook.agent.agent_id).put(self._redaction(hook.agent.agent_id, said))

    def _redaction(self, agent_id: str, said: Said) -> Callable[[Journal], After | None]:
        trace = current_traceparent()

        def step(journal: Journal) -> After | None:
            known = journal.tracked(said.redaction.get("tracking_id"))
            if said.index is None and known:
                said.index, said.created_at, said.withheld = *known, journal.withheld
            if said.index is None or said.withheld is not journal.withheld:
                return None
            journal.adopt([said.redacted(agent_id, trace)])
            return lambda log: erase_original(log, self._session_id, agent_id, said.index or 0)

        return step

    def _invocation_ended(self, hook: Any) -> None:
        # A call that was cancelled has no end of its own.
        self._model_ended(hook)
        if self._records_facts:
            self._noting(Facts.invocation_ended)(hook)
        self._settled(hook)

    def _settled(self, hook: Any) -> None:
        agent_id, record, trace = hook.agent.agent_id, SessionAgent.from_agent(hook.agent), current_traceparent()
        messages = _snapshot(list(hook.agent.messages))

        def step(journal: Journal) -> None:
            journal.state(record, trace)
            journal.window(messages, record.conversation_manager_state, trace)

        self._worker(agent_id).put(step)

    def _noting(self, tell: Callable[[Facts, Any], list[events.Event]], begins: bool = False) -> Callable[[Any], None]:
        def note(hook: Any) -> None:
            agent_id = hook.agent.agent_id
            told = tell(self._facts.setdefault(agent_id, Facts(agent_id)), hook)
            if told:
                self._worker(agent_id).put(lambda journal: journal.queue(told), begins=begins)

        return note

    def _guardrail(self, agent: Any) -> Guardrail:
        return self._guardrails.setdefault(agent.agent_id, Guardrail())

    def _worker(self, agent_id: str) -> Worker:
        worker = self._workers.get(agent_id)
        if worker is None:
            new = Worker(self._source.log, self._session_id, agent_id, self._buffer)
            worker = self._workers.setdefault(agent_id, new)
        at_end_of_child(_write_what_waits)
        return worker

    def _quietly(self, take: Callable[[Any], None]) -> Any:
        """Whatever goes wrong in here must not reach the agent."""

        def hook(event: Any) -> None:
            try:
                take(event)
            except Exception as error:
                self._worker(event.agent.agent_id).lose(error)

        return hook


def _snapshot(value: Any) -> Any:
    """The value as it is now: agents go on changing their messages.

    Raises:
        EncodingError: When it cannot be stored.
    """
    return from_json(to_json(value, "message"))


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
