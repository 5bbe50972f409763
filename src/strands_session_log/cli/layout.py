"""Columns and hanging paragraphs, without the blanks at the end of lines that tables of Rich fill up with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "  "
_NARROWEST = 20


def widths_of(rows: Iterable[Sequence[str]]) -> list[int]:
    """How wide columns must be for these rows."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def narrowed(terminal: Console, rows: Sequence[Sequence[str]], spare: Sequence[str], last: int = 0) -> list[list[str]]:
    """Rows that fit a terminal, as far as columns can be spared.

    Args:
        terminal: For whose width.
        rows: The headings, and what stands below them.
        spare: The headings of columns that go, in this order, while it is too narrow.
        last: How wide the last column need be at most; as wide as it is if 0.
    """
    kept = [list(cells) for cells in rows]
    for heading in spare:
        *widths, end = widths_of(kept)
        if sum(widths) + len(_GAP) * len(widths) + (min(end, last) if last else end) <= terminal.width:
            break
        at = kept[0].index(heading)
        kept = [[*cells[:at], *cells[at + 1 :]] for cells in kept]
    return kept


def row(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str], right: Sequence[int] = ()) -> Text:
    """Cells in columns; those whose numbers are in `right` end where their column ends."""
    line = Text()
    for number, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        blanks = " " * (width - cell_len(cell))
        line.append(blanks + cell if number in right else cell + blanks, style).append(_GAP)
    line.rstrip()
    return line


def hanging(console: Console, label: Text, paragraph: Text) -> Text:
    """A label with a paragraph beside it, wrapped to the terminal."""
    indent = " " * label.cell_len
    first, *others = paragraph.wrap(console, max(_NARROWEST, console.width - len(indent)))
    lines = [label + first, *(Text(indent) + line if line else line for line in others)]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def put(console: Console, line: Text, crop: bool = False) -> None:
    """Print text that is laid out already; where nobody sees colours, ten times faster than Rich would.

    Args:
        console: Where to.
        line: What.
        crop: On a terminal, cut off what does not fit; a reader behind a pipe gets it all.
    """
    if not console.is_terminal:
        console.file.write(f"{line.plain}\n")
    elif crop:
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    else:
        console.print(line, soft_wrap=True)
