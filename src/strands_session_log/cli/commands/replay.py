"""`session-log replay`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ...audit import CheckedEvents
from ...events import Recorded
from ...ids import START, EventId
from ...session_log import SessionLog
from ..connection import opened
from ..exit_codes import Code, fail
from ..following import state_before
from ..layout import put
from ..options import JsonOption, NamespaceOption, SessionArgument, UrlOption
from ..playback import Shortened, pace, seconds
from ..reading import as_json as json_of
from ..reading import explain_nothing, tell_integrity
from ..terminal import console, local, plain, span, write_json
from ..timeline import Timeline, Told

EPILOG = (
    "Examples:\n\nsession-log replay s-42 --follow --speed 10\n\nsession-log replay s-42 --from -1h --at -5m\n\n"
    "session-log replay s-42 --follow --json | jq --unbuffered -r .type"
)

_MAX_PAUSE = 5.0


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _positive(speed: float | None) -> float | None:
    if speed is not None and not 0 < speed < float("inf"):
        raise typer.BadParameter("it must be more than 0")
    return speed


AtOption = Annotated[
    str | None, typer.Option("--at", metavar="POINT", help="Only up to and with this point.", show_default=False)
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="POINT", help="Only from this point on.", show_default=False)
]
AgentOption = Annotated[
    str | None,
    typer.Option("--agent", metavar="AGENT", help="Only this agent's, and what is about them all.", show_default=False),
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Play it back in the time it took.")]
SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--speed", metavar="N", callback=_positive, help="N times faster; needs --follow.", show_default=False
    ),
]
MaxPauseOption = Annotated[
    float | None,
    typer.Option(
        "--max-pause",
        metavar="DURATION",
        parser=_seconds,
        help=f"Never wait longer, {_MAX_PAUSE:g}s unless given (500ms, 2m); needs --follow.",
        show_default=False,
    ),
]


def replay(
    ctx: typer.Context,
    session: SessionArgument,
    at: AtOption = None,
    start: FromOption = None,
    agent: AgentOption = None,
    follow: FollowOption = False,
    speed: SpeedOption = None,
    max_pause: MaxPauseOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print a session as it happened, in the order of its log.

    `show` prints what is left of it; this also tells what was undone or changed later, where it happened.
    `events` also lists calls that only began.
    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if not follow and (speed, max_pause) != (None, None):
        fail(Code.USAGE, "--speed and --max-pause need --follow")
    with opened(ctx, url, namespace) as log:
        log.head(session)
        before = START if start is None else _just_before(log.resolve(session, start))
        found = log.read_checked(session, before, at)
        player = _Player(agent, follow, speed or 1.0, _MAX_PAUSE if max_pause is None else max_pause)
        things = player.about(found) if as_json else _told(log, session, before, player.about(found))
        player.play(things, partial(_print_json, found) if as_json else _printer(console(), session))
        if player.found_nothing:
            explain_nothing(log, session)
        elif found.integrity.is_broken or not as_json:
            tell_integrity(found.integrity)


class _Player:
    """Prints one thing after the other, at once or in the time it took, and knows how far it is."""

    def __init__(self, agent: str | None, follow: bool, speed: float, max_pause: float) -> None:
        self._agent, self._follow, self._speed, self._max_pause = agent, follow, speed, max_pause
        self._last, self._met = START, False

    @property
    def found_nothing(self) -> bool:
        """Whether nothing was shown, or nothing of the agent."""
        return not self._met or self._last == START

    def about(self, events: Iterable[Recorded]) -> Iterator[Recorded]:
        """Those of the agent, and those about all of them."""
        for recorded in events:
            if self._agent in (None, recorded.event.agent):
                self._met = True
            if self._agent is None or recorded.event.agent in ("", self._agent):
                yield recorded

    def play(self, things: Iterable[Recorded | Told], show: Callable[[Recorded | Told | Shortened], None]) -> None:
        """Show them all.

        Raises:
            typer.Exit: When it is interrupted.
        """
        try:
            for thing in pace(things, self._speed, self._max_pause) if self._follow else things:
                self._last = self._last if isinstance(thing, Shortened) else thing.id
                show(thing)
                if self._follow:
                    sys.stdout.flush()
        except KeyboardInterrupt:
            _tell_interrupted(self._last)
            raise typer.Exit(Code.INTERRUPTED) from None


def _tell_interrupted(last: EventId) -> None:
    # After the ^C that the terminal has put there.
    begin = "\n" if sys.stderr.isatty() else ""
    where = f"after revision {last.revision}; --from {last.revision + 1} goes on" if last.revision else "at once"
    typer.echo(f"{begin}session-log: stopped {where}", err=True)


def _just_before(first: EventId) -> EventId:
    """After what to read, for this to come first: an event, or all that happened at a time."""
    if first.revision:
        return EventId(first.ms, first.revision - 1) if first.revision > 1 else START
    return EventId(first.ms - 1, 0) if first.ms > 1 else START


def _told(log: SessionLog, session_id: str, before: EventId, events: Iterable[Recorded]) -> Iterator[Told]:
    return Timeline(console(), state_before(log, session_id, before)).told(events)


def _print_json(found: CheckedEvents, thing: Recorded | Told | Shortened) -> None:
    if isinstance(thing, Recorded):
        write_json({**json_of(thing), "integrity": str(found.integrity)})


def _printer(terminal: Console, session_id: str) -> Callable[[Recorded | Told | Shortened], None]:
    """Prints what is told, under a heading with the time of the first."""
    begun = False

    def show(thing: Recorded | Told | Shortened) -> None:
        nonlocal begun
        if isinstance(thing, Told):
            if not begun:
                facts = f"  from {local(thing.id.time, '%H:%M:%S')}"
                put(terminal, Text.assemble((plain(session_id), "bold"), (facts, "dim"), "\n"))
            begun = True
            put(terminal, thing.text)
        elif isinstance(thing, Shortened):
            put(terminal, Text(f"      … {span(thing.recorded)}, shortened to {thing.waited:g} s", "dim italic"))

    return show
