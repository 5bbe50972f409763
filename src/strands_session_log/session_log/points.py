"""What users type to say where in a session, and which events, as the log understands it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import InvalidPointError, RevisionNotFoundError
from ..event_log import EventLog
from ..event_log.points import resolve
from ..events import Recorded, selector
from ..ids import EventId, Point


def event_at(log: EventLog, session_id: str, point: Point) -> EventId:
    """The event a point names.

    Raises:
        InvalidPointError: When it is a time, not an event.
        RevisionNotFoundError: When the session does not have it.
    """
    found = resolve(log, session_id, point)
    if not found.revision:
        raise InvalidPointError(point) if found.ms else RevisionNotFoundError(session_id, 0)
    return found


def matching(types: str | Sequence[str] | None, agent: str | None) -> Callable[[Recorded], bool]:
    """Whether an event is of one of these types, and this agent's, see `events.selector`."""
    wanted = selector(types, agent)
    return lambda recorded: wanted(recorded.event.type, recorded.event.agent)
