"""`session-log tail`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from ... import START, AgentState, Envelope, EventId, FeedTail, LivePosition, Recorded, SessionLog
from ...errors import CorruptEntryError, FeedGapError, LogForkedError, SessionLogError, SessionNotFoundError
from ...instrumentation import Detail, ServerAwaited, ServerWaitOver, add_hook, get_hooks, set_hooks
from ..completion import session_ids
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..nearest import no_agent, no_type
from ..options import AgentOption, TypesOption, argument, command, option
from ..playback import show_each, state_before
from ..render.live import agent_of, envelope_json, envelope_printer, live_json, live_printer
from ..render.messages import speaker
from ..render.timeline import Timeline, Told, printer
from ..terminal import console, note, warn, write_json

EPILOG = (
    "Examples:\n\nsession-log tail s-42\n\nsession-log tail --since -10m --type 'message.*' --type 'tool.*'\n\n"
    "session-log tail --json | jq --unbuffered -c '[.session_id, .type, .facts]'"
)
_NOW = "now"
_AFTER = "Of all sessions, or with --live, go on after a cursor."
_LIVE = "Of one session, the messages, word by word; needs LiveTokens on the agent."

SessionArgument = Annotated[
    str | None, argument("[SESSION]", "The session's id; all sessions if left out.", session_ids)
]
SinceOption = Annotated[str | None, option("--since", "POINT", "What followed this point, too.")]
AfterOption = Annotated[str | None, option("--after", "CURSOR", _AFTER)]
LiveOption = Annotated[bool, typer.Option("--live", help=_LIVE)]


@command
def tail(
    call: CommandCall,
    session: SessionArgument = None,
    since: SinceOption = None,
    after: AfterOption = None,
    types: TypesOption = None,
    agent: AgentOption = None,
    live: LiveOption = False,
) -> None:
    """Print what happens as it happens, in one session or in all, until Ctrl-C.

    Of one session, the last turn comes first; of all, one line an event, as `events` tells it; with --json no content.
    It waits for a server that goes away or refuses for now, and says so.
    A POINT is a revision (12), an event id, an ISO time, or a relative time (-5m).
    """
    if after is not None and (since is not None or not (live or session is None)):
        fail(Code.USAGE, "--after is for all sessions, or --live, and takes the place of --since")
    if live and (session is None or types):
        fail(Code.USAGE, "--live needs a session, and no --type: it prints messages")
    if unknown := no_type(types or ()):
        note(unknown)
    with call.opened() as log, _outages_noted():
        if live and session is not None:
            start = _live_start(log, session, after, since, agent, call.as_json)
            _follow_live(call, log, session, start, agent)
        elif session is None:
            _follow_all(call, log, after or since or _NOW, types, agent)
        else:
            _follow_one(call, log, session, since, types, agent)


def _follow_one(
    call: CommandCall, log: SessionLog, session: str, since: str | None, types: list[str] | None, agent: str | None
) -> None:
    def go_on(last: Recorded | Told | None) -> str:
        return call.again() if last is None else call.again(since=last.id.revision)

    if call.as_json:
        with log.tail(session, since or _NOW, types or None, agent) as found:
            show_each(found, lambda recorded: write_json(recorded.to_json()), go_on)
        return
    start = _last_turn(log, session, agent) if since is None else log.resolve(session, since)
    terminal = console()
    timeline = Timeline(terminal, state_before(log, session, start))
    with log.tail(session, start, types or None, agent) as found:
        show_each(timeline.told(found), printer(terminal, session), go_on)


def _live_start(
    log: SessionLog, session: str, after: str | None, since: str | None, agent: str | None, as_json: bool
) -> LivePosition | None:
    """Where to begin: a program gets what is being said now, a person the last turn as well."""
    if after is not None:
        return LivePosition.parse(after)
    if since is not None:
        return LivePosition(log.resolve(session, since))
    return None if as_json else LivePosition(_last_turn(log, session, agent) or START)


def _follow_live(
    call: CommandCall, log: SessionLog, session: str, start: LivePosition | None, agent: str | None
) -> None:
    """What was said since a point, and then what is being said."""
    with log.live(session, after=start) as heard:

        def go_on(_: object) -> str:
            return call.again(since=None, after=heard.position)

        items = (item for item in heard if agent in (None, agent_of(item)))
        if call.as_json:
            show_each(items, lambda item: write_json(live_json(item, heard.position)), go_on)
            return
        terminal = console()
        timeline = Timeline(terminal, state_before(log, session, start.event if start else None))
        with live_printer(terminal, timeline, printer(terminal, session)) as show:
            show_each(items, show, go_on)


def _follow_all(call: CommandCall, log: SessionLog, after: str, types: list[str] | None, agent: str | None) -> None:
    with log.tail(after=after, types=types or None, agent=agent) as feed:

        def print_json(one: Envelope) -> None:
            write_json(envelope_json(one, feed.position))

        show = print_json if call.as_json else envelope_printer(console(), partial(_event, log))
        show_each(_past_gaps(feed), show, lambda _: call.again(since=None, after=feed.position))


def _event(log: SessionLog, one: Envelope) -> Recorded | None:
    """The event itself; what cannot be read now, or is gone, ends no tail of all."""
    try:
        return log.event(one.session_id, one.id)
    except SessionLogError:
        return None


def _past_gaps(feed: FeedTail) -> Iterator[Envelope]:
    """The envelopes; what is missing between them, was replaced or written by others, is told and does not end it."""
    while True:
        try:
            yield from feed
            return
        except (FeedGapError, LogForkedError, CorruptEntryError) as error:
            warn(error)


def _last_turn(log: SessionLog, session_id: str, agent: str | None) -> EventId | None:
    """What precedes the last thing that a user told an agent; where the session stands when no user did.

    A session that does not exist is waited for, which is told: its name may be a slip.
    """
    try:
        state = log.state(session_id)
    except SessionNotFoundError:
        note(f"there is no session {session_id!r} yet; waiting for it")
        return None
    if agent is not None and (why := no_agent(session_id, agent, [*state.agents, *state.multi_agents])):
        note(f"{why}; waiting for it")
    said = [_last_said(known) for name, known in state.agents.items() if agent in (None, name)]
    last = max(filter(None, said), default=None)
    return state.position if last is None else log.resolve(session_id, last.revision - 1)


def _last_said(agent: AgentState) -> EventId | None:
    messages = agent.messages
    newest_first = (messages[at] for at in range(len(messages) - 1, -1, -1))
    return next((record.id for record in newest_first if speaker(record.shown) == "user"), None)


@contextmanager
def _outages_noted() -> Iterator[None]:
    """While this lasts, standard error tells at once that the server is waited for, why, and when it is back."""
    before = get_hooks()
    add_hook(_note_outage)
    try:
        yield
    finally:
        set_hooks(before)


def _note_outage(detail: Detail) -> None:
    match detail:
        case ServerAwaited(reason=reason, seconds=seconds):
            since = datetime.now() - timedelta(seconds=seconds)
            note(f"{reason.rstrip('. ')}; waiting since {since:%H:%M:%S}")
        case ServerWaitOver(seconds=seconds, is_back=True):
            note(f"the server is back after {seconds:.1f} s")
