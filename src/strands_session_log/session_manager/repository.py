"""Strands' session repository on the log: what `FileSessionManager` does with files, as events.

Reads fold the session's events; a state folded earlier is caught up, so a read costs one round trip and sees what
other processes wrote. Writes are events; nothing is overwritten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from strands.session.session_repository import SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage

from .. import errors, events
from ..codec import from_json
from ..event_log import ANY, NO_SESSION, Expected
from ..event_log.chained_batch import Position
from ..event_log.erasure_scope import Sought
from ..keys import DEFAULT_NAMESPACE
from ..lifecycle.erasing import erase_original
from ..lifecycle.facts import current_traceparent
from ..lifecycle.records import (
    check_ids,
    check_message_id,
    data_of,
    find_message,
    missing,
    redacted,
    to_agent,
    to_messages,
    to_session,
)
from ..replay import write_successors
from ..server import Client
from ..session_log import SessionLog, check_is_of, restore_archived
from ..state import AgentState, SessionState
from .errors import raise_for_callers, restored, session_exceptions

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase


_JUST_READ = 0.05
"""For how many seconds what was read for a manager counts as what stands there, for the agent it is made for."""


class LogRepository(SessionRepository):
    """Sessions, agents and messages of a `SessionLog`, behind Strands' repository interface."""

    log: SessionLog

    def __init__(self, log: SessionLog) -> None:
        """Take the log to keep sessions in."""
        self.log = log
        self._known: tuple[str, SessionState] = ("", SessionState())
        self._read_at: float | None = None
        self._verifies = log.verify_on_resume

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        """Create a session.

        Raises:
            SessionException: When it exists.
        """
        check_ids(session.session_id)
        try:
            self._write(
                session.session_id, [events.SessionCreated(data_of(session), trace=current_traceparent())], NO_SESSION
            )
        except errors.ConcurrentWriteError as error:
            raise SessionException(f"Session {session.session_id} already exists") from error
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        """Read a session; None when there is none. One that the log's archive has is brought back."""
        check_ids(session_id)
        state = self._state(session_id)
        if not state.exists and self._bring_back(session_id):
            state = self._state(session_id)
        data = state.session
        return None if data is None else restored(f"session {session_id!r}", partial(to_session, data))

    def delete_session(self, session_id: str, **kwargs: Any) -> None:
        """Delete a session with everything that belongs to it.

        Raises:
            SessionException: When it does not exist.
        """
        check_ids(session_id)
        with session_exceptions:
            if self.log._events.delete(session_id) is None:
                raise missing(f"Session {session_id}")

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Create an agent, or replace its record; its messages stay."""
        check_ids(session_id, session_agent.agent_id)
        self._tell(session_id, events.AgentCreated, data_of(session_agent), session_agent.agent_id)

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        """Read an agent; None when there is none."""
        check_ids(session_id, agent_id)
        agent = self._state(session_id).agents.get(agent_id)
        if agent is None or agent.record is None:
            return None
        return restored(f"agent {agent_id!r} of session {session_id!r}", partial(to_agent, agent.record))

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Replace an agent's record, keeping when it was created.

        Raises:
            SessionException: When it does not exist.
        """
        agent_id = session_agent.agent_id
        previous = self.read_agent(session_id, agent_id)
        if previous is None:
            raise missing(f"Agent {agent_id} in session {session_id}")
        session_agent.created_at = previous.created_at
        self._tell(session_id, events.AgentUpdated, data_of(session_agent), agent_id)

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Create a message at an index that has none; an index beyond the next is accepted.

        Raises:
            ConcurrentWriteError: When the index has one; a `SessionException`.
        """
        check_message_id(session_message.message_id)
        check_ids(session_id, agent_id)
        self._tell(session_id, events.MessageAdded, data_of(session_message), agent_id)

    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        """Read a message; None when there is none."""
        check_message_id(message_id)
        check_ids(session_id, agent_id)
        messages = self._agent(session_id, agent_id).messages
        what = f"message {message_id} of agent {agent_id!r} in session {session_id!r}"
        return restored(what, partial(find_message, messages, message_id))

    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Replace a message, keeping when it was created. A redaction erases what was said before from the server.

        Raises:
            SessionException: When it does not exist.
        """
        message_id = session_message.message_id
        previous = self.read_message(session_id, agent_id, message_id)
        if previous is None:
            raise missing(f"Message {message_id}")
        session_message.created_at = previous.created_at
        if session_message.redact_message is None:
            self._tell(session_id, events.MessageUpdated, data_of(session_message), agent_id)
            return
        self._tell(session_id, events.MessageRedacted, redacted(session_message), agent_id)
        first = partial(self._redacted, session_id)
        with session_exceptions:
            erase_original(self.log._events, session_id, agent_id, message_id, first=first)

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        """List an agent's messages in order of their index; none of an agent, or a session, that is not there."""
        check_ids(session_id, agent_id)
        messages, end = self._agent(session_id, agent_id).messages, None if limit is None else offset + limit
        what = f"the messages of agent {agent_id!r} in session {session_id!r}"
        return restored(what, partial(to_messages, messages, offset, end))

    def create_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Keep the state of a graph or swarm for the first time."""
        check_ids(session_id, multi_agent.id)
        self._write(session_id, [events.MultiAgentCreated(multi_agent.serialize_state(), multi_agent.id)])

    def read_multi_agent(self, session_id: str, multi_agent_id: str, **kwargs: Any) -> dict[str, Any] | None:
        """Read the state of a graph or swarm; None when there is none."""
        check_ids(session_id, multi_agent_id)
        data = self._state(session_id).multi_agents.get(multi_agent_id)
        if data is None:
            return None
        restore: Callable[[], dict[str, Any]] = partial(from_json, dict(data))
        return restored(f"graph or swarm {multi_agent_id!r} of session {session_id!r}", restore)

    def update_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Replace the state of a graph or swarm.

        Raises:
            SessionException: When it does not exist.
        """
        data = multi_agent.serialize_state()
        if self.read_multi_agent(session_id, multi_agent.id) is None:
            raise missing(f"MultiAgent state {multi_agent.id} in session {session_id}")
        self._write(session_id, [events.MultiAgentUpdated(data, multi_agent.id)])

    def _state(self, session_id: str) -> SessionState:
        """The newest state; the one folded last is caught up."""
        (name, known), replay = self._known, self.log._replay
        try:
            known = known if name == session_id else SessionState()
            state = (replay.verified if self._verifies else replay.catch_up)(session_id, known)
        except errors.SessionLogError as error:
            raise_for_callers(error)
        # Whoever reads again has what it needs: only the first reading counts for what is made right after it.
        self._read_at = time.monotonic() if not self._known[0] else None
        self._known = (session_id, state)
        return state

    def _bring_back(self, session_id: str) -> bool:
        with session_exceptions:
            return self.log.archive is not None and restore_archived(self.log, session_id)

    def _just_read(self, session_id: str) -> SessionState | None:
        """What the constructor has read, for what is made right after it; not if this process has written since."""
        (name, state), at, self._read_at = self._known, self._read_at, None
        if at is None or name != session_id or time.monotonic() - at > _JUST_READ:
            return None
        return state if self.log._events.seen(session_id) == Position(state.position, state.link) else None

    def _agent(self, session_id: str, agent_id: str) -> AgentState:
        return self._state(session_id).agents.get(agent_id) or AgentState(agent_id)

    def _tell(self, session_id: str, kind: type[events.Known], data: dict[str, Any], agent_id: str) -> None:
        self._write(session_id, [kind(data, agent_id, trace=current_traceparent())])

    def _redacted(self, session_id: str, found: Sought) -> None:
        """Something is about to be erased: what agents, graphs and swarms resume with is written without it."""
        write_successors(self.log._events, self.log._replay, session_id, found, self._write)

    def _write(self, session_id: str, batch: Sequence[events.Event], expected: Expected = ANY) -> None:
        with session_exceptions:
            self.log._events.append(session_id, batch, expected)


def log_of(client: Client | None, log: SessionLog | None, url: str | None, namespace: str | None) -> SessionLog:
    """The log that is meant by one of these.

    Raises:
        ValueError: When there are none or several, or the log is of another namespace.
    """
    if [client, log, url].count(None) != 2:
        raise ValueError("give exactly one of client, log and url")
    if client is not None:
        return SessionLog(client, namespace or DEFAULT_NAMESPACE)
    if url is not None:
        return SessionLog.connect(url, namespace or DEFAULT_NAMESPACE)
    assert log is not None
    errors.check_log(log)
    check_is_of(log, namespace)
    return log
