"""An agent's transcript and window as the one list of messages that Strands' repositories keep.

They resume an agent with that list, without as many messages at its beginning as its conversation manager has removed,
and with the manager's summary before the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..ids import START
from ..state import AgentState, MessageRecord
from .nearest import Loss
from .records import summary_in

_REMOVED = "removed_message_count"


class Unrolled(NamedTuple):
    """What to keep of an agent.

    Attributes:
        messages: Its messages.
        manager: What of its conversation manager's state has to be changed for it.
        losses: What cannot be kept.
    """

    messages: Sequence[MessageRecord]
    manager: Mapping[str, Any]
    losses: Sequence[Loss] = ()


def unroll(agent: AgentState, path: str) -> Unrolled:
    """Lay out an agent's messages so that what it holds is what Strands will resume it with."""
    shown = agent.window_with_indices()
    summary = None if agent.held is None else summary_in(agent.record or {})
    if summary is not None and (not shown or shown[0][1] != summary):
        loss = Loss(f"{path}.conversation_manager_state.summary_message", "left out: the agent does not hold it")
        found = _laid_out(agent, shown, path)
        return Unrolled(found.messages, {**found.manager, "summary_message": None}, (loss, *found.losses))
    return _laid_out(agent, shown if summary is None else shown[1:], path)


def _laid_out(agent: AgentState, held: Sequence[tuple[int | None, Mapping[str, Any]]], path: str) -> Unrolled:
    start = len(agent.messages) - len(held)
    if start >= 0 and [index for index, _ in held] == [record.message_id for record in agent.messages[start:]]:
        return _from(agent, list(agent.messages), start, path)
    indices = {index for index, _ in held}
    before = [record for record in agent.messages if record.message_id not in indices]
    after = [_record(agent, index, message) for index, message in held]
    loss = Loss(f"{path}.messages", "numbered anew: what the agent holds is not the end of what was said")
    numbered = [record._replace(message_id=number) for number, record in enumerate([*before, *after])]
    found = _from(agent, numbered, len(before), path)
    return found._replace(losses=(loss, *found.losses))


def _from(agent: AgentState, messages: Sequence[MessageRecord], start: int, path: str) -> Unrolled:
    """All messages, of which the first are not held; where there is no count to tell so, only those that are."""
    if start == agent.removed:
        return Unrolled(messages, {})
    if _REMOVED in ((agent.record or {}).get("conversation_manager_state") or {}):
        return Unrolled(messages, {_REMOVED: start})
    loss = Loss(f"{path}.messages", f"the {start} the agent does not hold any more are left out")
    return Unrolled(messages[start:], {}, (loss,))


def _record(agent: AgentState, index: int | None, message: Mapping[str, Any]) -> MessageRecord:
    position = None if index is None else agent.messages.find(index)
    if position is not None:
        return agent.messages[position]
    updated = str((agent.record or {}).get("updated_at", ""))
    return MessageRecord(message, 0, None, updated, updated, START)
