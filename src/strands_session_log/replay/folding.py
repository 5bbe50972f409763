"""The log joined with the fold: a session's state, now or at a point."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import LogForkedError
from ..event_log import EventLog
from ..event_log.sealed import Position
from ..events import PayloadErased, Recorded
from ..ids import EventId
from ..state import SessionState, evolve, initial


def fold(recorded: Iterable[Recorded], state: SessionState | None = None) -> SessionState:
    """Fold events onto a state, or from the beginning."""
    state = initial() if state is None else state
    for one in recorded:
        state = evolve(state, one)
    return state


def state(log: EventLog, session_id: str, until: EventId | None = None) -> SessionState:
    """The state of a session at a point; its newest if none is given."""
    folded = fold(log.read(session_id, until=until))
    if until is None and folded.exists:
        log.remember(session_id, Position(folded.position, folded.link))
    return folded


def catch_up(log: EventLog, session_id: str, known: SessionState) -> SessionState:
    """The newest state, starting from one that was folded earlier.

    The read begins with the event the known state ends with: if that is not what it was, the session was deleted,
    replaced or lost in a failover, and is folded anew. One round trip when little has happened since.
    """
    if not known.exists:
        return state(log, session_id)
    try:
        events = iter(log.read_from(session_id, known.position))
        first = next(events, None)
        if first is None or first.id != known.position or first.link != known.link:
            return state(log, session_id)
        caught_up = known
        for one in events:
            if one.event.type == PayloadErased.TYPE:
                # What stood before an erased record cannot be told from what is known.
                return state(log, session_id)
            caught_up = evolve(caught_up, one)
    except LogForkedError:
        return state(log, session_id)
    log.remember(session_id, Position(caught_up.position, caught_up.link))
    return caught_up
