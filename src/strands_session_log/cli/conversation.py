"""A conversation on the terminal: revision, who speaks, what is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from ..state import AgentState, MessageRecord
from .layout import hanging, put
from .messages import Kind, Piece, fields, pieces, speaker
from .terminal import one_line

ROLE_STYLES = {"user": "bold cyan", "assistant": "bold green", "tool": "bold magenta"}
_MARKS: Mapping[Kind, str] = {"call": "→ ", "result": "← ", "failure": "✗ "}
_PIECE_STYLES: Mapping[Kind, str] = {"call": "magenta", "result": "magenta", "failure": "red", "aside": "dim"}
_LONGEST_STATE = 2_000


def print_conversation(console: Console, agents: Iterable[AgentState]) -> None:
    """Print what was said, agent by agent; headings only where there are several agents."""
    shown = list(agents)
    for agent in shown:
        if len(shown) > 1:
            put(console, Text(f"── {one_line(agent.agent_id)} ──\n", "bold"))
        for record in agent.messages:
            label = _label(str(record.id.revision), speaker(record.shown))
            put(console, hanging(console, label, Text("\n").join(_lines(record))) + "\n")
        if agent.state:
            state = Text(fields(agent.state, _LONGEST_STATE), "dim")
            put(console, hanging(console, _label("", "state"), state) + "\n")


def mark(piece: Piece) -> str:
    """A piece of a message with the sign of its kind."""
    return _MARKS.get(piece.kind, "") + piece.text


def said(message: Any) -> Iterator[Text]:
    """What a message holds, a line for each piece."""
    for piece in pieces(message):
        yield Text(mark(piece), _PIECE_STYLES.get(piece.kind, ""))


def _label(revision: str, who: str) -> Text:
    return Text.assemble((f"{revision:>4}  ", "dim"), (f"{who:<9}  ", ROLE_STYLES.get(who, "dim")))


def _lines(record: MessageRecord) -> Iterator[Text]:
    yield from said(record.shown)
    if record.redact_message is not None:
        yield Text("(redacted)", "dim italic")
