"""What users type to say where in a session, as the log understands it."""

from __future__ import annotations

from ..errors import RevisionNotFoundError
from ..ids import EventId, Instant, Point, Revision, parse_point
from .log import EventLog


def resolve(log: EventLog, session_id: str, point: Point) -> EventId:
    """Find the event id a point stands for; revision 0 in it means a time between events.

    A relative time is relative to the server's clock, from which events have their time.

    Raises:
        InvalidPointError: When it is no point in time.
        RevisionNotFoundError: When the session does not have that revision.
    """
    is_relative = isinstance(point, str) and point.strip().startswith("-")
    match parse_point(point, now_ms=log.now_ms(session_id) if is_relative else None):
        case EventId() as event_id:
            return event_id
        case Instant(ms):
            return EventId(ms, 0)
        case Revision(number):
            found = log.locate(session_id, number)
            if found is None:
                raise RevisionNotFoundError(session_id, number)
            return found
