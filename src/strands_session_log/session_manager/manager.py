"""ValkeySessionManager: a Strands session manager that writes every step of an agent to the log."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from strands.hooks import AgentInitializedEvent, HookRegistry
from strands.session.repository_session_manager import RepositorySessionManager
from strands.session.session_repository import SessionRepository
from strands.types.content import Message
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionMessage, SessionType

from .. import events
from ..codec import from_json
from ..errors import ConcurrentWriteError, NotCopied, SessionLogError, check_choice, check_flag, refuse_unknown
from ..event_log import ANY, Expected
from ..event_log.erasure_scope import Sought
from ..ids import START, EventId
from ..lifecycle import AgentOutbox, Record, records_facts
from ..lifecycle.agent_hooks import FACTS, GUARDS, listen_to_agent
from ..lifecycle.compat import Handler, Writer
from ..lifecycle.in_force import InForce, with_in_force
from ..lifecycle.records import check_ids, data_of, missing
from ..server import Client
from ..session_log import SessionLog, providing
from ..state import AgentState, SessionState, have_tools
from .errors import RestoreError, raise_for_callers, restored, session_exceptions
from .live_agent import FLUSHES, Flush, LiveAgent
from .orchestrators import Orchestrators
from .repository import LogRepository, log_of
from .restored_messages import RestoredMessages
from .taking_over import held, is_another, taken_over

if TYPE_CHECKING:
    from strands.multiagent.base import MultiAgentBase
    from strands.types.agent import LocalAgent

T = TypeVar("T")

_HAS_NO_OTHER = (
    "session_repository is not used: this manager keeps the session in its log. Leave it out, or take a "
    "RepositorySessionManager of Strands"
)


class ValkeySessionManager(RepositorySessionManager, LogRepository, NotCopied):
    """Keeps the session of an agent in Valkey, as a log of events.

    Drop-in for `strands-valkey-session-manager`: the same constructor and the same ten methods, on any Valkey 7.2+ or
    Redis 7+, without server modules. An append that fails raises `SessionException` and is made up for by the next
    one; when another process has moved the agent meanwhile, it is refused with `ConcurrentWriteError`. The answer to an
    interrupt counts once: who is given it while another call goes on from it gets an `AlreadyAnsweredError`.

    Args:
        session_id: The session; created when it does not exist. Any text up to 256 characters that people can
            see, without path separators.
        client: A sync valkey-py client, `valkey.Valkey` or `valkey.ValkeyCluster`, decoding or not.
        log: Instead of a client: a `SessionLog`.
        url: Instead of a client: where the server is, as for `SessionLog.connect`.
        namespace: First part of every key, `strands` if left out; a log has its own.
        record: `all`, or `state` for only what resuming needs: no invocation, model, tool and node events.
        hold_user_messages: Keep a user message, and the prompt of a node, back until the model call it belongs to has
            settled, for those who may not store it even for the moment until a guardrail redacts it. A process that
            dies in that call loses it. It cannot be kept up for an agent that is called while it runs
            (`unsafe_reentrant`): there, another call may end the wait.
        flush: When a prompt is written: `before_model`, before its model is asked; or `overlap`, while it is, which
            saves a turn that time. Then a process that dies as its model call begins may lose the prompt, and an agent
            that another process has moved, or whose server is away, asks its model in vain: what fails is raised with
            the answer, before any tool runs.
        record_prompts: Keep what the system prompt says in the agent's record, and not its digest alone.
        verify_on_resume: Resume from the events alone, not from a snapshot, and refuse with `SessionBrokenError` when
            one is not what was written; as the log says if left out. It takes the longer the more events there are.
        ttl: After how long without an event the next sweep may delete the session, also as text: `30d`.
        subject: Whom the session is about: see `SessionLog.subjects`.
        session_repository: Known because the base class has it, and warned of.

    Raises:
        SessionException: When the server cannot be used.
        ValueError: When the id cannot be one, none or several of client, log and url are given, or the log is of
            another namespace; an `InvalidSettingError` when one of the settings cannot be.
        UnknownArgumentError: When there is no argument of this name.
    """

    _INSTEAD = "make another one of the same session for the other agent or process, which then resumes"

    @refuse_unknown
    def __init__(
        self,
        session_id: str,
        client: Client | None = None,
        *,
        log: SessionLog | None = None,
        url: str | None = None,
        namespace: str | None = None,
        record: Record = "all",
        hold_user_messages: bool = False,
        flush: Flush = "before_model",
        record_prompts: bool = False,
        verify_on_resume: bool | None = None,
        ttl: timedelta | str | None = None,
        subject: str | None = None,
        session_repository: SessionRepository | None = None,
    ) -> None:
        check_ids(session_id)
        if session_repository is not None:
            warnings.warn(_HAS_NO_OTHER, stacklevel=3)
        tells_facts = records_facts(record)
        check_flag("hold_user_messages", hold_user_messages)
        check_flag("record_prompts", record_prompts)
        check_flag("verify_on_resume", True if verify_on_resume is None else verify_on_resume)
        check_choice("flush", flush, FLUSHES)
        provide = providing(session_id, ttl, subject)
        try:
            LogRepository.__init__(self, log_of(client, log, url, namespace))
        except SessionLogError as error:
            raise_for_callers(error)
        self.client = self.log.client
        provide(self.log)
        self._verifies = self.log.verify_on_resume if verify_on_resume is None else verify_on_resume
        self._held_records: dict[str, list[SessionMessage]] = {}
        self._owns_log, self._lock = url is not None, threading.RLock()
        self._pinned: SessionState | None = None
        self._collected: list[events.Event] | None = None
        self._offset: int | None = None
        self._restored_messages: RestoredMessages | None = None
        self._first_index, self._agents = 0, dict[str, LiveAgent]()
        self._records_facts, self._holds = tells_facts, hold_user_messages
        self._records_prompts, self._flush = record_prompts, flush
        self._open(session_id)
        state = partial(self._state, session_id)
        self._orchestrators = Orchestrators(self.log._events, session_id, state, tells_facts, hold_user_messages)

    def _open(self, session_id: str) -> None:
        try:
            RepositorySessionManager.__init__(self, session_id=session_id, session_repository=self)
        except SessionException:
            # Another process created it between our look and our write, or what is there began without a record.
            if not self._state(session_id).exists:
                raise
            if self.read_session(session_id) is None:
                created = events.SessionCreated(data_of(Session(session_id, SessionType.AGENT)))
                LogRepository._write(self, session_id, [created])
            RepositorySessionManager.__init__(self, session_id=session_id, session_repository=self)

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Listen to an agent, a graph or a swarm; where this version of Strands can wait, no hook blocks its loop."""
        # Strands allows no hook that waits here: an agent is made synchronously.
        registry.add_callback(AgentInitializedEvent, lambda event: self.initialize(event.agent))
        facts = () if self._records_facts else (name for name in FACTS if name != "model_ended")
        listen_to_agent(registry, self._take, but=(*GUARDS, *facts))
        self._orchestrators.register(registry, self.initialize_multi_agent)

    def initialize(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Restore an agent from the session, or begin to keep it; what is new is written in one append.

        Raises:
            SessionException: When an agent of this id was initialized before, the session holds another kind of agent,
                or something that is none (`RestoreError`), or the server cannot be used.
        """
        with self._lock, session_exceptions:
            if agent.agent_id in self._agents:
                raise SessionException("The `agent_id` of an agent must be unique in a session.")
            check_ids(self.session_id, agent.agent_id)
            opened = self._just_read(self.session_id)
            try:
                live = self._begin(agent, opened or self._state(self.session_id), **kwargs)
            except ConcurrentWriteError:
                # Others have written since the constructor looked.
                if opened is None:
                    raise
                live = self._begin(agent, self._state(self.session_id), **kwargs)
            self._agents[agent.agent_id] = live
            if live.redactions:
                live.write()

    def _begin(self, agent: LocalAgent, state: SessionState, **kwargs: Any) -> LiveAgent:
        known = state.agents.get(agent.agent_id) or AgentState(agent.agent_id)
        outbox = AgentOutbox(self.log._events, self.session_id, known)
        # The state may be newer than the constructor's: another process may have created the agent since.
        self._is_new_session = False
        self._first_index = outbox.next_index
        try:
            restore = partial(self._restored, agent, known, state, **kwargs)
            batch = self._restore(f"agent {agent.agent_id!r}", restore, known.moved)
            in_force = InForce(self._records_prompts)
            if batch:
                outbox.adopt([with_in_force(event, in_force.of(agent)) for event in batch])
            if known.record is None and known.messages:
                # A node of a graph, or a script, has said what is there already: it is no part of what is held.
                outbox.window(agent.messages, None, forced=True)
            outbox.flush()
        except BaseException:
            self._latest_agent_message.pop(agent.agent_id, None)
            raise
        live = LiveAgent(agent, outbox, in_force, self._records_facts, self._holds, self._flush)
        live.latest = self._latest_agent_message[agent.agent_id]
        live.hold(self._held_records.pop(agent.agent_id, []))
        if self._restored_messages is not None:
            live.hold_restored(self._restored_messages)
            self._latest_agent_message[agent.agent_id], self._restored_messages = live.latest, None
        live.redactions.of_messages(known.unerased)
        return live

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Create a message at an index that has none; those a new agent brings come after what stands there already.

        Raises:
            ConcurrentWriteError: When the index has one; a `SessionException`.
        """
        if self._collected is not None and session_id == self.session_id:
            session_message.message_id += self._first_index
        super().create_message(session_id, agent_id, session_message, **kwargs)

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        """List an agent's messages in order of their index; none of an agent, or a session, that is not there."""
        with self._lock:
            if self._pinned is None or session_id != self.session_id:
                return super().list_messages(session_id, agent_id, limit, offset, **kwargs)
            # The base class asks, which would go through them one by one: they are restored when it has done the rest.
            self._offset = offset
            return []

    def append_message(self, message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Write a message; the agent holds it when it is resumed, whether this one holds it or not.

        Raises:
            SessionException: When it cannot be written; it will be together with the next one.
        """
        live = self._agents.get(agent.agent_id) or self._live(agent)
        try:
            live.say(message, agent, by_hand=True)
            live.outbox.flush()
        except SessionLogError as error:
            # Not `with session_exceptions`, which each message would enter and leave.
            raise_for_callers(error)

    def sync_agent(self, agent: LocalAgent, **kwargs: Any) -> None:
        """Write the agent's state and window where they have changed, and whatever could not be written before.

        Raises:
            SessionException: When it cannot be written.
        """
        self._live(agent).settle(agent)()

    def redact_latest_message(self, redact_message: Message, agent: LocalAgent, **kwargs: Any) -> None:
        """Replace the message written last, at once and everywhere it is stored; what fails is made up for.

        Raises:
            SessionException: When there is none, or it cannot be written; it will be with the next message.
        """
        live = self._live(agent)
        with session_exceptions:
            live.redact(redact_message)
        live.settle(agent, forced=live.outbox.has_window)()

    def delete_session(self, session_id: str, **kwargs: Any) -> None:
        """Delete a session with everything that belongs to it.

        Live agents, graphs and swarms of it begin a new one with what happens from now on; what they still hold of this
        one is not written again.

        Raises:
            SessionException: When it does not exist.
        """
        super().delete_session(session_id, **kwargs)
        if session_id == self.session_id:
            self._orchestrators.session_deleted()
            for live in self._agents.values():
                live.reset()

    def initialize_multi_agent(self, source: MultiAgentBase, **kwargs: Any) -> None:
        """Restore a graph or swarm from the session, or begin to keep it.

        Raises:
            SessionException: When the server cannot be used.
        """
        self._is_new_session = False
        self._restore(f"graph or swarm {source.id!r}", partial(super().initialize_multi_agent, source, **kwargs))

    def sync_multi_agent(self, source: MultiAgentBase, **kwargs: Any) -> None:
        """Write the state of a graph or swarm.

        Raises:
            SessionException: When it cannot be written.
        """
        with session_exceptions:
            self._orchestrators.synced(source, self.initialize_multi_agent)()

    def close(self) -> None:
        """Close what this manager connected itself: nothing when it was given a client or a log."""
        if self._owns_log:
            self.log.close()

    def _live(self, agent: Any) -> LiveAgent:
        live = self._agents.get(agent.agent_id)
        if live is None:
            raise missing(f"Agent {agent.agent_id} in session {self.session_id}")
        return live

    def _take(self, name: str, hook: Any) -> Writer:
        handle: Handler = getattr(self._agents.get(hook.agent.agent_id) or self._live(hook.agent), name)
        return handle(hook)

    def _restored(self, agent: Any, known: AgentState, state: SessionState, **kwargs: Any) -> list[events.Event]:
        """Let the base class restore an agent, but for its messages.

        Returns:
            What it wrote.
        """
        try:
            with self._collecting(state) as batch:
                super().initialize(agent, **kwargs)
        except ValueError:
            if not is_another(agent, known):
                raise
            self._latest_agent_message.pop(agent.agent_id, None)
            with self._collecting(taken_over(agent, known, state)) as batch:
                super().initialize(agent, **kwargs)
            self._restore_messages(agent, known, held(known))
        else:
            # Where its messages and its conversation manager's state do not tell it.
            window = None if known.held is None else [from_json(message) for message in known.window]
            self._restore_messages(agent, known, window)
        return batch

    def _restore_messages(self, agent: Any, known: AgentState, window: list[Message] | None) -> None:
        """Give an agent what it held, unless its model keeps that, or it is new."""
        # Where nothing says so, whoever mends them looks.
        may_have_tools = window is not None
        if self._offset is not None:
            offset = self._offset if window is None else max(self._offset, len(known.messages) - 1)
            self._restored_messages = restored = RestoredMessages(known.messages, offset)
            may_have_tools = may_have_tools or restored.have_tools or have_tools(agent.messages)
            window = [*agent.messages, *restored.shown] if window is None else window
        if window is not None and not getattr(getattr(agent, "model", None), "stateful", False):
            agent.messages = self._fix_broken_tool_use(window) if may_have_tools else window

    def _fix_broken_tool_use(self, messages: list[Message]) -> list[Message]:
        """As the base class does, if it does, which goes through all messages several times even if none has a tool.

        While it restores an agent, that has none yet.
        """
        if self._pinned is not None:
            return messages
        fix = getattr(super(), "_fix_broken_tool_use", None)
        return fix(messages) if fix and have_tools(messages) else messages

    def _restore(self, what: str, make: Callable[[], T], at: EventId = START) -> T:
        """Should the snapshot be to blame, the next attempt reads the log."""
        try:
            return restored(
                f"{what} of session {self.session_id!r}" + (f" as of event {at}" if at.revision else ""), make
            )
        except RestoreError:
            self.log._replay.drop(self.session_id)
            raise

    @contextmanager
    def _collecting(self, state: SessionState) -> Iterator[list[events.Event]]:
        """Let the base class read this state, and collect what it writes instead of writing it piece by piece."""
        self._pinned, self._collected, self._offset, self._restored_messages = state, [], None, None
        try:
            yield self._collected
        finally:
            self._pinned, self._collected = None, None

    def _state(self, session_id: str) -> SessionState:
        with self._lock:
            if self._pinned is not None and session_id == self.session_id:
                return self._pinned
            return super()._state(session_id)

    def _redacted(self, session_id: str, found: Sought) -> None:
        if session_id == self.session_id:
            for live in self._agents.values():
                live.outbox.withdraw(found)
            self._orchestrators.redact(found)
        super()._redacted(session_id, found)

    def _write(self, session_id: str, batch: Sequence[events.Event], expected: Expected = ANY) -> None:
        with self._lock:
            ours = bool(batch) and session_id == self.session_id
            live = self._agents.get(batch[0].agent) if ours and batch[0].moves != "multi_agent" else None
            if self._collected is not None and ours:
                self._collected.extend(batch)
            elif live is not None:
                # A repository call beside a live agent of ours: the agent must know of it, or it would refuse itself.
                with session_exceptions:
                    live.outbox.write(batch)
            else:
                super()._write(session_id, batch, expected)
