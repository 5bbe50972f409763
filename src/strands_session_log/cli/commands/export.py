"""`session-log export`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ...errors import SessionLogError, SessionNotFoundError
from ...session_log import SessionLog
from ..completion import session_ids
from ..connection import opened
from ..exit_codes import DAMAGED, Code, fail
from ..layout import put
from ..options import JsonOption, NamespaceOption, UrlOption
from ..terminal import console, count, one_line, plain, write_json

if TYPE_CHECKING:
    from ...moving import Exported

EPILOG = (
    "Examples:\n\nsession-log export s-42 --to file-session ./sessions\n\n"
    "session-log export --all --to file-session ./sessions --force"
)
_KIND = "file-session"

SessionsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="SESSION...", help="The sessions' ids.", autocompletion=session_ids, show_default=False),
]
ToOption = Annotated[
    tuple[str, Path],
    typer.Option("--to", metavar="KIND DIR", help=f"As what, and where: {_KIND} DIR.", show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="Export every session of the namespace.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the directories of sessions that have one.")]


def export(
    ctx: typer.Context,
    to: ToOption,
    session: SessionsArgument = None,
    every: AllOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Write sessions to directories Strands' FileSessionManager resumes from.

    Values its JSON cannot hold are written in the nearest form, with a warning for each.
    """
    kind, directory = to
    if kind != _KIND:
        fail(Code.USAGE, f"--to {kind!r} is not known; it can be {_KIND}")
    if every == bool(session):
        fail(Code.USAGE, "export takes either sessions or --all")
    with opened(ctx, url, namespace) as log:
        names: Iterable[str] = log.session_ids() if every else session or []
        written = [_exported(log, name, directory, force, every, as_json) for name in dict.fromkeys(names)]
    if not all(written):
        raise typer.Exit(Code.PROBLEMS)


def _exported(log: SessionLog, session_id: str, directory: Path, force: bool, forgiving: bool, as_json: bool) -> bool:
    # Here, because it imports Strands, which looking at a log does not need.
    from ...moving import DirectoryExistsError, ExportError, export_session

    try:
        _tell(export_session(log, session_id, directory, force=force), as_json)
    except SessionNotFoundError:
        # Among all sessions, one may be deleted before its turn comes.
        if not forgiving:
            raise
    except (DirectoryExistsError, ExportError, *DAMAGED) as error:
        if isinstance(error, DAMAGED) and not forgiving:
            raise
        _tell_problem(session_id, error, as_json)
        return False
    return True


def _tell(exported: Exported, as_json: bool) -> None:
    losses = [f"{loss}" for loss in exported.losses]
    if as_json:
        _write_json(exported.session_id, str(exported.path), exported.messages, losses, "")
        return
    told = f"  {count(exported.messages, 'message')} in {plain(exported.path)}"
    put(console(), Text.assemble(Text("✓ ", "green"), (plain(exported.session_id), "bold"), told))
    for loss in losses:
        typer.echo(f"session-log: warning: {one_line(f'{exported.session_id}: {loss}')}", err=True)


def _tell_problem(session_id: str, error: SessionLogError, as_json: bool) -> None:
    typer.echo(f"session-log: {one_line(error)}", err=True)
    if as_json:
        _write_json(session_id, None, 0, [], str(error))


def _write_json(session_id: str, path: str | None, messages: int, losses: list[str], problem: str) -> None:
    fields: dict[str, Any] = {"messages": messages, "losses": losses, "problem": problem}
    write_json({"session_id": session_id, "path": path, **fields})
