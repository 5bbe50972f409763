"""Before what agents resume with is erased for something it holds, the same is written without that.

An erased record counts as if it had not been written. The one before it would stand again: an agent that waits for a
person, say, would not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .. import events
from ..codec import from_json
from ..errors import ConcurrentWriteError, ContentionError, CorruptEntryError
from ..event_log import AgentAt, EventLog, Expected, MultiAgentAt
from ..event_log.erasure_scope import Sought
from ..events import Event
from ..state import AgentState, Fold, SessionState, initial
from .replay import Replay

_ATTEMPTS = 20


def write_successors(
    log: EventLog,
    replay: Replay,
    session_id: str,
    sought: Sought,
    append: Callable[[str, Sequence[Event], Expected], object] | None = None,
) -> None:
    """Write what agents, graphs and swarms resume with, where that holds messages that are to be erased.

    It moves those agents: who still holds what is erased must not write it again. Others may write meanwhile.

    Args:
        log: Where the session is.
        replay: Folds it.
        session_id: The session.
        sought: What is to be erased.
        append: Writes, instead of the log, where live agents are to know of it.

    Raises:
        ContentionError: When the same agents moved during every attempt.
    """
    for _ in range(_ATTEMPTS if sought.copies else 0):
        try:
            for successors, expected in _successors(log, replay, session_id, sought):
                (append or log.append)(session_id, successors, expected)
            return
        except CorruptEntryError:
            # Nobody resumes from such a session.
            return
        except ConcurrentWriteError:
            continue
    if sought.copies:
        raise ContentionError(session_id, _ATTEMPTS)


def moved_by(log: EventLog, replay: Replay, session_id: str, sought: Sought) -> tuple[str, ...]:
    """The agents, graphs and swarms for which `write_successors` would write."""
    try:
        written = [event.agent for found, _ in _successors(log, replay, session_id, sought) for event in found]
    except CorruptEntryError:
        written = []
    return tuple(dict.fromkeys(written))


def _successors(
    log: EventLog, replay: Replay, session_id: str, sought: Sought
) -> Iterator[tuple[Sequence[Event], Expected]]:
    state = _state(log, replay, session_id, sought)
    for name, agent in state.agents.items():
        if written := [*_record(agent, sought), *_window(agent, sought)]:
            yield written, AgentAt(name, agent.moved)
    for name in state.multi_agents:
        # Looked up before the state it is compared with: who moves it after that is met by the fence.
        moved = log.moved(session_id, name)
        data = _state(log, replay, session_id, sought).multi_agents.get(name)
        cleaned = sought.copies.without(data, above=sought.is_above(name))
        if cleaned is not data:
            yield [events.MultiAgentUpdated(from_json(cleaned), name)], MultiAgentAt(name, moved)


def _state(log: EventLog, replay: Replay, session_id: str, sought: Sought) -> SessionState:
    """The newest state there will be: what is to be erased whatever it holds must not come back in a successor."""
    if not sought.states:
        return replay.state(session_id)
    folding = Fold(initial())
    for id_, event, link in log.read(session_id):
        folding.add(id_, event.type, event.agent, event.data, link, event.is_erased or id_ in sought.states)
    return folding.state()


def _record(agent: AgentState, sought: Sought) -> Iterator[Event]:
    record = sought.copies.without(agent.record, own=sought.is_own(agent.agent_id))
    if record is not agent.record:
        yield events.AgentUpdated(from_json(record), agent.agent_id)


def _window(agent: AgentState, sought: Sought) -> Iterator[Event]:
    held = agent.held
    items = [list(item) if isinstance(item, tuple) else {"message": item} for item in held.items] if held else []
    cleaned = sought.copies.without(items)
    if held and cleaned is not items:
        data = {"items": from_json(cleaned), "removed": held.removed, "next": held.next}
        yield events.WindowChanged(data, agent.agent_id)
