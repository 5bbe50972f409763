"""ValkeySessionManager: a Strands session manager that writes every step of an agent to the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strands.hooks import HookRegistry, MessageAddedEvent
from strands.session.repository_session_manager import RepositorySessionManager
from strands.types.content import Message
from strands.types.exceptions import SessionException
from strands.types.session import SessionAgent, SessionMessage

from .. import events
from ..event_log import ANY, Expected
from ..session_log import DEFAULT_NAMESPACE, SessionLog
from ..state import AgentState, SessionState
from .errors import session_exceptions
from .records import check_ids, missing
from .repository import LogRepository
from .tracked import TrackedAgent

if TYPE_CHECKING:
    from strands.types.agent import LocalAgent


class ValkeySessionManager(RepositorySessionManager, LogRepository):
    """Keeps the session of an agent in Valkey, as a log of events.

    Drop-in for `strands-valkey-session-manager`: the same constructor and the same ten methods, on any Valkey 7.2+ or
    Redis 7+, without server modules. An append that fails raises `SessionException` and is made up for by the next
    one; when another process has moved the agent meanwhile, it is refused with `ConcurrentWriteError`.

    Args:
        session_id: The session; created when it does not exist. Any text up to 256 characters without control
            characters and path separators.
        client: A sync valkey-py client, `valkey.Valkey` or `valkey.ValkeyCluster`, decoding or not.
        log: Instead of a client: a `SessionLog`.
        url: Instead of a client: where the server is, as for `SessionLog.connect`.
        namespace: First part of every key; only with `client` or `url`.
        **kwargs: Accepted and ignored, as in the manager this one replaces.

    Raises:
        SessionException: When the server cannot be used.
        ValueError: When the id cannot be one, or none or several of client, log and url are given.
    """

    def __init__(
        self,
        session_id: str,
        client: Any = None,
        *,
        log: SessionLog | None = None,
        url: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        **kwargs: Any,
    ) -> None:
        check_ids(session_id)
        with session_exceptions():
            LogRepository.__init__(self, _log(client, log, url, namespace))
        self.client = self.log.client
        self._lock = threading.RLock()
        self._pinned: SessionState | None = None
        self._collected: list[events.Event] | None = None
        self._tracked: dict[str, TrackedAgent] = {}
        self._open(session_id)

    def _open(self, session_id: str) -> None:
        try:
            RepositorySessionManager.__init__(self, session_id=session_id, session_repository=self)
        except SessionException:
            # Another process may have created it between our look and our write; then there is nothing left to do.
            if self.read_session(session_id) is None:
                raise
            RepositorySessionManager.__init__(self, session_id=session_id, session_repository=self)

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Register as every session manager does, but write a message and the state it changed in one append."""
        super().register_hooks(_Without(registry, MessageAddedEvent), **kwargs)  # type: ignore[arg-type]
        registry.add_callback(MessageAddedEvent, self._on_message_added)

    def initialize(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Restore an agent from the session, or begin to keep it; what is new is written in one append.

        Raises:
            SessionException: When an agent of this id was initialized before, or the server cannot be used.
        """
        with self._lock, session_exceptions():
            if agent.agent_id in self._tracked:
                raise SessionException("The `agent_id` of an agent must be unique in a session.")
            check_ids(self.session_id, agent.agent_id)
            state = self._state(self.session_id)
            tracked = TrackedAgent.resumed(state.agents.get(agent.agent_id) or AgentState(agent.agent_id))
            try:
                with self._collecting(state) as batch:
                    super().initialize(agent, **kwargs)
                self._write_out(agent, tracked, tracked.adopt(batch))
            except BaseException:
                self._latest_agent_message.pop(agent.agent_id, None)
                raise
            self._tracked[agent.agent_id] = tracked

    def append_message(self, message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Write a message.

        Raises:
            SessionException: When it cannot be written; it will be together with the next one.
        """
        with self._lock, session_exceptions():
            self._write_out(agent, self._known_agent(agent), [self._message(message, agent)])

    def sync_agent(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Write the agent's state where it has changed, and whatever could not be written before.

        Raises:
            SessionException: When it cannot be written.
        """
        with self._lock, session_exceptions():
            tracked = self._known_agent(agent)
            self._forget_dropped_messages(agent)
            self._write_out(agent, tracked, tracked.change(SessionAgent.from_agent(agent)))

    def redact_latest_message(self, redact_message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Replace the message written last.

        Raises:
            SessionException: When there is none, or it cannot be written.
        """
        with self._lock, session_exceptions():
            self._write_out(agent, self._known_agent(agent), [])
            with self._collecting(self._state(self.session_id)) as batch:
                super().redact_latest_message(redact_message, agent, **kwargs)
            self._write(self.session_id, batch)

    def close(self) -> None:
        """Close the connections of the log."""
        self.log.close()

    def _on_message_added(self, event: MessageAddedEvent) -> None:
        agent: Any = event.agent
        with self._lock, session_exceptions():
            tracked = self._known_agent(agent)
            self._forget_dropped_messages(agent)
            batch = [self._message(event.message, agent)]
            try:
                batch += tracked.change(SessionAgent.from_agent(agent))
            finally:
                # A state that cannot be stored must not cost the message that came with it.
                self._write_out(agent, tracked, batch)

    def _message(self, message: Message, agent: LocalAgent) -> events.Event:
        tracked = self._known_agent(agent)
        record = SessionMessage.from_message(message, tracked.next_index)
        self._latest_agent_message[agent.agent_id] = record
        if hasattr(self, "_held_records"):
            self._held_records.setdefault(agent.agent_id, []).append(record)
        return tracked.message(record)

    def _write_out(self, agent: LocalAgent, tracked: TrackedAgent, batch: list[events.Event]) -> None:
        if batch:
            tracked.batches.append(batch)
        tracked.flush(self.log.events, self.session_id, {id(message) for message in agent.messages})

    def _known_agent(self, agent: LocalAgent) -> TrackedAgent:
        tracked = self._tracked.get(agent.agent_id)
        if tracked is None:
            raise missing(f"Agent {agent.agent_id} in session {self.session_id}")
        return tracked

    def _forget_dropped_messages(self, agent: LocalAgent) -> None:
        """Newer versions of Strands keep records of the messages an agent holds, to redact them all."""
        if hasattr(self, "_prune_held_records"):
            self._prune_held_records(agent)

    @contextmanager
    def _collecting(self, state: SessionState) -> Iterator[list[events.Event]]:
        """Let the base class read this state, and collect what it writes instead of writing it piece by piece."""
        self._pinned, self._collected = state, []
        try:
            yield self._collected
        finally:
            self._pinned = self._collected = None

    def _state(self, session_id: str) -> SessionState:
        with self._lock:
            if self._pinned is not None and session_id == self.session_id:
                return self._pinned
            return super()._state(session_id)

    def _write(self, session_id: str, batch: Sequence[events.Event], expected: Expected = ANY) -> None:
        tracked = self._tracked.get(batch[0].agent) if session_id == self.session_id and batch else None
        if self._collected is not None and session_id == self.session_id:
            self._collected.extend(batch)
        elif tracked is not None and batch[0].moves_agent:
            # A repository call beside a live agent of ours: the agent must know of it, or it would refuse itself.
            with self._lock, session_exceptions():
                tracked.append(self.log.events, session_id, tracked.adopt(list(batch)))
        else:
            super()._write(session_id, batch, expected)


class _Without:
    """A hook registry that passes over one kind of event."""

    def __init__(self, registry: HookRegistry, kind: type) -> None:
        self._registry, self._kind = registry, kind

    def add_callback(self, event_type: Any, callback: Any, *args: Any, **options: Any) -> None:
        if event_type is not self._kind:
            self._registry.add_callback(event_type, callback, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


def _log(client: Any, log: SessionLog | None, url: str | None, namespace: str) -> SessionLog:
    if sum(given is not None for given in (client, log, url)) != 1:
        raise ValueError("give exactly one of client, log and url")
    if log is not None:
        return log
    return SessionLog(client, namespace) if url is None else SessionLog.connect(url, namespace)
