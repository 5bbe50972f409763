"""The same calls, in any order, on Strands' `FileSessionManager` and on `ValkeySessionManager`: the same results.

Two differences are deliberate: a message index that exists is refused, not overwritten; and an agent that is not there
has no messages, as with `strands-valkey-session-manager`, where files raise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from strands.session.file_session_manager import FileSessionManager
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.errors import ConcurrentWriteError
from support import Keyspace
from support.clients import client_of

# Old versions of Strands look neither for path separators nor at the type of an index, cannot store bytes in an
# agent's state, and keep no orchestrator state; what they do instead is not worth matching.
REFUSES_PATHS = find_spec("strands._identifier") is not None
KEEPS_ORCHESTRATORS = hasattr(FileSessionManager, "create_multi_agent")

sessions = st.sampled_from(["home", "s1", "s10", *(["no/such"] if REFUSES_PATHS else [])])
agents = st.sampled_from(["a", "b:c", "d{e}", *(["../up"] if REFUSES_PATHS else [])])
indices = st.integers(-2, 6)
contents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
messages = st.builds(
    # Blocks are objects: what is none makes no message for a model, and is not read as one.
    lambda role, text, more: {"role": role, "content": [{"text": text}, {"more": more}]},
    st.sampled_from(["user", "assistant"]),
    st.text(max_size=5),
    contents,
)
odd_indices = st.sampled_from(["0", None, 1.0]) if REFUSES_PATHS else indices
states = st.dictionaries(st.text(max_size=3), contents if KEEPS_ORCHESTRATORS else st.text(), max_size=2)


class Orchestrator:
    """As much of a graph or swarm as a repository sees."""

    def __init__(self, id_: str, state: Any) -> None:
        self.id = id_
        self._state = state

    def serialize_state(self) -> dict[str, Any]:
        return {"type": "graph", "state": self._state}


class Comparison(RuleBasedStateMachine):
    """Drives both managers with every call; `log` is set by the test."""

    log: SessionLog

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.file = FileSessionManager("home", storage_dir=self.directory.name)
        namespace = f"{self.log.namespace}-{uuid4().hex[:8]}"
        self.mine = ValkeySessionManager("home", log=SessionLog(self.log.client, namespace))
        self.taken: set[tuple[str, str, int]] = set()

    def teardown(self) -> None:
        keyspace = Keyspace(client_of(self.mine.log))
        keyspace.delete(keyspace.under(self.mine.log.namespace))
        self.directory.cleanup()

    def both(self, call: Callable[[Any], Any]) -> None:
        assert outcome(call, self.mine) == outcome(call, self.file)

    @rule(session_id=sessions)
    def create_session(self, session_id: str) -> None:
        self.both(lambda m: m.create_session(Session(session_id, SessionType.AGENT, "2026", "2027")))

    @rule(session_id=sessions)
    def read_session(self, session_id: str) -> None:
        self.both(lambda m: without_home_times(m.read_session(session_id)))

    @rule(session_id=sessions)
    def delete_session(self, session_id: str) -> None:
        self.both(lambda m: m.delete_session(session_id))
        self.taken = {key for key in self.taken if key[0] != session_id}

    @rule(session_id=sessions, agent_id=agents, state=states)
    def create_agent(self, session_id: str, agent_id: str, state: dict[str, Any]) -> None:
        self.both(lambda m: m.create_agent(session_id, agent(agent_id, state)))

    @rule(session_id=sessions, agent_id=agents)
    def read_agent(self, session_id: str, agent_id: str) -> None:
        self.both(lambda m: m.read_agent(session_id, agent_id))

    @rule(session_id=sessions, agent_id=agents, state=states)
    def update_agent(self, session_id: str, agent_id: str, state: dict[str, Any]) -> None:
        self.both(lambda m: m.update_agent(session_id, agent(agent_id, state, "2030")))

    @rule(session_id=sessions, agent_id=agents, index=indices, message=messages)
    def create_message(self, session_id: str, agent_id: str, index: int, message: Any) -> None:
        def create(manager: Any) -> None:
            manager.create_message(session_id, agent_id, SessionMessage(message, index, None, "2026", "2027"))

        if (session_id, agent_id, index) in self.taken:
            with pytest.raises(ConcurrentWriteError):
                create(self.mine)
            return
        self.both(create)
        if "/" not in session_id + agent_id:
            self.taken.add((session_id, agent_id, index))

    @rule(session_id=sessions, agent_id=agents, index=indices | odd_indices)
    def read_message(self, session_id: str, agent_id: str, index: Any) -> None:
        self.both(lambda m: m.read_message(session_id, agent_id, index))

    @rule(session_id=sessions, agent_id=agents, index=indices, message=messages, redact=st.booleans())
    def update_message(self, session_id: str, agent_id: str, index: int, message: Any, redact: bool) -> None:
        # Strands redacts a message in place: both fields of its record are the redaction by then.
        redaction = message if redact else None
        self.both(
            lambda m: m.update_message(session_id, agent_id, SessionMessage(message, index, redaction, "x", "2031"))
        )

    @rule(session_id=sessions, agent_id=agents, limit=st.none() | st.integers(-2, 5), offset=st.integers(-3, 5))
    def list_messages(self, session_id: str, agent_id: str, limit: int | None, offset: int) -> None:
        mine, file = (
            outcome(lambda m: m.list_messages(session_id, agent_id, limit=limit, offset=offset), manager)
            for manager in (self.mine, self.file)
        )
        is_missing = isinstance(file, tuple) and file[1].startswith("Messages directory missing")
        assert mine == ([] if is_missing else file)

    @precondition(lambda self: KEEPS_ORCHESTRATORS)
    @rule(session_id=sessions, id_=agents, number=st.integers())
    def create_multi_agent(self, session_id: str, id_: str, number: int) -> None:
        self.both(lambda m: m.create_multi_agent(session_id, Orchestrator(id_, number)))

    @precondition(lambda self: KEEPS_ORCHESTRATORS)
    @rule(session_id=sessions, id_=agents)
    def read_multi_agent(self, session_id: str, id_: str) -> None:
        self.both(lambda m: m.read_multi_agent(session_id, id_))

    @precondition(lambda self: KEEPS_ORCHESTRATORS)
    @rule(session_id=sessions, id_=agents, number=st.integers())
    def update_multi_agent(self, session_id: str, id_: str, number: int) -> None:
        self.both(lambda m: m.update_multi_agent(session_id, Orchestrator(id_, number)))


def outcome(call: Callable[[Any], Any], manager: Any) -> Any:
    """A result, or an error as its kind and words."""
    try:
        return call(manager)
    except (SessionException, ValueError) as error:
        return (SessionException if isinstance(error, SessionException) else ValueError), str(error)


def agent(agent_id: str, state: dict[str, Any], created_at: str = "2026") -> SessionAgent:
    return SessionAgent(agent_id, state, {"removed_message_count": 0}, created_at=created_at, updated_at="2027")


def without_home_times(session: Session | None) -> Any:
    """The session the managers create themselves has a time of its own in each."""
    return session if session is None or session.session_id != "home" else session.session_type


def test_every_sequence_of_calls_has_the_same_results_as_with_files(session_log: SessionLog) -> None:
    class Machine(Comparison):
        log = session_log

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
