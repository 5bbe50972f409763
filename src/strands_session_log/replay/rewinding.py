"""Going back: the agents resume from an earlier event, and nothing is deleted.

One append holds the `session.rewound` event and, by the means there are anyway, what brings each agent back: its record
and its window as they were. Whoever only knows those follows without knowing of rewinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from .. import events
from ..codec import from_json
from ..errors import ConcurrentWriteError, ContentionError, SessionNotFoundError
from ..event_log import EventLog, SessionAt
from ..events import Event
from ..ids import EventId, Point
from ..state import ANSWERING, AgentState, MessageRecord, Messages, SessionState, is_interrupted
from .replay import Replay

_ATTEMPTS = 20


def rewind(
    log: EventLog,
    replay: Replay,
    session_id: str,
    to: Point,
    past: Callable[[Point], SessionState],
    check: Callable[[SessionState], None],
    by: str = "",
) -> EventId:
    """Bring the agents of a session back to a point of it, see `SessionLog.rewind`.

    Args:
        log: The log.
        replay: Folds it.
        session_id: The session.
        to: The point.
        past: The state at a point.
        check: Refuses states that are none to go on from.
        by: Who rewinds.
    """
    for _ in range(_ATTEMPTS):
        then, now = then_and_now(log, replay, session_id, partial(past, to))
        check(then)
        try:
            return log.append(session_id, list(_events(now, then, by)), SessionAt(now.revision))[-1]
        except ConcurrentWriteError:
            to = then.position
    raise ContentionError(session_id, _ATTEMPTS)


def then_and_now(
    log: EventLog, replay: Replay, session_id: str, past: Callable[[], SessionState], verified: bool = False
) -> tuple[SessionState, SessionState]:
    """A state of the past, and the present one, which is folded from it: what neither of them holds is not read.

    Where the session stands is looked up before the past is folded: what was erased until then is erased in both. An
    erasure that comes later moves the session, and whoever appends to it as it is told here is refused.
    """
    for _ in range(_ATTEMPTS):
        head = log.head(session_id)
        if head is None:
            raise SessionNotFoundError(session_id)
        then = past()
        if then.position <= head.id:
            return then, replay.later(session_id, then, head.id, verified)
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
    last: list[int] = []
    for item in _held(agent, now):
        if isinstance(item, Mapping) or not last or item[0] != last[1] + 1:
            yield from [last] if last else []
            last = []
        if isinstance(item, Mapping):
            yield {"message": from_json(item)}
        else:
            last = [last[0] if last else item[0], item[1]]
    yield from [last] if last else []


def _held(agent: AgentState, now: Messages) -> Iterator[tuple[int, int] | Mapping[str, Any]]:
    """The same piece by piece. What both states have in the very same segments need not be looked at."""
    for span in agent.window_spans():
        if isinstance(span, Mapping):
            yield span
            continue
        for start, end, is_same in agent.messages.compared(now, *span):
            if is_same:
                yield from agent.messages.indices(start, end)
                continue
            for record in agent.messages[start:end]:
                yield record.shown if _was_changed(record, now) else (record.message_id, record.message_id)


def _was_changed(record: MessageRecord, now: Messages) -> bool:
    """Whether a message has another content by now; what was redacted or erased since stays so."""
    position = now.find(record.message_id)
    if position is None:
        return False
    current = now[position]
    return current.id != record.id and current.redact_message is None and not current.erased
