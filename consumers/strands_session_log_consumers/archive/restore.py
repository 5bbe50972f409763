"""`session-log restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from strands_session_log import restore_archived
from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, opened

from .options import ArchiveOption, opened_archive, put, put_json

EPILOG = "Examples:\n\nsession-log restore s-42 --archive /srv/archive"

SessionsArgument = Annotated[
    list[str], typer.Argument(metavar="SESSION...", help="The sessions' ids.", show_default=False)
]


def command(
    ctx: typer.Context,
    session: SessionsArgument,
    archive: ArchiveOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Bring sessions back from an archive, byte for byte; what is on the server stays as it is.

    With `SessionLog(…, archive=…)`, an agent that resumes a session does so by itself.
    """
    store = opened_archive(archive)
    are_there = True
    with opened(ctx, url, namespace) as log:
        for name in dict.fromkeys(session):
            has_it = restore_archived(log, name, store)
            are_there = are_there and has_it
            if as_json:
                put_json({"session_id": name, "restored": has_it})
            else:
                put(f"✓ {name} is on the server" if has_it else f"✗ {name}: not in the archive, or deleted for good")
    if not are_there:
        raise typer.Exit(Code.NOT_FOUND)
