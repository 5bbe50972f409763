"""What consumer groups gave up on, as commands tell it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import ParkedEvent, Recorded
from ..terminal import count, hanging, heading, local, narrowed, one_line, plain, put, put_table
from .events import summary
from .messages import fields

_HEADINGS = ("PARKED ID", "PARKED", "SESSION", "REVISION", "TYPE", "ATTEMPTS", "ERROR")
_STYLES = {"PARKED": "dim", "SESSION": "cyan", "ERROR": "red"}
_RIGHT = ("REVISION", "ATTEMPTS")
_SPARE = ("PARKED", "REVISION", "TYPE", "ATTEMPTS")
_ERROR = 40
_WIDEST = 32
_LONG = 500
_LABEL = 9


def parked_json(one: ParkedEvent) -> dict[str, Any]:
    """Everything of it."""
    return {
        "parked_id": one.parked_id,
        "parked_at": one.parked_at,
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
    rows = narrowed(terminal, [_HEADINGS, *map(_cells, found)], _SPARE, _ERROR)
    right = [number for number, name in enumerate(rows[0]) if name in _RIGHT]
    put_table(terminal, rows, [_STYLES.get(str(name), "") for name in rows[0]], right)


def print_one(terminal: Console, one: ParkedEvent, recorded: Recorded | None, problem: str) -> None:
    """All that is known of one of them."""
    when = f"parked {local(one.parked_at, '%H:%M:%S')}, after {count(one.attempts, 'attempt')}\n"
    heading(terminal, one.parked_id, Text(when, "dim"))
    for label, text in _parts(one, recorded, problem):
        put(terminal, hanging(terminal, Text(f"{label:<{_LABEL}}", "dim"), text))


def _parts(one: ParkedEvent, recorded: Recorded | None, problem: str) -> Iterator[tuple[str, Text]]:
    if one.session_id:
        yield "session", Text(plain(one.session_id), "cyan")
        what = one_line(one.envelope.type), one_line(one.envelope.agent, _WIDEST)
        yield "event", Text(f"{one.id}  {', '.join(filter(None, what))}")
    else:
        yield "event", Text("none: another program wrote to the feed", "dim")
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
        yield "", Text("waiting to be tried again", "yellow")


def _cells(one: ParkedEvent) -> tuple[str, ...]:
    return (
        one.parked_id,
        local(one.parked_at, "%H:%M:%S"),
        one_line(one.session_id, _WIDEST) or "-",
        str(one.id.revision) if one.session_id else "-",
        one_line(one.envelope.type) or "-",
        str(one.attempts),
        f"{'(waiting to be tried again) ' if one.is_replayed else ''}{one_line(one.error, _LONG)}",
    )
