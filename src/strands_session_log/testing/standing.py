"""The history that stands: what was said, without what a rewind has undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

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
    rewinds = list(_rewinds(log, session_id))
    if _stands(at, _spans(rewinds, log.head(session_id))):
        return None
    return next((one.came_from for one in rewinds if one.to < at <= one.came_from), None)


class _Rewind(NamedTuple):
    id: EventId
    came_from: EventId
    to: EventId


def _undone(log: SessionLog, session_id: str, until: EventId, agent: str) -> set[int]:
    rewinds = list(_rewinds(log, session_id, until))
    undone = set[int]()
    if not rewinds:
        return undone
    spans = _spans(rewinds, until)
    for recorded in log.read(session_id, until=until, types=MessageAdded.TYPE, agent=agent):
        event = recorded.event
        if not isinstance(event, MessageAdded) or event.message_index is None:
            continue
        if _stands(recorded.id, spans):
            undone.discard(event.message_index)
        else:
            undone.add(event.message_index)
    return undone


def _spans(rewinds: Sequence[_Rewind], until: EventId) -> list[tuple[EventId, EventId]]:
    """What led to a point, newest first: behind which event, and up to which. What was undone may be gone back to."""
    spans, end = list[tuple[EventId, EventId]](), until
    for one in reversed(rewinds):
        if one.id <= end:
            spans.append((one.came_from, end))
            end = one.to
    return [*spans, (EventId(0, 0), end)]


def _stands(at: EventId, spans: Iterable[tuple[EventId, EventId]]) -> bool:
    return any(after < at <= end for after, end in spans)


def _rewinds(log: SessionLog, session_id: str, until: EventId | None = None) -> Iterator[_Rewind]:
    """From where to where a session was brought back, oldest first."""
    for recorded in log.read(session_id, until=until, types=SessionRewound.TYPE):
        data = recorded.event.data
        # What others wrote need name no events, nor those that came before it.
        with suppress(InvalidPointError):
            came_from, to = EventId.parse(str(data.get("from"))), EventId.parse(str(data.get("to")))
            if to <= came_from < recorded.id:
                yield _Rewind(recorded.id, came_from, to)
