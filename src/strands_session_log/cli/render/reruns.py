"""What was answered, and what is answered now, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ..terminal import count, hanging, heading, plain, put
from .messages import on_one_line, speaker

if TYPE_CHECKING:
    from ...testing import Rerun, RerunTurn

_STYLES = {"-": "red", "+": "green", "=": "dim"}
_LONG = 600


def print_rerun(terminal: Console, found: Rerun) -> None:
    """Print it: what was asked, what was said to it, `-`, and is now, `+`; once where that is the same, `=`."""
    facts = f"{plain(found.session_id)} from revision {found.at.revision} on, {count(len(found.turns), 'turn')}"
    heading(terminal, found.into, facts, "✓" if found.is_same else "✗")
    for number, turn in enumerate(found.turns, 1):
        put(terminal, f"\n── turn {number} ──", "bold")
        if not turn.prompt:
            put(terminal, "  goes on with what stood there", "dim")
        for sign, message in _lines(turn):
            label = Text.assemble(f"  {sign} ", (f"{speaker(message):<9}  ", _STYLES.get(sign, "")))
            put(terminal, hanging(terminal, label, Text(on_one_line(message, _LONG), _STYLES.get(sign, ""))))
        if not turn.differences:
            put(terminal, "  No difference.", "dim")


def _lines(turn: RerunTurn) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((" ", message) for message in turn.prompt)
    pairs: Sequence[tuple[Any, Any]] = list(zip_longest(turn.was, turn.now))
    for was, now in pairs:
        if was and now and on_one_line(was) == on_one_line(now) and speaker(was) == speaker(now):
            yield "=", was
            continue
        if was:
            yield "-", was
        if now:
            yield "+", now
