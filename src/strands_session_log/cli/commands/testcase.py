"""`session-log testcase`."""

from __future__ import annotations

from typing import Annotated

from ... import SessionState
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import AtOption, SessionArgument, command, option
from ..output import write_bytes
from ..terminal import note, one_line, write_json

EPILOG = (
    "Examples:\n\nsession-log testcase s-42 --agent app.agents:make_agent > test_s_42.py\n\n"
    "session-log testcase s-42 --at 12 --of critic > test_s_42.py"
)
_DEFAULT = "default"

AgentFactoryOption = Annotated[
    str, option("--agent", "MODULE:FACTORY", "What makes the agent; else a fixture `make_agent` of pytest.")
]
OfOption = Annotated[str | None, option("--of", "AGENT", "Which agent of the session; else `default`, or the only.")]


@command
def testcase(
    call: CommandCall,
    session: SessionArgument,
    agent: AgentFactoryOption = "",
    at: AtOption = None,
    of: OfOption = None,
) -> None:
    """Print a pytest that plays a session again against the agent as it is now, and fails where that differs.

    The model and the tools answer in it as they did; what a rewind has undone is left out. The file holds all that was
    said: keep it where that may stand.
    """
    from ...testing import recorded_messages
    from ...testing.pytest_file import FACTORY, pytest_file
    from ...testing.standing import standing_messages

    if agent and not FACTORY.fullmatch(agent):
        fail(Code.USAGE, f"--agent {agent}: give MODULE:FACTORY, as in app.agents:make_agent")
    with call.opened() as log:
        head = log.head(session) if at is None else log.resolve(session, at)
        name = chosen(log.state(session, head), of)
        state = log.state(session, head)
        recorded = recorded_messages(log, session, name, head)
        stored = [dict(one.shown) for one in standing_messages(log, session, state, name)] if call.as_json else []
    if not recorded:
        fail(Code.USAGE, f"agent {one_line(name)!r} of {one_line(session)!r} has no messages there")
    if call.as_json:
        write_json({"session_id": session, "agent": name, "id": str(head), "messages": stored})
        return
    write_bytes(pytest_file(session, head.revision, recorded, agent).encode())
    note(f"{len(recorded)} messages of agent {name!r}, up to revision {head.revision}")


def chosen(state: SessionState, name: str | None) -> str:
    """The agent that was asked for: `default`, or the only one, where none was."""
    if name is None:
        name = next(iter(state.agents)) if len(state.agents) == 1 else _DEFAULT
    if name not in state.agents:
        known = ", ".join(map(repr, state.agents)) or "(none)"
        fail(Code.USAGE, f"there is no agent {name!r}: give --of one of {known}")
    return name
