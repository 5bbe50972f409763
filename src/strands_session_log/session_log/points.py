"""What users type to say where in a session, and what is there."""

from __future__ import annotations

from contextlib import suppress

from ..errors import (
    EVENTS,
    InvalidPointError,
    LogForkedError,
    RevisionNotFoundError,
    SessionNotBegunError,
    SessionNotFoundError,
)
from ..event_log import EventLog
from ..events import Recorded
from ..ids import START, EventId, Point
from ..replay import FEW_BYTES, Replay
from ..snapshot.store import SEGMENT_BYTES
from ..state import SessionState


def event_id_at(log: EventLog, session_id: str, point: Point) -> EventId:
    """The event a point names.

    Raises:
        InvalidPointError: When it is a time, not an event.
        RevisionNotFoundError: When the session does not have it.
    """
    found = log.resolve(session_id, point)
    if not found.revision:
        raise (
            InvalidPointError(point, "it is a time, not an event", EVENTS)
            if found.ms
            else RevisionNotFoundError(session_id, 0)
        )
    return found


def event_at(log: EventLog, session_id: str, point: Point) -> Recorded:
    """See `SessionLog.event`."""
    try:
        id_ = event_id_at(log, session_id, point)
        before = EventId(id_.ms, id_.revision - 1) if id_.revision > 1 else START
        found = next(log.read(session_id, before, id_), None)
        if found is None or found.id != id_:
            raise RevisionNotFoundError(session_id, id_.revision, id_)
    except RevisionNotFoundError:
        if log.head(session_id) is None:
            raise SessionNotFoundError(session_id) from None
        raise
    return found


def state_at(
    log: EventLog,
    replay: Replay,
    session_id: str,
    at: Point | None,
    check: bool = True,
    segment_bytes: int = SEGMENT_BYTES,
) -> SessionState:
    """See `SessionLog.state`, and `Replay.state`."""
    until = None if at is None else log.resolve(session_id, at)
    return _state_at(log, replay, session_id, at, until, check, segment_bytes)


def _state_at(
    log: EventLog,
    replay: Replay,
    session_id: str,
    at: Point | None,
    until: EventId | None,
    check: bool,
    segment_bytes: int,
) -> SessionState:
    """The state at a point that was resolved already."""
    state = replay.state(session_id, until, check, segment_bytes) if until != START else SessionState()
    if until and until.revision and state.position != until and log.head(session_id):
        raise RevisionNotFoundError(session_id, until.revision, until)
    if not state.exists:
        raise _nothing_there(log, session_id, at)
    return state


def sketch_at(log: EventLog, replay: Replay, session_id: str, at: Point | None, check: bool = True) -> SessionState:
    """The same, for those who look at the newest messages at most."""
    return state_at(log, replay, session_id, at, check, FEW_BYTES)


def states_at(
    log: EventLog, replay: Replay, session_id: str, a: Point, b: Point | None
) -> tuple[SessionState, SessionState]:
    """The states at two points, the second now if left out; the later is folded from the earlier."""
    points = (log.resolve(session_id, a), a), (_head(log, session_id) if b is None else log.resolve(session_id, b), b)
    (first, named), (last, later_named) = sorted(points, key=lambda point: point[0])
    earlier = _state_at(log, replay, session_id, named, first, True, FEW_BYTES)
    later = _onward(log, replay, session_id, earlier, later_named, last)
    return (earlier, later) if points[0][0] <= points[1][0] else (later, earlier)


def _onward(
    log: EventLog, replay: Replay, session_id: str, known: SessionState, at: Point | None, until: EventId
) -> SessionState:
    if until.revision and known.position <= until:
        # Where it has no such event, or is another by now, that tells which looks for it.
        with suppress(LogForkedError):
            return replay.later(session_id, known, until, check=True)
    return _state_at(log, replay, session_id, at, until, True, FEW_BYTES)


def _head(log: EventLog, session_id: str) -> EventId:
    found = log.head(session_id)
    if found is None:
        raise SessionNotFoundError(session_id)
    return found.id


def _nothing_there(log: EventLog, session_id: str, at: Point | None) -> SessionNotFoundError:
    first = None if at is None else next(log.read(session_id), None)
    return SessionNotFoundError(session_id) if first is None else SessionNotBegunError(session_id, at, first.id.time)
