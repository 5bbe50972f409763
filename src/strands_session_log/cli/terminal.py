"""What reaches the terminal: consoles, safe text, JSON, and times for people."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime, timezone
from typing import Any

import orjson
from rich.console import Console

_PIPE_WIDTH = 160
# Control characters and lone surrogates, and what turns the direction of text: all that could restyle, overwrite or
# disguise what stands on a terminal. Tabs and line ends stay.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
# Of these, JSON itself leaves alone all but the first few.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_AGES = ((60, 1, "s"), (3_600, 60, "min"), (86_400, 3_600, "h"), (86_400 * 365, 86_400, "d"))


class _Console(Console):
    """A console that leaves a broken pipe to whoever knows the exit code."""

    def on_broken_pipe(self) -> None:
        """Called by Rich while it handles the error."""
        raise


def console(stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji codes, no highlighting."""
    made = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PIPE_WIDTH
    return made


def plain(text: object) -> str:
    """Text that can do nothing to a terminal but be read."""
    return _UNSAFE.sub("", str(text))


def one_line(text: object, limit: int | None = None) -> str:
    """Safe text on one line, cut off after so many characters."""
    line = _SPACE.sub(" ", plain(text)).strip()
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def write_json(value: Any) -> None:
    """One JSON value on one line, UTF-8 whatever the locale, and harmless on a terminal too."""
    text = _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", _json(value))
    sys.stdout.buffer.write(text.encode() + b"\n")


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Names of files, and arguments, may be no UTF-8; they are escaped.
        return json.dumps(value, separators=(",", ":"))


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


def count(number: int, noun: str) -> str:
    """`1 event`, `1,600 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
