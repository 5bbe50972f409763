"""What happens as it happens: words as they are spoken, and the envelopes of all sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ... import Delta, Envelope, Recorded
from ...unseen import JOINING
from ..terminal import one_line, plain, put, row, widths_of
from .events import envelope_summary, summary
from .timeline import Timeline, Told

_STYLES = {"reasoning": "dim italic", "tool": "magenta", "input": "magenta"}
_COLUMNS = {"time": "dim", "session": "bold", "agent": "", "type": "cyan", "summary": ""}
_WIDE = 124
"""From so many columns on there is room for types, which the summaries tell as well."""
_WIDEST, _WIDEST_SESSION, _WIDEST_AGENT = 24, 16, 10
_MARGIN = 3
"""Lines of a terminal that stay free of what is being said."""


class PartialMessage:
    """The message an agent is saying, as far as it has come."""

    def __init__(self) -> None:
        self._begin("")

    def _begin(self, message: str) -> None:
        self.message, self.text = message, Text()
        self._before, self._held = "", ""

    def feed(self, delta: Delta) -> Text:
        """Take the next piece; what is new to see of it."""
        line = delta.line
        if line.message != self.message or line.kind == "discarded":
            self._begin(line.message)
        if line.kind in ("discarded", "end"):
            return Text()
        said = f"\n→ {one_line(line.text)} " if line.kind == "tool" else self._readable(line.text)
        new = Text(said, _STYLES.get(line.kind, ""))
        self.text.append_text(new)
        return new

    def _readable(self, text: str) -> str:
        """Safe text; models end pieces within an emoji, so what joins waits for what it joins to what came before."""
        whole = self._held + text
        ready = whole.rstrip(f"{JOINING}\r")
        self._held = whole[len(ready) :]
        told = plain(self._before + ready)[len(self._before) :]
        if ready:
            self._before = ready[-1] if plain(ready[-1]) == ready[-1] else ""
        return told


@contextmanager
def live_printer(
    terminal: Console, timeline: Timeline, tell: Callable[[Told], None]
) -> Iterator[Callable[[Delta | Recorded], None]]:
    """Shows pieces of messages as they come, and then the messages as they stand in the log."""
    agents: dict[str, PartialMessage] = {}
    with _place(terminal) as (begin, end):

        def show(item: Delta | Recorded) -> None:
            if isinstance(item, Delta):
                partial = agents.setdefault(item.line.agent, PartialMessage())
                begin(partial, partial.feed(item))
                return
            end()
            for told in timeline.told([item]):
                tell(told)

        yield show


@contextmanager
def _place(terminal: Console) -> Iterator[tuple[Callable[[PartialMessage, Text], object], Callable[[], object]]]:
    """How to show what is being said, and how to make room for something else."""
    if not terminal.is_terminal:
        with _written(terminal) as written:
            yield written
        return
    with Live(console=terminal, auto_refresh=False, transient=True) as region:

        def begin(partial: PartialMessage, new: Text) -> None:
            lines = partial.text.wrap(terminal, terminal.width)[-max(1, terminal.height - _MARGIN) :]
            region.update(Text("\n").join(lines), refresh=True)

        yield begin, lambda: region.update(Text(), refresh=True)


@contextmanager
def _written(terminal: Console) -> Iterator[tuple[Callable[[PartialMessage, Text], object], Callable[[], object]]]:
    """Where nothing can be taken back: one after the other, each message on lines of its own."""
    last = ""

    def begin(partial: PartialMessage, new: Text) -> None:
        nonlocal last
        if last and new and last != partial.message:
            terminal.file.write("\n")
        if new:
            last = partial.message
            terminal.file.write(new.plain)

    def end() -> None:
        nonlocal last
        if last:
            terminal.file.write("\n")
        last = ""

    yield begin, end
    end()


def agent_of(item: Delta | Recorded) -> str:
    """Who says it."""
    return item.line.agent if isinstance(item, Delta) else item.event.agent


def live_json(item: Delta | Recorded, cursor: object) -> dict[str, Any]:
    """Everything of a piece of a message, or of a message, and how to go on behind it."""
    if isinstance(item, Delta):
        return {"id": str(item.id), **item.line._asdict(), "revision": item.revision, "cursor": str(cursor)}
    return {**item.to_json(), "cursor": str(cursor)}


def envelope_json(one: Envelope, cursor: object) -> dict[str, Any]:
    """Everything of an envelope, and how to go on behind it."""
    return {
        "session_id": one.session_id,
        "id": str(one.id),
        "type": one.type,
        "agent": one.agent,
        "link": one.link,
        "facts": one.facts,
        "cursor": str(cursor),
    }


def envelope_printer(terminal: Console, read: Callable[[Envelope], Recorded | None]) -> Callable[[Envelope], None]:
    """Prints envelopes, one a line, with what events say that can be read; columns widen when they have to."""
    is_wide = terminal.width >= _WIDE
    styles = [style for name, style in _COLUMNS.items() if is_wide or name != "type"]
    widths = [0] * len(styles)

    def show(one: Envelope) -> None:
        nonlocal widths
        cells = _cells(one, read(one), is_wide)
        widths = [max(pair) for pair in zip(widths, [*widths_of([cells])[:-1], 0], strict=True)]
        put(terminal, row(cells, widths, styles), crop=True)

    return show


def _cells(one: Envelope, recorded: Recorded | None, is_wide: bool) -> tuple[str, ...]:
    told = summary(recorded.event) if recorded else envelope_summary(one)
    time = one.id.time.astimezone().strftime("%H:%M:%S")
    if is_wide:
        return time, one_line(one.session_id, _WIDEST), one_line(one.agent, _WIDEST) or "-", one_line(one.type), told
    return time, one_line(one.session_id, _WIDEST_SESSION), one_line(one.agent, _WIDEST_AGENT) or "-", told
