"""`session-log show`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ...state import MessageRecord, SessionState
from ..connection import opened
from ..conversation import print_conversation
from ..exit_codes import Code, fail
from ..layout import put
from ..options import JsonOption, NamespaceOption, SessionArgument, UrlOption
from ..reading import told_integrity
from ..terminal import age, console, count, local, one_line, plain, write_json
from ..timeline import progress_of

EPILOG = "Examples:\n\nsession-log show s-42 --at 12\n\nsession-log show s-42 --at -5m --agent researcher"

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="POINT",
        help="As it was then: a revision, an event id, an ISO time, or a relative time (-5m).",
        show_default=False,
    ),
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only this agent.", show_default=False)
]


def show(
    ctx: typer.Context,
    session: SessionArgument,
    at: AtOption = None,
    agent: AgentOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print the conversation of a session, as it is or as it was, agent by agent.

    `replay` prints it as it happened.
    """
    with opened(ctx, url, namespace) as log:
        log.head(session)
        state = log.state(session, at)
    if agent is not None:
        state = _only(state, session, agent)
    if as_json:
        write_json(_json(session, state))
    else:
        _print(console(), session, state)


def _only(state: SessionState, session_id: str, agent: str) -> SessionState:
    names = [*state.agents, *state.multi_agents]
    if agent not in names:
        fail(Code.USAGE, f"session {session_id!r} has no agent {agent!r}; it has: {', '.join(names) or 'none'}")
    agents = {name: found for name, found in state.agents.items() if name == agent}
    multi_agents = {name: found for name, found in state.multi_agents.items() if name == agent}
    return replace(state, agents=agents, multi_agents=multi_agents)


def _json(session_id: str, state: SessionState) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "session": state.session,
        "agents": {
            agent.agent_id: {"messages": [_message(record) for record in agent.messages], "state": agent.state}
            for agent in state.agents.values()
        },
        "multi_agents": state.multi_agents,
        "revision": state.revision,
        "position": str(state.position),
        "link": state.link,
        "integrity": str(state.integrity),
    }


def _message(record: MessageRecord) -> dict[str, Any]:
    return {**record._asdict(), "id": str(record.id)}


def _print(terminal: Console, session_id: str, state: SessionState) -> None:
    last = state.position.time
    facts = f"  {count(state.revision, 'event')}, the last one {local(last)} ({age(last)})"
    put(terminal, Text.assemble((plain(session_id), "bold"), (facts, "dim"), told_integrity(state.integrity)))
    put(terminal, Text())
    print_conversation(terminal, state.agents.values())
    for name, data in state.multi_agents.items():
        put(terminal, Text.assemble((f"{one_line(name)}  ", "bold"), (progress_of(data), "dim")))
    if not state.agents and not state.multi_agents:
        put(terminal, Text("No agent has spoken yet.", "dim"))
