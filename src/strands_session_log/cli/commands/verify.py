"""`session-log verify`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ...audit import Verification
from ...errors import SessionNotFoundError
from ...session_log import SessionLog
from ..completion import session_ids
from ..connection import opened
from ..exits import DAMAGED, Code, fail
from ..layout import put
from ..options import JsonOption, NamespaceOption, UrlOption
from ..progress import progress
from ..terminal import console, count, one_line, plain, write_json

EPILOG = "Examples:\n\nsession-log verify s-42 --json | jq -r .link\n\nsession-log verify --all"

OneSession = Annotated[
    str | None,
    typer.Argument(metavar="SESSION", help="The session's id.", autocompletion=session_ids, show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="Verify every session of the namespace.")]


def verify(
    ctx: typer.Context,
    session: OneSession = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Recompute the hash chain of a session, and tell what is not as it was written, or as its snapshot says.

    Note the link it prints elsewhere: it proves later that nothing before it was changed.
    """
    if every == (session is not None):
        fail(Code.USAGE, "verify takes either a session or --all")
    intact = True
    with opened(ctx, url, namespace) as log:
        for name in [session] if session is not None else log.events.session_ids():
            found = _verified(log, name, every)
            if found is not None:
                intact &= found.ok
                _write_json(name, found) if as_json else _print(console(), name, found)
    if not intact:
        raise typer.Exit(Code.PROBLEMS)


def _verified(log: SessionLog, session_id: str, forgiving: bool) -> Verification | None:
    try:
        with progress(session_id) as tell:
            return log.verify(session_id, tell)
    except SessionNotFoundError:
        # Among all sessions, one may be deleted before its turn comes.
        if not forgiving:
            raise
        return None
    except DAMAGED as error:
        # Nor is what cannot even be read a reason to leave out the others.
        if not forgiving:
            raise
        return Verification(False, 0, "", (str(error),))


def _write_json(session_id: str, found: Verification) -> None:
    facts = {name: value for name, value in found._asdict().items() if name != "parent"}
    parent = {} if found.parent is None else {"parent": {"session_id": found.parent[0], "at": str(found.parent[1])}}
    write_json({"session_id": session_id, **facts, **parent})


def _print(terminal: Console, session_id: str, found: Verification) -> None:
    verdict = "chain intact" if found.ok else count(len(found.problems), "problem")
    mark = Text("✓ ", "green") if found.ok else Text("✗ ", "red")
    facts = f"  {count(found.revision, 'event')}{_descent(found)}, {verdict}, link {found.link}"
    put(terminal, Text.assemble(mark, (plain(session_id), "bold"), facts))
    for problem in found.problems:
        put(terminal, Text(f"    {one_line(problem)}", "red"))


def _descent(found: Verification) -> str:
    if found.parent is None:
        return ""
    session_id, last = found.parent
    return f" ({last.revision:,} of {plain(session_id)})"
