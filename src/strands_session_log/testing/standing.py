"""The history that stands: what was said, without what a rewind has undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import InvalidPointError
from ..events import MessageAdded, SessionRewound
from ..ids import EventId
from ..state import MessageRecord, SessionState

if TYPE_CHECKING:
    from ..session_log import SessionLog


def standing_messages(log: SessionLog, session_id: str, state: SessionState, agent: str) -> list[MessageRecord]:
    """The messages of an agent that stand at a point, oldest first.

    Args:
        log: The log.
        session_id: The session.
        state: The session at that point.
        agent: The agent.

    Raises:
        KeyError: When it has no such agent there.
    """
    undone = _undone(log, session_id, state.position, agent)
    return [one for one in state.agents[agent].messages if one.message_id not in undone]


def branch_end(log: SessionLog, session_id: str, at: EventId) -> EventId | None:
    """Up to where a session went on from an event; None if it still does, else what came next has undone the event."""
    for came_from, to in _rewinds(log, session_id, at, None):
        if to < at:
            return came_from
    return None


def _undone(log: SessionLog, session_id: str, until: EventId, agent: str) -> set[int]:
    rewinds = list(_rewinds(log, session_id, None, until))
    undone = set[int]()
    if not rewinds:
        return undone
    for recorded in log.read(session_id, until=until, types=MessageAdded.TYPE, agent=agent):
        event, at = recorded.event, recorded.id
        if not isinstance(event, MessageAdded) or event.message_index is None:
            continue
        if any(to < at <= came_from for came_from, to in rewinds):
            undone.add(event.message_index)
        else:
            undone.discard(event.message_index)
    return undone


def _rewinds(
    log: SessionLog, session_id: str, after: EventId | None, until: EventId | None
) -> Iterator[tuple[EventId, EventId]]:
    """From where to where a session was brought back."""
    for recorded in log.read(session_id, after, until, types=SessionRewound.TYPE):
        data = recorded.event.data
        # What others wrote need name no events.
        with suppress(InvalidPointError):
            yield EventId.parse(str(data.get("from"))), EventId.parse(str(data.get("to")))
