"""Events as commands read them: as JSON, and what to say when there are none."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from ..events import Recorded
from ..session_log import SessionLog
from ..state import Integrity
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


def tell_integrity(found: Integrity) -> None:
    """Tell on stderr whether what was printed is what was written, and why that is not known."""
    why = (
        "; it came from a snapshot, `session-log verify` checks it" if not (found.is_checked or found.is_broken) else ""
    )
    typer.echo(f"session-log: {_verdict(found)}{why}", err=True)


def told_integrity(found: Integrity) -> Text:
    """Whether what is printed is what was written, for the end of a heading."""
    return Text(f", {_verdict(found)}", "red" if found.is_broken else "dim")


def _verdict(found: Integrity) -> str:
    return one_line(f"{found}: {found.problem}" if found.is_broken else found)


def explain_nothing(log: SessionLog, session_id: str) -> None:
    """Nothing was printed: is there no such session, or did nothing match?

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    events = log.head(session_id).revision
    typer.echo(one_line(f"Session {session_id!r} has {count(events, 'event')}; none matches."), err=True)
