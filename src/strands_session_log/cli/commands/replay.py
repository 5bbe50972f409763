"""`session-log replay`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Console

from ... import CheckedEvents, EventId, Recorded
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..nearest import agent_named
from ..options import AtOption, SessionArgument, command, option
from ..playback import Shortened, pace, seconds, show_each, state_before
from ..points import checked
from ..render.events import note_integrity, note_no_match
from ..render.timeline import Timeline, Told, printer
from ..terminal import console, put, span, write_json

EPILOG = (
    "Examples:\n\nsession-log replay s-42 --follow --speed 10\n\nsession-log replay s-42 --from -1h --at -5m\n\n"
    "session-log replay s-42 --follow --json | jq --unbuffered -r .type"
)
_MAX_PAUSE = 5.0
_FASTEST = 1_000_000
_A_MINUTE = 60


def _positive(speed: float | None) -> float | None:
    if speed is not None and not 0 < speed <= _FASTEST:
        raise typer.BadParameter(f"{speed:g} is no speed: give a number above 0, {_FASTEST:,} at most")
    return speed


FromOption = Annotated[str | None, option("--from", "POINT", "Only from this point on.")]
AgentOption = Annotated[str | None, option("--agent", "AGENT", "Only this agent's, and what is about them all.")]
FollowOption = Annotated[bool, typer.Option("--follow", help="Play it back in the time it took.")]
SpeedOption = Annotated[float | None, option("--speed", "N", "N times faster; needs --follow.", callback=_positive)]
MaxPauseOption = Annotated[
    float | None,
    option(
        "--max-pause",
        "DURATION",
        f"Never wait longer, {_MAX_PAUSE:g}s unless given (500ms, 2m); needs --follow.",
        parser=seconds,
    ),
]


@command
def replay(
    call: CommandCall,
    session: SessionArgument,
    at: AtOption = None,
    start: FromOption = None,
    agent: AgentOption = None,
    follow: FollowOption = False,
    speed: SpeedOption = None,
    max_pause: MaxPauseOption = None,
) -> None:
    """Print a session as it happened, in the order of its log.

    `show` prints what is left of it; this also tells what was undone or changed later, where it happened.
    `events` also lists calls that only began.
    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if not follow and (speed, max_pause) != (None, None):
        fail(Code.USAGE, "--speed and --max-pause need --follow")
    with call.opened() as log:
        log.head(session)
        before = None if start is None else _just_before(log.resolve(session, checked(log, session, start) or start))
        found = log.read_checked(session, before, at)
        selected = _Selection(found, agent)
        things: Iterable[Recorded | Told] = selected
        if not call.as_json:
            things = Timeline(console(), state_before(log, session, before)).told(selected)
        paced = pace(things, speed or 1.0, _MAX_PAUSE if max_pause is None else max_pause) if follow else things
        show = _json_printer(found) if call.as_json else _printer(console(), session)

        def go_on(last: Recorded | Told | None) -> str:
            return call.again() if last is None else call.again(start=last.id.revision + 1)

        if show_each(paced, show, go_on, at_once=follow) is None or not selected.has_met_agent:
            why = agent_named(log, session, agent) if agent else ""
            note_no_match(session, log.head(session).revision, why)
        elif found.integrity.is_broken or not call.as_json:
            note_integrity(found.integrity)


class _Selection:
    """The events of an agent, and those about all of them; knows whether any was the agent's."""

    def __init__(self, events: Iterable[Recorded], agent: str | None) -> None:
        self._events, self._agent, self.has_met_agent = events, agent, False

    def __iter__(self) -> Iterator[Recorded]:
        for recorded in self._events:
            is_agents = self._agent in (None, recorded.event.agent)
            self.has_met_agent = self.has_met_agent or is_agents
            if is_agents or recorded.event.agent == "":
                yield recorded


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < _A_MINUTE else span(seconds)


def _just_before(first: EventId) -> EventId | None:
    """After what to read, for this to come first: an event, or all that happened at a time."""
    if first.revision:
        return EventId(first.ms, first.revision - 1) if first.revision > 1 else None
    return EventId(first.ms - 1, 0) if first.ms > 1 else None


def _json_printer(found: CheckedEvents) -> Callable[[Recorded | Told | Shortened], None]:
    def show(thing: Recorded | Told | Shortened) -> None:
        if isinstance(thing, Recorded):
            write_json({**thing.to_json(), "integrity": str(found.integrity)})

    return show


def _printer(terminal: Console, session_id: str) -> Callable[[Recorded | Told | Shortened], None]:
    print_told = printer(terminal, session_id)

    def show(thing: Recorded | Told | Shortened) -> None:
        if isinstance(thing, Told):
            print_told(thing)
        elif isinstance(thing, Shortened):
            put(terminal, f"      … {_duration(thing.due)}, shortened to {_duration(thing.waited)}", "dim italic")

    return show
