"""What the API answers with, as plain JSON values: as the command line's `--json` has them, where it has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from strands_session_log import (
    AgentActivity,
    AgentDiff,
    AgentState,
    Change,
    Integrity,
    MessageChange,
    MessageRecord,
    Recorded,
    SessionDiff,
    SessionInfo,
    SessionState,
)

from ..conversation.checking import CheckStatus
from ..inbox.waiting import WaitingItem
from ..rendering import word_of

_PROBLEMS = 100


def dumped(value: Any) -> bytes:
    """As JSON, whatever others wrote."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), default=datetime.isoformat).encode()


def event_value(recorded: Recorded, integrity: Integrity | str) -> dict[str, Any]:
    """An event as `session-log events --json` prints it."""
    return {**recorded.to_json(), "integrity": str(integrity)}


def session_value(info: SessionInfo) -> dict[str, Any]:
    """What a list tells of a session; `shown_status` is the word that the viewer has for it."""
    last = info.last_message
    return {
        "session_id": info.session_id,
        "status": info.status,
        "shown_status": word_of(info),
        "agents": [_activity(one) for one in info.agents],
        "messages": info.messages,
        "input_tokens": info.input_tokens,
        "output_tokens": info.output_tokens,
        "errors": info.errors,
        "labels": dict(info.labels),
        "last_message": last
        and {"id": str(last.id), "agent": last.event.agent, "type": last.event.type, "data": last.event.data},
        "revision": info.revision,
        "created_at": info.created_at,
        "last_event_at": info.last_event_at,
        "cursor": info.cursor,
    }


def _activity(one: AgentActivity) -> dict[str, Any]:
    return {
        "agent": one.agent,
        "status": one.status,
        "name": one.name or None,
        "since": str(one.since) if one.since else None,
        "last_sign_at": one.last_sign,
        "messages": one.messages,
    }


def check_value(found: CheckStatus | None) -> dict[str, Any] | None:
    """How far a session is checked; None before anything was."""
    if found is None:
        return None
    return {
        "revision": found.revision,
        "head": found.head,
        "percent": found.percent,
        "done": found.done,
        "intact": not found.problems if found.done or found.problems else None,
        "problems": list(found.problems[:_PROBLEMS]),
        "problem_count": len(found.problems),
        "broken_at": found.broken_at or None,
        "link": found.link,
        "time": found.time,
        "replaced": found.replaced,
    }


def state_value(session_id: str, state: SessionState, messages: int) -> dict[str, Any]:
    """What a session was at a point, with the last messages of each agent."""
    return {
        "session_id": session_id,
        "session": state.session,
        "labels": dict(state.labels),
        "agents": {name: _agent(agent, messages) for name, agent in state.agents.items()},
        "interrupts": [asdict(one) for one in state.interrupts],
        "multi_agents": dict(state.multi_agents),
        "revision": state.revision,
        "position": str(state.position),
        "link": state.link,
        "integrity": str(state.integrity),
    }


def _agent(agent: AgentState, messages: int) -> dict[str, Any]:
    count = len(agent.messages)
    return {
        "messages": [message_value(one) for one in agent.messages[max(0, count - messages) : count]],
        "message_count": count,
        "window": [dict(one) if isinstance(one, Mapping) else list(one) for one in agent.window_spans()],
        "state": agent.state,
        "in_force": agent.in_force or None,
    }


def message_value(record: MessageRecord) -> dict[str, Any]:
    """A message of a transcript."""
    return {**record._asdict(), "id": str(record.id)}


def diff_value(session_id: str, diff: SessionDiff) -> dict[str, Any]:
    """Everything that differs between two points."""
    return {
        "session_id": session_id,
        "before": str(diff.before),
        "after": str(diff.after),
        "agents": {name: _agent_diff(agent) for name, agent in diff.agents.items()},
        "multi_agents": _changes(diff.multi_agents),
        "session": _changes(diff.session),
        "labels": _changes(diff.labels),
        "integrity": str(diff.integrity),
    }


def _agent_diff(agent: AgentDiff) -> dict[str, Any]:
    messages = {"added": agent.added, "changed": agent.changed, "redacted": agent.redacted, "removed": agent.removed}
    return {
        "presence": agent.presence,
        **{name: [_message_change(change) for change in changes] for name, changes in messages.items()},
        "state": _changes(agent.state),
        "record": _changes(agent.record),
        "window_left": list(agent.window_left),
        "window_joined": list(agent.window_joined),
        "window_rearranged": agent.window_rearranged,
    }


def _changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


def _message_change(change: MessageChange) -> dict[str, Any]:
    before, after = (one and message_value(one) for one in (change.before, change.after))
    return {"index": change.index, "before": before, "after": after}


def waiting_value(item: WaitingItem) -> dict[str, Any]:
    """What a person is asked."""
    asked, sent = item.asked, item.sent
    return {
        "session_id": item.session_id,
        "agent": asked.agent,
        "interrupt_id": asked.interrupt_id,
        "name": asked.name,
        "reason": asked.reason,
        "since": item.since,
        "revision": item.revision,
        "head": item.head,
        "before": [message_value(one) for one in item.before],
        "sent": sent and {"person": sent.person, "answer": sent.answer, "time": sent.time},
    }
