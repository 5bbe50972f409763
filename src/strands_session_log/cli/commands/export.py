"""`session-log export`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ... import SessionLog
from ...errors import SessionNotFoundError
from ..completion import session_ids
from ..context import CommandCall
from ..exit_codes import DAMAGED, Code, fail
from ..options import argument, command, option
from ..terminal import console, count, heading, note, plain, warn, write_json

EPILOG = (
    "Examples:\n\nsession-log export s-42 --to file-session ./sessions\n\n"
    "session-log export --all --to file-session ./sessions --force"
)
_KIND = "file-session"

SessionsArgument = Annotated[list[str] | None, argument("SESSION...", "The sessions' ids.", session_ids)]
ToOption = Annotated[tuple[str, Path], option("--to", "KIND DIR", f"As what, and where: {_KIND} DIR.")]
AllOption = Annotated[bool, typer.Option("--all", help="Export every session of the namespace.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the directories of sessions that have one.")]


@command
def export(
    call: CommandCall,
    to: ToOption,
    session: SessionsArgument = None,
    every: AllOption = False,
    force: ForceOption = False,
) -> None:
    """Write sessions to directories Strands' FileSessionManager resumes from.

    Values its JSON cannot hold are written in the nearest form, with a warning for each.
    """
    kind, directory = to
    if kind != _KIND:
        fail(Code.USAGE, f"--to {kind!r} is not known; it can be {_KIND}")
    if every == bool(session):
        fail(Code.USAGE, "export takes either sessions or --all")
    with call.opened() as log:
        names: Iterable[str] = log.session_ids() if every else session or []
        written = [_export(log, name, directory, force, every, call.as_json) for name in dict.fromkeys(names)]
    if not all(written):
        raise typer.Exit(Code.PROBLEMS)


def _export(log: SessionLog, session_id: str, directory: Path, force: bool, is_one_of_all: bool, as_json: bool) -> bool:
    # Here, because it imports Strands, which looking at a log does not need.
    from ...moving import DirectoryExistsError, ExportError, export_session

    try:
        found = export_session(log, session_id, directory, force=force)
        _print(as_json, session_id, str(found.path), found.messages, [f"{loss}" for loss in found.losses])
    except SessionNotFoundError:
        # Among all sessions, one may be deleted before its turn comes.
        if not is_one_of_all:
            raise
    except (DirectoryExistsError, ExportError, *DAMAGED) as error:
        if isinstance(error, DAMAGED) and not is_one_of_all:
            raise
        note(error)
        _print(as_json, session_id, None, problem=str(error))
        return False
    return True


def _print(
    as_json: bool, session_id: str, path: str | None, messages: int = 0, losses: Sequence[str] = (), problem: str = ""
) -> None:
    found = {"session_id": session_id, "path": path, "messages": messages, "losses": list(losses), "problem": problem}
    if as_json:
        write_json(found)
    elif path is not None:
        heading(console(), session_id, f"{count(messages, 'message')} in {plain(path)}", "✓")
        for loss in losses:
            warn(f"{session_id}: {loss}")
