"""What consumer groups gave up on, as commands tell it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from ..errors import CorruptEntryError, EnvelopeMismatchError, RevisionNotFoundError, SessionNotFoundError
from ..events import Recorded
from ..feed import FeedId
from ..ids import EventId
from ..session_log import SessionLog
from ..subscription import ParkedEvent
from .layout import hanging, narrowed, put, row, widths_of
from .listing import summary
from .messages import fields
from .terminal import count, local, one_line, plain

_HEADINGS = ("PARKED ID", "PARKED", "SESSION", "REVISION", "TYPE", "ATTEMPTS", "ERROR")
_STYLES = {"PARKED": "dim", "SESSION": "cyan", "ERROR": "red"}
_RIGHT = ("REVISION", "ATTEMPTS")
_SPARE = ("PARKED", "REVISION", "TYPE", "ATTEMPTS")
_ERROR = 40
_WIDEST = 32
_LONG = 500
_LABEL = 9


def parked_at(one: ParkedEvent) -> datetime:
    """When it was parked, by the server's clock."""
    found = FeedId.parse(0, one.parked_id.partition(":")[2])
    return EventId(found.ms, found.sequence).time


def recorded_of(log: SessionLog, one: ParkedEvent) -> tuple[Recorded | None, str]:
    """The event itself, None when its session is gone; and why it is not shown, when it is not what was parked."""
    if not one.session_id:
        return None, ""
    try:
        found = log.event(one.session_id, one.id)
        one.envelope.check(found)
    except (SessionNotFoundError, RevisionNotFoundError):
        return None, ""
    except (CorruptEntryError, EnvelopeMismatchError) as error:
        return None, str(error)
    return found, ""


def as_json(one: ParkedEvent) -> dict[str, Any]:
    """Everything of it."""
    return {
        "parked_id": one.parked_id,
        "parked_at": parked_at(one),
        "session_id": one.session_id,
        "id": str(one.id),
        "type": one.envelope.type,
        "agent": one.envelope.agent,
        "facts": one.envelope.facts,
        "attempts": one.attempts,
        "error": one.error,
        "replaying": one.is_replayed,
    }


def print_parked(terminal: Console, found: Sequence[ParkedEvent]) -> None:
    """A table, a line for each."""
    headings, *rows = narrowed(terminal, [_HEADINGS, *map(_cells, found)], _SPARE, _ERROR)
    widths = [*widths_of([headings, *rows])[:-1], 0]
    right = [number for number, heading in enumerate(headings) if heading in _RIGHT]
    put(terminal, row(headings, widths, ["bold"] * len(headings), right=right), crop=True)
    for cells in rows:
        put(terminal, row(cells, widths, [_STYLES.get(heading, "") for heading in headings], right=right), crop=True)


def print_one(terminal: Console, one: ParkedEvent, recorded: Recorded | None, problem: str) -> None:
    """All that is known of one of them."""
    when = f"  parked {local(parked_at(one), '%H:%M:%S')}, after {count(one.attempts, 'attempt')}"
    put(terminal, Text.assemble((one.parked_id, "bold"), (when, "dim"), "\n"))
    for label, text in _told(one, recorded, problem):
        put(terminal, hanging(terminal, Text(f"{label:<{_LABEL}}", "dim"), text))


def _told(one: ParkedEvent, recorded: Recorded | None, problem: str) -> Iterator[tuple[str, Text]]:
    if one.session_id:
        yield "session", Text(plain(one.session_id), "cyan")
        yield "event", Text(f"{one.id}  {_what(one)}")
    else:
        yield "event", Text("none: somebody else wrote to the feed", "dim")
    if one.envelope.facts:
        yield "facts", Text(fields(one.envelope.facts, _LONG))
    if recorded:
        yield "content", Text(summary(recorded.event) or "-")
    elif problem:
        yield "content", Text(plain(f"not shown: {problem}"), "red")
    elif one.session_id:
        yield "content", Text("gone: its session was deleted", "dim")
    yield "error", Text(plain(one.error), "red")
    if one.is_replayed:
        yield "", Text("waits to be tried again", "yellow")


def _what(one: ParkedEvent) -> str:
    agent = one_line(one.envelope.agent, _WIDEST)
    return f"{one_line(one.envelope.type)}{f', {agent}' if agent else ''}"


def _cells(one: ParkedEvent) -> tuple[str, ...]:
    return (
        one.parked_id,
        local(parked_at(one), "%H:%M:%S"),
        one_line(one.session_id, _WIDEST) or "-",
        str(one.id.revision) if one.session_id else "-",
        one_line(one.envelope.type) or "-",
        str(one.attempts),
        f"{'(waits to be tried again) ' if one.is_replayed else ''}{one_line(one.error, _LONG)}",
    )
