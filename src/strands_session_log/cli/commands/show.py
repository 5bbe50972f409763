"""`session-log show`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from rich.console import Console
from rich.text import Text

from ... import MessageRecord, SessionState
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import AgentOption, SessionArgument, command, option
from ..render.events import integrity_text
from ..render.messages import print_conversation, progress_of
from ..terminal import age, console, count, heading, local, one_line, put, write_json

EPILOG = "Examples:\n\nsession-log show s-42 --at 12\n\nsession-log show s-42 --at -5m --agent researcher"
_AT = "As it was then: a revision, an event id, an ISO time, or a relative time (-5m)."

AtOption = Annotated[str | None, option("--at", "POINT", _AT)]


@command
def show(call: CommandCall, session: SessionArgument, at: AtOption = None, agent: AgentOption = None) -> None:
    """Print the conversation of a session, as it is or as it was, agent by agent.

    `replay` prints it as it happened.
    """
    with call.opened() as log:
        log.head(session)
        state = log.state(session, at)
    if agent is not None:
        state = _only(state, session, agent)
    if call.as_json:
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
        "labels": state.labels,
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
    facts = Text(f"{count(state.revision, 'event')}, the last one {local(last)} ({age(last)})", "dim")
    heading(terminal, session_id, facts + integrity_text(state.integrity) + "\n")
    print_conversation(terminal, state.agents.values())
    for name, data in state.multi_agents.items():
        put(terminal, Text.assemble((f"{one_line(name)}  ", "bold"), (progress_of(data), "dim")))
    if not state.agents and not state.multi_agents:
        put(terminal, "No agent has spoken yet.", "dim")
