"""Tool calls that nobody has answered yet: where they are, no agent should begin anew.

An agent that waits for a person is another matter: it keeps what it needs to go on with its calls, and begins with the
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ..errors import UnansweredToolCallsError
from ..event_log import EventLog
from ..ids import EventId
from ..state import ANSWERING, AgentState, SessionState, evolve, is_interrupted

_LOOKED_AT = 1_000
"""How many events before and after a point are searched for a better one."""


def check(log: EventLog, session_id: str, state: SessionState) -> None:
    """Refuse a point at which an agent waits for a tool.

    Args:
        log: The log.
        session_id: The session.
        state: Its state at that point.

    Raises:
        UnansweredToolCallsError: When one does; names the nearest points where none does.
    """
    calls = unanswered(state)
    if calls:
        nearest = [id_ for id_ in (_before(log, session_id, state, set(calls)), _after(log, session_id, state)) if id_]
        raise UnansweredToolCallsError(session_id, state.position, calls, nearest)


def accept(state: SessionState) -> None:
    """Any point will do."""


def unanswered(state: SessionState) -> dict[str, list[str]]:
    """The names of the tools that agents wait for, by agent; none of those that wait for a person."""
    found = {name: _unanswered(agent) for name, agent in state.agents.items() if not _is_interrupted(state, agent)}
    return {name: tools for name, tools in found.items() if tools}


def _is_interrupted(state: SessionState, agent: AgentState) -> bool:
    """Whether it waits for a person; what an orchestrator's node waits for is in the state of the orchestrator."""
    if agent.record is not None:
        return agent.is_interrupted
    above = (name for name in state.multi_agents if agent.agent_id.startswith(f"{name}:"))
    found = [state.multi_agents[name] for name in above]
    return any(is_interrupted(data) and ANSWERING not in data for data in found)


def _unanswered(agent: AgentState) -> list[str]:
    """The names of the tools that were called in the last message an agent holds, if that is a call."""
    for span in reversed(agent.window_spans()):
        message = span if isinstance(span, Mapping) else agent.messages[span[1] - 1].shown
        return list(_called(message)) if message.get("role") == "assistant" else []
    return []


def _called(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    for block in content if isinstance(content, list) else []:
        call = block.get("toolUse") if isinstance(block, Mapping) else None
        if isinstance(call, Mapping):
            yield str(call.get("name"))


def _after(log: EventLog, session_id: str, state: SessionState) -> EventId | None:
    """The first event after which all tools have answered."""
    for recorded in islice(log.read(session_id, after=state.position), _LOOKED_AT):
        state = evolve(state, recorded)
        if not unanswered(state):
            return recorded.id
    return None


def _before(log: EventLog, session_id: str, state: SessionState, names: set[str]) -> EventId | None:
    """The event before the first of the calls."""
    first = min(_call_of(state.agents[name]).revision for name in names)
    return log.locate(session_id, first - 1) if first > 1 else None


def _call_of(agent: AgentState) -> EventId:
    """The event that wrote the last message an agent holds."""
    span = agent.window_spans()[-1]
    return agent.moved if isinstance(span, Mapping) else agent.messages[span[1] - 1].id
