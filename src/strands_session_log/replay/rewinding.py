"""Going back: the agents resume from an earlier event, and nothing is deleted.

One append holds the `session.rewound` event and, by the means there are anyway, what brings each agent back: its record
and its window as they were. Whoever only knows those follows without knowing of rewinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .. import events
from ..codec import from_json
from ..errors import ConcurrentWriteError, ContentionError, SessionNotFoundError
from ..event_log import EventLog, SessionAt
from ..events import Event
from ..ids import EventId
from ..state import ANSWERING, AgentState, MessageRecord, Messages, SessionState, is_interrupted
from .replay import Replay

_ATTEMPTS = 20


def rewind(
    log: EventLog, replay: Replay, session_id: str, to: EventId, check: Callable[[SessionState], None], by: str = ""
) -> EventId:
    """Bring the agents of a session back to an event of it, see `SessionLog.rewind`.

    The past is folded after the present: an erasure in between moves the session, and the append is refused.
    """
    for _ in range(_ATTEMPTS):
        now = replay.state(session_id)
        if not now.exists:
            raise SessionNotFoundError(session_id)
        then = replay.state(session_id, to)
        check(then)
        try:
            return log.append(session_id, list(_events(now, then, by)), SessionAt(now.revision))[-1]
        except ConcurrentWriteError:
            continue
    raise ContentionError(session_id, _ATTEMPTS)


def _events(now: SessionState, then: SessionState, by: str) -> Iterator[Event]:
    """The one that names it comes last, so that at this point all agents are back."""
    waiting = dict[str, None]()
    for event in _brought_back(now, then):
        if event.moves and is_interrupted(event.data):
            waiting[event.agent] = None
        yield event
    yield events.SessionRewound(
        {
            "from": str(now.position),
            "to": str(then.position),
            "agents": [name for name, agent in now.agents.items() if agent.record and not _record(then, name)],
            "multi_agents": [name for name in now.multi_agents if name not in then.multi_agents],
            **({"waiting": list(waiting)} if waiting else {}),
            **({"by": by} if by else {}),
        }
    )


def _brought_back(now: SessionState, then: SessionState) -> Iterator[Event]:
    for name, agent in now.agents.items():
        yield from _agent(agent, then.agents.get(name) or AgentState(name))
    for name, data in then.multi_agents.items():
        if now.multi_agents.get(name) != data or ANSWERING in data:
            yield events.MultiAgentUpdated(from_json(_unclaimed(data)), name)


def _agent(now: AgentState, then: AgentState) -> Iterator[Event]:
    if then.record is not None and (then.record != now.record or then.answering):
        yield events.AgentUpdated(from_json(_unclaimed(then.record)), now.agent_id)
    last = now.messages.last_index
    data = {
        "items": [*_summary(then), *_items(then, now.messages)],
        "removed": then.removed,
        "next": 0 if last is None else last + 1,
    }
    yield events.WindowChanged(data, now.agent_id)


def _unclaimed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Whatever went on from interrupts then is not what goes on from here."""
    return {name: value for name, value in record.items() if name != ANSWERING}


def _record(state: SessionState, name: str) -> Mapping[str, Any] | None:
    agent = state.agents.get(name)
    return agent.record if agent else None


def _summary(agent: AgentState) -> Iterator[Mapping[str, Any]]:
    """What a conversation manager puts before the messages, where only its state tells it."""
    manager = (agent.record or {}).get("conversation_manager_state")
    summary = manager.get("summary_message") if isinstance(manager, Mapping) and agent.held is None else None
    if isinstance(summary, Mapping):
        yield {"message": from_json(summary)}


def _items(agent: AgentState, now: Messages) -> Iterator[Any]:
    """What an agent holds, as ranges of message indices and what stands nowhere else: also what was changed since."""
    for span in agent.window_spans():
        if isinstance(span, Mapping):
            yield {"message": from_json(span)}
            continue
        indices: list[int] = []
        for record in agent.messages[span[0] : span[1]]:
            if not _was_changed(record, now):
                indices.append(record.message_id)
                continue
            yield from _runs(indices)
            yield {"message": from_json(record.shown)}
            indices = []
        yield from _runs(indices)


def _was_changed(record: MessageRecord, now: Messages) -> bool:
    """Whether a message has another content by now; what was redacted or erased since stays so."""
    position = now.find(record.message_id)
    if position is None:
        return False
    current = now[position]
    return current.id != record.id and current.redact_message is None and not current.erased


def _runs(indices: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return runs
