"""Events as commands read them: as JSON, and what to say when there are none."""

from __future__ import annotations

from typing import Any

import typer

from ..errors import SessionNotFoundError
from ..events import Recorded
from ..ids import EventId
from ..session_log import SessionLog
from .terminal import count, one_line


def as_json(recorded: Recorded) -> dict[str, Any]:
    """Everything of an event."""
    event = recorded.event
    return {
        "id": str(recorded.id),
        "type": event.type,
        "agent": event.agent,
        "event_id": event.event_id,
        "time": event.time,
        "v": event.version,
        "trace": event.trace,
        "link": recorded.link,
        "data": event.data,
    }


def known(log: SessionLog, session_id: str) -> EventId:
    """The last event of a session, for a command that reads it at points.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    head = log.events.head(session_id)
    if head is None:
        raise SessionNotFoundError(session_id)
    return head.id


def explain_nothing(log: SessionLog, session_id: str) -> None:
    """Nothing was printed: is there no such session, or did nothing match?

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    head = log.events.head(session_id)
    if head is None:
        raise SessionNotFoundError(session_id)
    typer.echo(one_line(f"Session {session_id!r} has {count(head.id.revision, 'event')}; none matches."), err=True)
