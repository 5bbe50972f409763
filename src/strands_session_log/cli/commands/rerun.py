"""`session-log rerun`."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..context import CommandCall
from ..exit_codes import Code, fail
from ..loading import called, loaded
from ..options import AtOption, ByOption, SessionArgument, command, option, whole
from ..terminal import console, note, one_line, plain, put, write_json
from .testcase import OfOption, chosen

if TYPE_CHECKING:
    from ...testing import Rerun

EPILOG = (
    "Examples:\n\nsession-log rerun s-42 --at 7 --model app.models:cheaper\n\n"
    "session-log rerun s-42 --at -1h --model app.models:cheaper --agent app.agents:make_agent --json"
)
_MOST, _LONG = 10_000, 80

ModelOption = Annotated[str, option("--model", "MODULE:FACTORY", "What makes the model that is asked now.")]
MakerOption = Annotated[
    str,
    option("--agent", "MODULE:FACTORY", "What makes the agent, given model and session_manager; else a plain one."),
]
IntoOption = Annotated[str, option("--into", "NAME", "The id of the fork; else one is made up.")]
TurnsOption = Annotated[
    int, option("--turns", "N", "So many prompts at most; else all that were recorded.", parser=whole(1, _MOST))
]
RunToolsOption = Annotated[
    bool, typer.Option("--run-tools", help="Let the tools of --agent do what they do; else they answer as they did.")
]


@command
def rerun(
    call: CommandCall,
    session: SessionArgument,
    model: ModelOption,
    at: AtOption = None,
    agent: MakerOption = "",
    of: OfOption = None,
    into: IntoOption = "",
    turns: TurnsOption = _MOST,
    run_tools: RunToolsOption = False,
    by: ByOption = "",
) -> None:
    """Run a session on from an earlier point with another model, in a fork, and show what differs.

    The agent is asked what it was asked after that point. Its tools do nothing: each call is answered as one of the
    same tool with the same input was.
    """
    # Here, because it imports Strands, which most commands do not need.
    from strands.models.model import Model

    from ...testing import rerun as run_on

    if run_tools and not agent:
        fail(Code.USAGE, "--run-tools needs --agent: a plain agent has no tools of yours")
    make = loaded("--agent", agent) if agent else None
    asked = called("--model", model)
    if not isinstance(asked, Model | str):
        fail(Code.USAGE, f"--model {model} makes no model of Strands, but {one_line(repr(asked), _LONG)}")
    with call.opened() as log:
        until = log.head(session) if at is None else log.resolve(session, at)
        name = chosen(log.state(session, until), of)
        maker: Any = partial(called, "--agent", agent, asked) if make else _plain(log, session, asked, name)
        found = run_on(
            log,
            session,
            until,
            lambda manager: maker(session_manager=manager),
            into=into,
            agent=name,
            turns=turns,
            run_tools=run_tools,
            by=by,
        )
        if call.as_json:
            write_json(found.to_json())
        else:
            _print(call, found)
    if found.error:
        note(f"it ended with {found.error}")
        raise typer.Exit(Code.PROBLEMS)


def _plain(log: Any, session: str, model: Any, name: str) -> Any:
    from ...testing import stand_in

    return stand_in(log, session, model, name)


def _print(call: CommandCall, found: Rerun) -> None:
    from ..render.reruns import print_rerun

    print_rerun(console(), found)
    put(console(), f"\n  session-log show {shlex.quote(plain(found.into))}{call.same_target_options}", "dim")
