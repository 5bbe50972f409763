"""What is longer than the screen goes through the pager of whoever sits before it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from .terminal import is_screen, put

NoPagerOption = Annotated[
    bool, typer.Option("--no-pager", help="Print all at once, though it is longer than the screen.")
]


def put_paged(terminal: Console, texts: Iterable[str | Text], no_pager: bool = False) -> None:
    """Print texts as they come; once they are more than the screen holds, in `$PAGER`, `less` unless it is set."""
    words = [] if no_pager or not (is_screen(terminal) and sys.stdin.isatty()) else _pager()
    if not words:
        for text in texts:
            put(terminal, text)
        return
    first, rest = list[str](), (_rendered(terminal, text) for text in texts)
    left = terminal.height
    while left > 1 and (one := next(rest, None)) is not None:
        first.append(one)
        left -= one.count("\n")
    if left > 1 or not _went_through(words, chain(first, rest)):
        terminal.file.writelines(chain(first, rest))


def _rendered(terminal: Console, text: str | Text) -> str:
    with terminal.capture() as captured:
        put(terminal, text)
    return captured.get()


def _pager() -> list[str]:
    """The command; none where there is no pager, or the terminal can do nothing but print."""
    if os.environ.get("TERM") in (None, "dumb", "unknown"):
        return []
    words = shlex.split(os.environ.get("PAGER", "less"))
    # Else it would show colours as their codes.
    return [*words, "-R"] if words and Path(words[0]).name == "less" else words


def _went_through(words: list[str], texts: Iterator[str]) -> bool:
    """Show texts in a pager, until there are no more, or its user has seen enough; false if it cannot be started."""
    try:
        pager = subprocess.Popen(words, stdin=subprocess.PIPE, text=True, errors="replace", encoding="utf-8")
    except OSError:
        return False
    with _interrupts_left_to(pager), suppress(BrokenPipeError):
        assert pager.stdin is not None
        with pager.stdin:
            for text in texts:
                pager.stdin.write(text)
    return True


@contextmanager
def _interrupts_left_to(pager: subprocess.Popen[str]) -> Iterator[None]:
    """To the end of the pager: Ctrl-C is a key of it, and ends neither it nor us."""
    before: Callable[[int, Any], Any] | int | None = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        pager.wait()
        signal.signal(signal.SIGINT, before)
