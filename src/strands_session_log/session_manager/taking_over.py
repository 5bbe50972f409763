"""An agent that had a conversation manager of another class when it was written last: Strands refuses to restore it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from strands.types.content import Message

from ..codec import from_json, to_json
from ..state import AgentState, SessionState

_STATE, _NAME, _REMOVED = "conversation_manager_state", "__name__", "removed_message_count"


def is_another(agent: Any, known: AgentState) -> bool:
    """Whether an agent has a conversation manager of another class than when it was written last."""
    then, now = _name_of(known), type(getattr(agent, "conversation_manager", None)).__name__
    return then is not None and then != now


def taken_over(agent: Any, known: AgentState, state: SessionState) -> SessionState:
    """The session as if the agent's conversation manager had been of the class it has now.

    How many messages are gone from its beginning stays: so the log knows what the agent holds.
    """
    now = agent.conversation_manager
    warnings.warn(
        f"agent {known.agent_id!r} was managed by a {_name_of(known)} and is by a {type(now).__name__} now: it resumes "
        "with the messages it held, and what the other one knew besides them is gone",
        stacklevel=2,
    )
    fresh = to_json({**now.get_state(), _REMOVED: known.removed}, _STATE)
    changed = replace(known, record={**(known.record or {}), _STATE: fresh})
    return replace(state, agents={**state.agents, known.agent_id: changed})


def held(known: AgentState) -> list[Message]:
    """The messages it held, with the summary that may stand nowhere but in its conversation manager's state."""
    manager = (known.record or {}).get(_STATE)
    summary = manager.get("summary_message") if isinstance(manager, Mapping) and known.held is None else None
    first = [summary] if isinstance(summary, Mapping) else []
    return [from_json(message) for message in (*first, *known.window)]


def _name_of(known: AgentState) -> str | None:
    """What stands there may be of somebody else's making; a class has a short name."""
    manager = (known.record or {}).get(_STATE)
    name = manager.get(_NAME) if isinstance(manager, Mapping) else None
    return name if isinstance(name, str) and name.isidentifier() and len(name) <= 100 else None
