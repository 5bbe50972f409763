"""Events to fold, and the fold of them, as the tests of the state and of its snapshots need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.errors import SessionLogError
from strands_session_log.events import Event, Recorded
from strands_session_log.ids import EventId
from strands_session_log.snapshot import Authenticator, Whose
from strands_session_log.state import Messages, SessionState, evolve, initial

OPEN = Authenticator()
WHOSE = Whose("n", "s", "")


def recorded(*happened: Event) -> list[Recorded]:
    return [Recorded(EventId(1000 + n, n), event, f"link{n}") for n, event in enumerate(happened, 1)]


def fold(entries: list[Recorded], state: SessionState | None = None) -> SessionState:
    state = state or initial()
    for entry in entries:
        state = evolve(state, entry)
    return state


def said(index: int, text: str = "hi", agent: str = "a", **more: Any) -> Event:
    return events.MessageAdded(
        {"message": {"role": "user", "content": [{"text": text}]}, "message_id": index, **more}, agent
    )


agents = st.sampled_from(["a", "b"])
junk = st.dictionaries(
    st.sampled_from(["message", "message_id", "state", "redact_message"]),
    st.none() | st.integers() | st.text() | st.lists(st.integers()),
)
anything = st.one_of(
    st.builds(said, st.integers(0, 9), st.text(max_size=3), agents),
    st.builds(events.MessageUpdated, st.builds(lambda i: {"message": {}, "message_id": i}, st.integers(0, 9)), agents),
    st.builds(events.AgentUpdated, st.builds(lambda n: {"state": {"n": n}}, st.integers()), agents),
    *(st.builds(kind, junk, agents) for kind in Event.known.values()),
    st.builds(lambda data: Event("future.unknown", data), junk),
)


class Log:
    """Stands for the log: what a snapshot does not hold is folded anew."""

    def __init__(self, state: SessionState, segments: Mapping[str, bytes]) -> None:
        self.state, self.segments, self.replays = state, segments, 0

    def segment(self, name: str) -> bytes | None:
        return self.segments.get(name)

    def replayed(self, agent_id: str, start: int, end: int) -> Messages:
        self.replays += 1
        return self.state.agents[agent_id].messages

    def contradicted(self, agent_id: str) -> SessionLogError:
        return SessionLogError(f"agent {agent_id} has other messages")
