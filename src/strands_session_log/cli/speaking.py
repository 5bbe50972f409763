"""Words as they are said: on a terminal below what is told, elsewhere just as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..codec.delta import DISCARDED, END, INPUT, REASONING, TOOL, Delta
from ..events import Recorded
from .terminal import one_line, plain
from .timeline import Timeline, Told

_STYLES = {REASONING: "dim italic", TOOL: "magenta", INPUT: "magenta"}
_MARGIN = 3
"""Lines of a terminal that stay free of what is being said."""


class SpokenWords:
    """What an agent has said so far of the message it is saying."""

    def __init__(self) -> None:
        self.message, self.text = "", Text()

    def hear(self, delta: Delta) -> Text:
        """Take the next piece; what is new to see of it."""
        line = delta.line
        if line.message != self.message or line.kind == DISCARDED:
            self.message, self.text = line.message, Text()
        if line.kind in (DISCARDED, END):
            return Text()
        said = f"\n→ {one_line(line.text)} " if line.kind == TOOL else plain(line.text)
        new = Text(said, _STYLES.get(line.kind, ""))
        self.text.append_text(new)
        return new


@contextmanager
def spoken(
    terminal: Console, chronicle: Timeline, tell: Callable[[Told], None]
) -> Iterator[Callable[[Delta | Recorded], None]]:
    """Shows pieces of messages as they come, and then the messages as they stand in the log.

    Args:
        terminal: Where to. On a terminal, the message takes the place of its pieces.
        chronicle: Turns events into text.
        tell: Prints it.
    """
    agents: dict[str, SpokenWords] = {}
    with _place(terminal) as (begin, end):

        def show(item: Delta | Recorded) -> None:
            if isinstance(item, Delta):
                words = agents.setdefault(item.line.agent, SpokenWords())
                begin(words, words.hear(item))
                return
            end()
            for told in chronicle.told([item]):
                tell(told)

        yield show


@contextmanager
def _place(terminal: Console) -> Iterator[tuple[Callable[[SpokenWords, Text], object], Callable[[], object]]]:
    """How to show what is being said, and how to make room for something else."""
    if not terminal.is_terminal:
        with _written(terminal) as written:
            yield written
        return
    with Live(console=terminal, auto_refresh=False, transient=True) as region:

        def begin(words: SpokenWords, new: Text) -> None:
            lines = words.text.wrap(terminal, terminal.width)[-max(1, terminal.height - _MARGIN) :]
            region.update(Text("\n").join(lines), refresh=True)

        yield begin, lambda: region.update(Text(), refresh=True)


@contextmanager
def _written(terminal: Console) -> Iterator[tuple[Callable[[SpokenWords, Text], object], Callable[[], object]]]:
    """Where nothing can be taken back: one after the other, each message on lines of its own."""
    last = ""

    def begin(words: SpokenWords, new: Text) -> None:
        nonlocal last
        if last and new and last != words.message:
            terminal.file.write("\n")
        if new:
            last = words.message
            terminal.file.write(new.plain)

    def end() -> None:
        nonlocal last
        if last:
            terminal.file.write("\n")
        last = ""

    yield begin, end
    end()
