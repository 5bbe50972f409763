"""What stands above a conversation: when, how long, how much, how it stands, and whether it is what was written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timezone
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import SessionState
from ..overview import Overview
from ..terminal import age, count, hanging, local, one_line, plain, span
from .events import integrity_text
from .messages import compact, fields

_STYLES = {"failed": "red", "unreadable": "red", "answer": "yellow", "running": "green"}
_WORDS = {"answer": "waits for an answer", "unreadable": "not all events can be read"}
_LONG = 200


def overview_json(told: Overview, state: SessionState) -> dict[str, Any]:
    """The same for programs."""
    return {
        "started_at": told.started.time.astimezone(timezone.utc),
        "duration_seconds": (state.position.ms - told.started.ms) / 1000,
        "turns": told.turns,
        "tokens": told.tokens,
        "status": told.status or None,
        "since": None if told.since is None else str(told.since),
        "reason": _named(told) or None,
    }


def header(terminal: Console, session_id: str, state: SessionState, told: Overview, last: int | None) -> Iterator[Text]:
    """A line each, wrapped to the terminal, and an empty one."""
    seconds = (state.position.ms - told.started.ms) / 1000
    counted = count(state.revision, "event")
    name = Text.assemble((f"{plain(session_id)}  ", "bold"))
    yield hanging(terminal, name, Text(counted, "dim") + integrity_text(state.integrity))
    end = state.position.time
    times = f"started {local(told.started.time)}, took {_took(seconds)}, last event {local(end)} ({age(end)})"
    yield hanging(terminal, Text(), Text(times, "dim"))
    if line := _standing(told):
        yield hanging(terminal, Text(), line)
    if state.labels:
        yield hanging(terminal, Text.assemble(("labels  ", "dim")), Text(fields(state.labels)))
    total = sum(len(agent.messages) for agent in state.agents.values())
    if last is not None and any(len(agent.messages) > last for agent in state.agents.values()):
        yield Text(f"the last {last} of {count(total, 'message')}", "dim")
    yield Text()


def times_for(told: Overview, state: SessionState) -> str:
    """How the times of messages are written: with the day, where it is not always the same."""
    days = {moment.time.astimezone().date() for moment in (told.started, state.position)}
    return "%H:%M:%S" if len(days) == 1 else "%Y-%m-%d %H:%M:%S"


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def _named(told: Overview) -> str:
    return ": ".join(one if isinstance(one, str) else compact(one, None) for one in told.named)


def _standing(told: Overview) -> Text:
    """Turns, tokens and status, as far as events tell of them."""
    parts = [Text(count(told.turns, "turn"), "dim")] if told.turns else []
    parts += [Text(count(told.tokens, "token"), "dim")] if told.tokens else []
    if told.status:
        since = "" if told.since is None or told.status == "idle" else f" since {local(told.since.time, '%H:%M:%S')}"
        named = f": {one_line(_named(told), _LONG)}" if told.named else ""
        words = _WORDS.get(told.status, told.status)
        parts.append(Text(f"{words}{since}{named}", _STYLES.get(told.status, "dim")))
    return Text(", ", "dim").join(parts)
