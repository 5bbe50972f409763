"""SessionRecorder: the listening half of mirror mode."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from strands.hooks import AgentInitializedEvent, HookProvider, HookRegistry
from strands.types.session import SessionAgent, SessionMessage

from .. import events
from ..codec import from_json, to_json
from ..lifecycle import Facts, Journal, listen
from ..lifecycle.records import check_ids
from ..session_log import SessionLog
from .worker import RecorderStats, Worker

_open: WeakSet[SessionRecorder] = WeakSet()
_EXIT_SECONDS = 2.0


class SessionRecorder(HookProvider):
    """Mirrors agents into the log: `Agent(session_manager=other, hooks=[SessionRecorder(log, "s-42")])`.

    Works beside any session manager, or none. It fails open: no hook of it raises or waits for the network; a server
    that is away is waited for in the background, and what had to be given up is counted, logged once, and told in
    the log itself as a `recording.gap`.

    Args:
        log: Where to.
        session_id: The session.
        buffer: How many steps of an agent may wait for a server that is away.
        record: `all`, or `state` for messages, state and window only.

    Raises:
        ValueError: When the id cannot be one.
    """

    def __init__(self, log: SessionLog, session_id: str, *, buffer: int = 10_000, record: str = "all") -> None:
        check_ids(session_id)
        if record not in ("all", "state"):
            raise ValueError(f"record={record!r}: must be 'all' or 'state'")
        self._log, self._session_id, self._buffer = log, session_id, buffer
        self._records_facts = record == "all"
        self._workers: dict[str, Worker] = {}
        self._facts: dict[str, Facts] = {}
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
        """Write what waits, for so many seconds at most, and stop; returns whether everything was written."""
        done = self.flush(timeout)
        for worker in self._workers.values():
            worker.close()
        return done

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Listen to one agent."""
        registry.add_callback(AgentInitializedEvent, self._quietly(self._initialized))
        listen(registry, "MessageAddedEvent", self._quietly(self._message_added))
        listen(registry, "MessageUpdatedEvent", self._quietly(self._message_updated))
        listen(registry, "AfterInvocationEvent", self._quietly(self._invocation_ended))
        listen(registry, "BidiAgentStopEvent", self._quietly(self._settled))
        if self._records_facts:
            listen(registry, "BeforeInvocationEvent", self._quietly(self._noting(Facts.invocation_started)))
            listen(registry, "BeforeModelCallEvent", self._quietly(self._noting(Facts.model_asked)))
            listen(registry, "AfterModelCallEvent", self._quietly(self._noting(Facts.model_ended)))
            listen(registry, "BeforeToolCallEvent", self._quietly(self._noting(Facts.tool_started)))
            listen(registry, "AfterToolCallEvent", self._quietly(self._noting(Facts.tool_ended)))

    def _initialized(self, hook: Any) -> None:
        record, messages = SessionAgent.from_agent(hook.agent), _snapshot(list(hook.agent.messages))
        agent_id = hook.agent.agent_id

        def step(journal: Journal) -> None:
            journal.begin(record)
            if not journal.next_index:
                for message in messages:
                    journal.message(SessionMessage.from_message(message, journal.next_index))
            journal.window(messages, record.conversation_manager_state)

        self._facts[agent_id] = Facts(agent_id)
        self._worker(agent_id).put(step)

    def _message_added(self, hook: Any) -> None:
        message, record = _snapshot(hook.message), SessionAgent.from_agent(hook.agent)

        def step(journal: Journal) -> None:
            journal.message(SessionMessage.from_message(message, journal.next_index))
            journal.state(record)

        self._worker(hook.agent.agent_id).put(step)

    def _message_updated(self, hook: Any) -> None:
        message = _snapshot(hook.message)

        def step(journal: Journal) -> None:
            known = journal.tracked(message.get("tracking_id"))
            if known is not None:
                journal.update(SessionMessage(message, known[0], created_at=known[1]))

        self._worker(hook.agent.agent_id).put(step)

    def _invocation_ended(self, hook: Any) -> None:
        if self._records_facts:
            self._noting(Facts.invocation_ended)(hook)
        self._settled(hook)

    def _settled(self, hook: Any) -> None:
        agent_id, record = hook.agent.agent_id, SessionAgent.from_agent(hook.agent)
        messages = _snapshot(list(hook.agent.messages))

        def step(journal: Journal) -> None:
            journal.state(record)
            journal.window(messages, record.conversation_manager_state)

        self._worker(agent_id).put(step)

    def _noting(self, tell: Callable[[Facts, Any], list[events.Event]]) -> Callable[[Any], None]:
        def note(hook: Any) -> None:
            agent_id = hook.agent.agent_id
            told = tell(self._facts.setdefault(agent_id, Facts(agent_id)), hook)
            if told:
                self._worker(agent_id).put(lambda journal: journal.queue(told))

        return note

    def _worker(self, agent_id: str) -> Worker:
        if agent_id not in self._workers:
            self._workers[agent_id] = Worker(self._log.events, self._session_id, agent_id, self._buffer)
        return self._workers[agent_id]

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
    for recorder in list(_open):
        recorder.flush(_EXIT_SECONDS)
