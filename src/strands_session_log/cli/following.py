"""Printing what happens as it happens, until somebody has seen enough."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from ..codec.delta import Delta
from ..errors import CorruptEntryError, FeedGapError, LogForkedError, SessionNotFoundError
from ..events import Recorded
from ..feed import Envelope
from ..ids import START, EventId
from ..instrumentation import Detail, ServerAwaited, ServerWaitOver, add_hook, get_hooks, set_hooks
from ..session_log import SessionLog
from ..state import AgentState, SessionState
from ..tail import FeedTail
from .exit_codes import Code
from .layout import put, row, widths_of
from .messages import fields, speaker
from .reading import as_json as json_of
from .terminal import local, one_line, plain
from .timeline import Told

T = TypeVar("T")

_STYLES = ("dim", "bold", "", "cyan", "")
_WIDEST = 24
_LONG = 200


def follow(things: Iterable[T], show: Callable[[T], object], how_to_go_on: Callable[[], str]) -> None:
    """Show one after the other, at once, until interrupted; then tell how to go on.

    Raises:
        typer.Exit: When it is interrupted.
    """
    try:
        for thing in things:
            show(thing)
            sys.stdout.flush()
    except KeyboardInterrupt:
        # After the ^C that the terminal has put there.
        begin = "\n" if sys.stderr.isatty() else ""
        typer.echo(f"{begin}session-log: stopped{how_to_go_on()}", err=True)
        raise typer.Exit(Code.INTERRUPTED) from None


@contextmanager
def outages_told() -> Iterator[None]:
    """While this lasts, standard error tells at once that the server is waited for, why, and when it is back."""
    before = get_hooks()
    add_hook(_tell_of_outage)
    try:
        yield
    finally:
        set_hooks(before)


def _tell_of_outage(detail: Detail) -> None:
    match detail:
        case ServerAwaited(reason=reason, seconds=seconds):
            since = datetime.now() - timedelta(seconds=seconds)
            typer.echo(f"session-log: {one_line(reason).rstrip('.')}; waiting since {since:%H:%M:%S}", err=True)
        case ServerWaitOver(seconds=seconds, is_back=True):
            typer.echo(f"session-log: the server is back after {seconds:.1f} s", err=True)


def past_gaps(feed: FeedTail) -> Iterator[Envelope]:
    """The envelopes; what is missing between them, was replaced or written by others, is told and does not end it."""
    while True:
        try:
            yield from feed
            return
        except (FeedGapError, LogForkedError, CorruptEntryError) as error:
            typer.echo(f"session-log: warning: {one_line(error)}", err=True)


def last_turn(log: SessionLog, session_id: str, agent: str | None) -> EventId:
    """What precedes the last thing that somebody told an agent; where the session stands when nobody did.

    A session that does not exist is waited for, which is told: its name may be a slip.
    """
    try:
        state = log.state(session_id)
    except SessionNotFoundError:
        typer.echo(one_line(f"session-log: there is no session {session_id!r} yet; waiting for it"), err=True)
        return START
    said = [_last_said(known) for name, known in state.agents.items() if agent in (None, name)]
    last = max(filter(None, said), default=None)
    return state.position if last is None else log.resolve(session_id, last.revision - 1)


def _last_said(agent: AgentState) -> EventId | None:
    messages = agent.messages
    newest_first = (messages[at] for at in range(len(messages) - 1, -1, -1))
    return next((record.id for record in newest_first if speaker(record.shown) == "user"), None)


def state_before(log: SessionLog, session_id: str, position: EventId) -> SessionState:
    """The session before the first event that is told; empty before it had begun."""
    if position == START:
        return SessionState()
    try:
        return log.state(session_id, position.revision or position)
    except SessionNotFoundError:
        return SessionState()


def teller(terminal: Console, session_id: str) -> Callable[[Told], None]:
    """Prints what is told, under a heading with the time of the first."""
    begun = False

    def show(thing: Told) -> None:
        nonlocal begun
        if not begun:
            facts = f"  from {local(thing.id.time, '%H:%M:%S')}"
            put(terminal, Text.assemble((plain(session_id), "bold"), (facts, "dim"), "\n"))
        begun = True
        put(terminal, thing.text)

    return show


def lister(terminal: Console) -> Callable[[Envelope], None]:
    """Prints envelopes, one a line; columns widen when they have to."""
    widths = [0] * len(_STYLES)

    def show(one: Envelope) -> None:
        nonlocal widths
        cells = _cells(one)
        widths = [max(pair) for pair in zip(widths, [*widths_of([cells])[:-1], 0], strict=True)]
        put(terminal, row(cells, widths, _STYLES), crop=True)

    return show


def as_json(one: Envelope, cursor: object) -> dict[str, Any]:
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


def _cells(one: Envelope) -> tuple[str, ...]:
    time = one.id.time.astimezone().strftime("%H:%M:%S")
    session, agent = one_line(one.session_id, _WIDEST), one_line(one.agent, _WIDEST) or "-"
    return time, session, agent, one_line(one.type), fields(one.facts, _LONG) if one.facts else ""


def json_of_live(item: Delta | Recorded, cursor: object) -> dict[str, Any]:
    """Everything of a piece of a message, or of a message, and how to go on behind it."""
    if isinstance(item, Delta):
        found = {"id": str(item.id), **item.line._asdict(), "revision": item.revision}
    else:
        found = json_of(item)
    return {**found, "cursor": str(cursor)}


def agent_of(item: Delta | Recorded) -> str:
    """Who says it."""
    return item.line.agent if isinstance(item, Delta) else item.event.agent


def revision_after(last: Recorded | Told | None) -> str:
    """How to go on behind the last that was shown."""
    return "" if last is None else f" after revision {last.id.revision}; --since {last.id} goes on"
