"""What happened or happens, shown thing by thing: in the time it took, or as it comes, until interrupted."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import typer

from .. import EventId, SessionLog, SessionState
from ..concurrency import sleep
from ..errors import SessionNotFoundError
from .exit_codes import Code
from .terminal import note

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)?")
_LONGEST = 366 * 86_400.0
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, None: 1.0}


class Timed(Protocol):
    """What stands somewhere in a session."""

    @property
    def id(self) -> EventId:
        """Where, and so when."""


Thing = TypeVar("Thing")
T = TypeVar("T", bound=Timed)


class Shortened(NamedTuple):
    """A pause that was longer than a person wants to wait; comes before what follows it.

    Attributes:
        due: How many seconds it took when it happened; in slow motion, how many it would take now.
        waited: How many it takes now.
    """

    due: float
    waited: float


class LastSeen(Generic[Thing]):
    """Things one by one, and the last of them that was taken.

    Args:
        things: What is shown.
        go_on: The command that goes on after one of them, or from the beginning.
    """

    def __init__(self, things: Iterable[Thing], go_on: Callable[[Any], str]) -> None:
        self._things, self._go_on = things, go_on
        self.last: Thing | None = None

    def __iter__(self) -> Iterator[Thing]:
        for thing in self._things:
            self.last = self.last if isinstance(thing, Shortened) else thing
            yield thing

    def __enter__(self) -> LastSeen[Thing]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        """When interrupted, end the program with the command that goes on."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            if sys.stderr.isatty():
                # After the ^C that the terminal has put there.
                typer.echo(err=True)
            note(f"stopped; go on with: {self._go_on(self.last)}")
            raise typer.Exit(Code.INTERRUPTED) from None


def show_each(
    things: Iterable[Thing], show: Callable[[Thing], object], go_on: Callable[[Any], str], at_once: bool = True
) -> Thing | None:
    """Show one after the other, each `at_once`; the last of them. When interrupted, tell how to go on after it."""
    with LastSeen(things, go_on) as seen:
        for thing in seen:
            show(thing)
            if at_once:
                sys.stdout.flush()
    return seen.last


def state_before(log: SessionLog, session_id: str, position: EventId | None) -> SessionState:
    """The session before the first event that is told; empty before it had begun."""
    try:
        return SessionState() if position is None else log.state(session_id, position.revision or position)
    except SessionNotFoundError:
        return SessionState()


def pace(
    recorded: Iterable[T], speed: float, max_pause: float, sleep: Callable[[float], object] = sleep
) -> Iterator[T | Shortened]:
    """Things one by one, each as long after the one before as it happened then, or `speed` times faster."""
    last: int | None = None
    for one in recorded:
        took = 0.0 if last is None else max(0, one.id.ms - last) / 1000
        waited = min(took / speed, max_pause)
        if waited < took / speed:
            yield Shortened(max(took, took / speed), waited)
        if waited:
            sleep(waited)
        last = one.id.ms
        yield one


def seconds(text: str) -> float:
    """Understand `5s`, `500ms`, `2m`, `1h`, and a number of seconds."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration: give seconds (5), or 500ms, 5s, 2m, 1h")
    if (duration := float(found[1]) * _SECONDS[found[2]]) > _LONGEST:
        raise typer.BadParameter(f"{text!r} is too long: give {_LONGEST / 3_600:g}h at most")
    return duration
