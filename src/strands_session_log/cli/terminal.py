"""What reaches the terminal: consoles, safe text, JSON, columns, and times for people."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from datetime import datetime, timezone
from enum import Enum
from itertools import chain, islice
from typing import Any, TypeAlias

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..unseen import escaped, escaped_json
from .output import abandon, write_bytes

Cell: TypeAlias = "str | Text"
"""Text in a column; as `Text`, with a style of its own."""

_PIPE_WIDTH = 160
_SPACE = re.compile(r"\s+")
_AGES = ((60, 1, "s"), (3_600, 60, "min"), (86_400, 3_600, "h"), (86_400 * 365, 86_400, "d"))
_GAP = "  "
_NARROWEST = 20
_FIRST_ROWS = 50
_LONGEST_NAMED = 30


class Colors(str, Enum):
    """When what is printed has colours: `auto` on terminals, unless `NO_COLOR` or `FORCE_COLOR` say otherwise."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


_colors = ContextVar("colors", default=Colors.AUTO)


def choose_colors(when: Any) -> Colors:
    """For all consoles made from now on."""
    try:
        chosen = Colors(when)
    except ValueError:
        named = ", ".join(one.value for one in Colors)
        raise typer.BadParameter(f"{one_line(when, _LONGEST_NAMED)!r} is none of {named}") from None
    _colors.set(chosen)
    return chosen


def console(stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no highlighting."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, **_coloured(stderr))
    if not is_screen(made) and "COLUMNS" not in os.environ:
        made.width = _PIPE_WIDTH
    return made


def is_screen(terminal: Console) -> bool:
    """Whether somebody sees what is printed as it is: colours may go into a pipe as well."""
    return terminal.file.isatty()


def _coloured(stderr: bool) -> dict[str, Any]:
    """What a console is told beside; what is on standard error is for who sits before it now."""
    match _colors.get():
        case Colors.NEVER:
            return {"color_system": None}
        case Colors.ALWAYS if not stderr:
            return {"color_system": "standard", "force_terminal": True, "no_color": False}
    return {}


def plain(text: object) -> str:
    """Text that can do nothing to a terminal but be read, with its tabs and line ends."""
    return escaped(str(text).replace("\r\n", "\n"))


def one_line(text: object, limit: int | None = None) -> str:
    """Safe text on one line, cut off after so many characters."""
    line = _SPACE.sub(" ", plain(text)).strip()
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def note(message: object) -> None:
    """Tell something on standard error, in one line; where that cannot be written, the exit code must do."""
    try:
        typer.echo(f"session-log: {one_line(message)}", err=True)
    except OSError:
        abandon(sys.stderr)


def warn(message: object) -> None:
    """Warn on standard error, in one line."""
    note(f"warning: {message}")


def put(terminal: Console, line: str | Text = "", style: str = "", crop: bool = False) -> None:
    """Print text that is laid out already; where there are no colours, ten times faster than Rich would.

    With `crop`, what does not fit a terminal is cut off; a reader behind a pipe gets it all.
    """
    if not terminal.is_terminal:
        terminal.file.write(f"{line}\n")
    elif crop and is_screen(terminal):
        terminal.print(line, style=style, no_wrap=True, overflow="ellipsis", crop=True)
    else:
        terminal.print(line, style=style, soft_wrap=True)


def heading(terminal: Console, name: str, facts: str | Text, mark: str = "") -> None:
    """Print what something is called, `✓` or `✗` before it, and what there is to say about it."""
    marked = Text(f"{mark} ", "green" if mark == "✓" else "red") if mark else Text()
    put(terminal, Text.assemble(marked, (plain(name), "bold"), "  ", facts))


def put_table(
    terminal: Console,
    rows: Iterable[Sequence[Cell]],
    styles: Sequence[str],
    right: Sequence[int] = (),
    widest: int | None = None,
    crop: bool = True,
) -> None:
    """Print columns, those whose numbers are in `right` aligned at their end; the first row has the headings.

    Of rows that come one by one, the first decide how wide the columns are; the first column is so wide at most.
    """
    rest = iter(rows)
    headings, *first = rest if isinstance(rows, Sequence) else islice(rest, _FIRST_ROWS)
    widths = [*widths_of([headings, *first])[:-1], 0]
    widths[0] = min(widths[0], widest or widths[0])
    put(terminal, row(headings, widths, ["bold"] * len(widths), right), crop=crop)
    for cells in chain(first, rest):
        put(terminal, row(cells, widths, styles, right), crop=crop)


def widths_of(rows: Iterable[Sequence[Cell]]) -> list[int]:
    """How wide columns must be for these rows."""
    return [max(cell_len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]


def narrowed(
    terminal: Console, rows: Sequence[Sequence[Cell]], spare: Sequence[str], last: int = 0
) -> list[list[Cell]]:
    """Rows without the columns, by heading and in this order, that can be spared on a terminal that is too narrow.

    The last column need not be wider than `last`, if that is not 0.
    """
    kept = [list(cells) for cells in rows]
    for name in spare:
        if fits(terminal, kept, last):
            break
        at = kept[0].index(name)
        kept = [[*cells[:at], *cells[at + 1 :]] for cells in kept]
    return kept


def fits(terminal: Console, rows: Iterable[Sequence[Cell]], last: int = 0) -> bool:
    """Whether rows fit a terminal; the last column need not be wider than `last`, if that is not 0."""
    *widths, end = widths_of(rows)
    return sum(widths) + len(_GAP) * len(widths) + (min(end, last) if last else end) <= terminal.width


def row(cells: Sequence[Cell], widths: Sequence[int], styles: Sequence[str], right: Sequence[int] = ()) -> Text:
    """Cells in columns; those whose numbers are in `right` end where their column ends."""
    line = Text()
    for number, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        text, own = (cell.plain, cell.style) if isinstance(cell, Text) else (cell, style)
        blanks = " " * (width - cell_len(text))
        line.append(blanks + text if number in right else text + blanks, own).append(_GAP)
    line.rstrip()
    return line


def hanging(terminal: Console, label: Text, paragraph: Text) -> Text:
    """A label with a paragraph beside it, wrapped to the terminal."""
    indent = " " * label.cell_len
    first, *others = paragraph.wrap(terminal, max(_NARROWEST, terminal.width - len(indent)))
    lines = [label + first, *(Text(indent) + line if line else line for line in others)]
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def write_json(value: Any) -> None:
    """One JSON value on one line, UTF-8 whatever the locale, and harmless on a terminal too."""
    write_bytes(escaped_json(_json(value)).encode() + b"\n")


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Names of files, and arguments, may be no UTF-8: they are escaped; and what others wrote may be too deep.
        return json.dumps(value, separators=(",", ":"), default=_time)


def _time(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def local(moment: datetime, to: str = "%H:%M") -> str:
    """A time on this machine's clock, to the minute or as said."""
    return moment.astimezone().strftime(f"%Y-%m-%d {to}")


def age(moment: datetime) -> str:
    """How long ago, in the largest fitting unit."""
    return f"{span((datetime.now(timezone.utc) - moment).total_seconds())} ago"


def span(seconds: float) -> str:
    """How long something took, in the largest fitting unit."""
    whole = max(0, int(seconds))
    for below, unit, name in _AGES:
        if whole < below:
            return f"{whole // unit} {name}"
    return f"{whole // (86_400 * 365)} y"


def offset(milliseconds: int) -> str:
    """A time since a beginning: `+0.4s`, `+1:05`, `+2:03:04`, `+3d 2:03:04`."""
    whole, fraction = divmod(max(0, milliseconds), 1000)
    minutes, second = divmod(whole, 60)
    if not minutes:
        return f"+{second}.{fraction // 100}s"
    hours, minute = divmod(minutes, 60)
    if not hours:
        return f"+{minute}:{second:02}"
    days, hour = divmod(hours, 24)
    return f"+{f'{days}d ' if days else ''}{hour}:{minute:02}:{second:02}"


def count(number: int, noun: str) -> str:
    """`1 event`, `1,600 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
