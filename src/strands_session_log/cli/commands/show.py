"""`session-log show`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ... import Recorded, SessionState
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..nearest import no_agent
from ..options import AgentOption, SessionArgument, command, option, whole
from ..overview import Overview, overview
from ..pager import NoPagerOption, put_paged
from ..render.events import aside
from ..render.messages import MessageDetail, conversation, laid_out, progress_of
from ..render.overviews import header, overview_json, times_for
from ..terminal import console, one_line, write_json

EPILOG = (
    "Examples:\n\nsession-log show s-42 --last 5 --times\n\n"
    "session-log show s-42 --at -5m --agent researcher --full --no-pager"
)
_AT = "As it was then: a revision, an event id, an ISO time, or a relative time (-5m)."

AtOption = Annotated[str | None, option("--at", "POINT", _AT)]
TimesOption = Annotated[bool, typer.Option("--times", help="When each message was written.")]
FullOption = Annotated[bool, typer.Option("--full", help="Shorten nothing: calls, results, thoughts, states.")]
LastOption = Annotated[int | None, option("--last", "N", "The last N messages of each agent.", parser=whole(0, 10**12))]


@command
def show(
    call: CommandCall,
    session: SessionArgument,
    at: AtOption = None,
    agent: AgentOption = None,
    last: LastOption = None,
    times: TimesOption = False,
    full: FullOption = False,
    no_pager: NoPagerOption = False,
) -> None:
    """Print the conversation of a session, as it is or as it was, agent by agent.

    Above it: when it began, how long it took, turns and tokens, how it stands, and whether it is what was written.

    What is longer than the screen is shown in $PAGER, or less. `replay` prints it as it happened.
    """
    with call.opened() as log:
        log.head(session)
        state = log.state(session, at)
        told = overview(log, session, state)
        if agent is not None:
            state = _only(state, session, agent)
        if call.as_json:
            write_json(_json(session, state, told, last))
        else:
            terminal = console()
            detail = MessageDetail(full, times_for(told, state) if times else "", last)
            put_paged(terminal, _texts(terminal, session, state, told, detail), no_pager)


def _only(state: SessionState, session_id: str, agent: str) -> SessionState:
    names = [*state.agents, *state.multi_agents]
    if agent not in names:
        fail(Code.USAGE, no_agent(session_id, agent, names))
    agents = {name: found for name, found in state.agents.items() if name == agent}
    multi_agents = {name: found for name, found in state.multi_agents.items() if name == agent}
    return replace(state, agents=agents, multi_agents=multi_agents)


def _json(session_id: str, state: SessionState, told: Overview, last: int | None) -> dict[str, Any]:
    shown = state.to_json(last)
    return {
        "session_id": session_id,
        **{name: shown[name] for name in ("session", "labels")},
        **overview_json(told, state),
        **shown,
        # The events that asked, where the state only knows that they are open.
        "interrupts": [one.to_json() for one in _shown(told, state)],
    }


def _shown(told: Overview, state: SessionState) -> list[Recorded]:
    """What people were asked by those that are shown."""
    return [one for one in told.interrupts if one.event.agent in state.agents or one.event.agent in state.multi_agents]


def _texts(
    terminal: Console, session_id: str, state: SessionState, told: Overview, detail: MessageDetail
) -> Iterator[str | Text]:
    yield from header(terminal, session_id, state, told, detail.last)
    asides = [aside(one) for one in _shown(told, state)]
    yield from conversation(terminal, state.agents.values(), detail, asides)
    for name, data in state.multi_agents.items():
        yield Text.assemble((f"{one_line(name)}  ", "bold"), (progress_of(data), "dim"))
        yield from (laid_out(terminal, one, detail) for one in asides if one.agent == name not in state.agents)
    if not state.agents and not state.multi_agents:
        yield Text("No agent has spoken yet.", "dim")
