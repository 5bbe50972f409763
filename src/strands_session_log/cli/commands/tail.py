"""`session-log tail`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias, TypeVar

import typer

from ...codec.delta import Delta
from ...events import Recorded
from ...feed import Envelope
from ...ids import START
from ...session_log import SessionLog
from ...tail import LivePosition, LiveTail
from ..completion import session_ids
from ..connection import opened
from ..exit_codes import Code, fail
from ..following import (
    agent_of,
    follow,
    json_of_live,
    last_turn,
    lister,
    outages_told,
    past_gaps,
    revision_after,
    state_before,
    teller,
)
from ..following import as_json as json_of_envelope
from ..options import JsonOption, NamespaceOption, UrlOption
from ..reading import as_json as json_of
from ..speaking import spoken
from ..terminal import console, write_json
from ..timeline import Timeline, Told

EPILOG = (
    "Examples:\n\nsession-log tail s-42\n\nsession-log tail --since -10m --type 'message.*' --type 'tool.*'\n\n"
    "session-log tail --json | jq --unbuffered -c '[.session_id, .type, .facts]'"
)
_NOW = "now"

T = TypeVar("T", Recorded, Told)
LiveItem: TypeAlias = "Delta | Recorded"

SessionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[SESSION]",
        help="The session's id; all sessions if left out.",
        autocompletion=session_ids,
        show_default=False,
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="POINT", help="What followed this point, too.", show_default=False),
]
AfterOption = Annotated[
    str | None,
    typer.Option(
        "--after", metavar="CURSOR", help="Of all sessions, or with --live, go on after a cursor.", show_default=False
    ),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="Only this type, or message.* for a family; repeatable.", show_default=False
    ),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Of one session, the messages, word by word; needs LiveTokens on the agent.")
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only this agent's.", show_default=False)
]


def tail(
    ctx: typer.Context,
    session: SessionArgument = None,
    since: SinceOption = None,
    after: AfterOption = None,
    types: TypeOption = None,
    agent: AgentOption = None,
    live: LiveOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print what happens as it happens, in one session or in all, until Ctrl-C.

    Of one session, the last turn comes first; of all, one line an event, without content.
    It waits for a server that goes away or refuses for now, and says so.
    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if after is not None and (since is not None or not (live or session is None)):
        fail(Code.USAGE, "--after is for all sessions, or --live, and takes the place of --since")
    if live and (session is None or types):
        fail(Code.USAGE, "--live needs a session, and no --type: it prints messages")
    with opened(ctx, url, namespace) as log, outages_told():
        if live and session is not None:
            _listen(log, session, _live_start(log, session, after, since, agent, as_json), agent, as_json)
        elif session is None:
            _follow_all(log, after or since or _NOW, types, agent, as_json)
        else:
            _follow_one(log, session, since, types, agent, as_json)


def _follow_one(
    log: SessionLog, session: str, since: str | None, types: list[str] | None, agent: str | None, as_json: bool
) -> None:
    if as_json:
        with log.tail(session, since or _NOW, types or None, agent) as found:
            _follow(found, lambda recorded: write_json(json_of(recorded)))
        return
    start = last_turn(log, session, agent) if since is None else log.resolve(session, since)
    terminal = console()
    chronicle = Timeline(terminal, state_before(log, session, start))
    with log.tail(session, start, types or None, agent) as found:
        _follow(chronicle.told(found), teller(terminal, session))


def _live_start(
    log: SessionLog, session: str, after: str | None, since: str | None, agent: str | None, as_json: bool
) -> LivePosition | None:
    """Where to begin: a program gets what is being said now, a person the last turn as well."""
    if after is not None:
        return LivePosition.parse(after)
    if since is not None:
        return LivePosition(log.resolve(session, since))
    return None if as_json else LivePosition(last_turn(log, session, agent))


def _listen(log: SessionLog, session: str, start: LivePosition | None, agent: str | None, as_json: bool) -> None:
    """What was said since a point, and then what is being said."""
    with log.live(session, after=start) as heard:
        items = (item for item in heard if agent in (None, agent_of(item)))
        if as_json:
            _follow_live(items, lambda item: write_json(json_of_live(item, heard.position)), heard)
            return
        terminal = console()
        chronicle = Timeline(terminal, state_before(log, session, start.event if start else START))
        with spoken(terminal, chronicle, teller(terminal, session)) as show:
            _follow_live(items, show, heard)


def _follow_live(things: Iterable[LiveItem], show: Callable[[LiveItem], object], heard: LiveTail) -> None:
    follow(things, show, lambda: f"; --after {heard.position} goes on")


def _follow(things: Iterable[T], show: Callable[[T], object]) -> None:
    """Show them, and remember the last."""
    last: Recorded | Told | None = None

    def show_and_remember(thing: T) -> None:
        nonlocal last
        last = thing
        show(thing)

    follow(things, show_and_remember, lambda: revision_after(last))


def _follow_all(log: SessionLog, after: str, types: list[str] | None, agent: str | None, as_json: bool) -> None:
    with log.tail(after=after, types=types or None, agent=agent) as feed:

        def print_json(one: Envelope) -> None:
            write_json(json_of_envelope(one, feed.position))

        show = print_json if as_json else lister(console())
        follow(past_gaps(feed), show, lambda: f"; --after {feed.position} goes on")
