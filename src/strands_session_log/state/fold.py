"""The fold: `initial()`, then `evolve(state, recorded)` for every event in order.

Total: an event of an unknown type, or with data of another shape than expected, changes the position only. An event
whose content was erased counts as if it had not been written, but an erased message keeps its place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from ..events import (
    AgentCreated,
    AgentUpdated,
    MessageAdded,
    MessageRedacted,
    MessageUpdated,
    MultiAgentCreated,
    MultiAgentUpdated,
    PayloadErased,
    Recorded,
    SessionCreated,
    WindowChanged,
)
from ..ids import EventId
from .messages import Messages
from .session import AgentState, Held, MessageRecord, SessionState


def initial() -> SessionState:
    """A session before its first event."""
    return SessionState()


def evolve(state: SessionState, recorded: Recorded) -> SessionState:
    """The state after one more event; the argument stays as it was."""
    step = _STEPS.get(recorded.event.type)
    changes = step(state, recorded) if step else {}
    # Not `replace`, which takes three times as long, and this is done once for each event of a session.
    return SessionState(
        changes.get("session", state.session),
        changes.get("agents", state.agents),
        changes.get("multi_agents", state.multi_agents),
        recorded.id,
        recorded.link,
    )


def _session_created(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    return {} if recorded.event.is_erased else {"session": recorded.event.data}


def _agent_written(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    agent = _agent(state, recorded)
    record = agent.record if recorded.event.is_erased else recorded.event.data
    return _with_agent(state, replace(agent, record=record, moved=recorded.id))


def _message_added(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    agent, record = _agent(state, recorded), _message(recorded)
    messages = agent.messages.put(record) if record else agent.messages
    return _with_agent(state, replace(agent, messages=messages, moved=recorded.id))


def _message_changed(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    agent, record = _agent(state, recorded), _message(recorded)
    position = None if record is None else agent.messages.find(record.message_id)
    if record is None or position is None:
        return {}
    unerased, before = agent.unerased, agent.messages[position]
    if record.redact_message is not None and before.redact_message is None and not before.erased:
        unerased = {**unerased, record.message_id: before.id}
    return _with_agent(state, replace(agent, messages=agent.messages.put(record), unerased=unerased))


def _window_changed(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    agent = replace(_agent(state, recorded), moved=recorded.id)
    data = recorded.event.data
    removed, next_index = data.get("removed"), data.get("next")
    if not isinstance(data.get("items"), list) or type(removed) is not int or type(next_index) is not int:
        return _with_agent(state, agent)
    items = tuple(item for raw in data["items"] if (item := _window_item(raw)) is not None)
    return _with_agent(state, replace(agent, held=Held(items, removed, next_index)))


def _window_item(raw: Any) -> tuple[int, int] | Mapping[str, Any] | None:
    match raw:
        case [int(first), int(last)]:
            return first, last
        case {"message": Mapping() as message}:
            return message
    return None


def _multi_agent_written(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    if recorded.event.is_erased:
        return {}
    return {"multi_agents": {**state.multi_agents, recorded.event.agent: recorded.event.data}}


def _payload_erased(state: SessionState, recorded: Recorded) -> dict[str, Any]:
    """Catch up a state that was folded before the erasure; one folded since has nothing left to lose."""
    ids = set(recorded.event.erased) if isinstance(recorded.event, PayloadErased) else set[EventId]()
    return {"agents": {name: _erase(agent, ids) for name, agent in state.agents.items()}}


def _erase(agent: AgentState, ids: Collection[EventId]) -> AgentState:
    unerased = {index: id_ for index, id_ in agent.unerased.items() if id_ not in ids}
    return replace(agent, messages=_without(agent.messages, ids), unerased=unerased)


def _without(messages: Messages, ids: Collection[EventId]) -> Messages:
    for record in messages:
        if record.id in ids and not record.erased:
            role = record.shown.get("role") if isinstance(record.shown, Mapping) else None
            messages = messages.put(_erased(record.message_id, role, record.id))
    return messages


def _agent(state: SessionState, recorded: Recorded) -> AgentState:
    agent_id = recorded.event.agent
    return state.agents.get(agent_id) or AgentState(agent_id)


def _with_agent(state: SessionState, agent: AgentState) -> dict[str, Any]:
    return {"agents": {**state.agents, agent.agent_id: agent}}


def _message(recorded: Recorded) -> MessageRecord | None:
    data: Mapping[str, Any] = recorded.event.data
    index = data.get("message_id")
    if type(index) is not int:
        return None
    if recorded.event.is_erased:
        return _erased(index, data.get("role"), recorded.id)
    return MessageRecord(
        data.get("message") or {},
        index,
        data.get("redact_message"),
        str(data.get("created_at", "")),
        str(data.get("updated_at", "")),
        recorded.id,
    )


def _erased(index: int, role: Any, event_id: EventId) -> MessageRecord:
    """A message any model can take in place of the one that is gone, so that the agent still resumes."""
    message = {"role": role if role in ("user", "assistant") else "user", "content": [{"text": "[erased]"}]}
    return MessageRecord(message, index, None, "", "", event_id, erased=True)


_STEPS: dict[str, Callable[[SessionState, Recorded], dict[str, Any]]] = {
    SessionCreated.TYPE: _session_created,
    AgentCreated.TYPE: _agent_written,
    AgentUpdated.TYPE: _agent_written,
    MessageAdded.TYPE: _message_added,
    MessageUpdated.TYPE: _message_changed,
    MessageRedacted.TYPE: _message_changed,
    WindowChanged.TYPE: _window_changed,
    MultiAgentCreated.TYPE: _multi_agent_written,
    MultiAgentUpdated.TYPE: _multi_agent_written,
    PayloadErased.TYPE: _payload_erased,
}
