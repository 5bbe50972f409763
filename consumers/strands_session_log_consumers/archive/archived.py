"""`session-log archived`."""

from __future__ import annotations

import os
import shutil
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from strands_session_log import Anchor, SessionLog, forget_archived
from strands_session_log.cli.api import Code, JsonOption, NamespaceOption, UrlOption, fail, opened, whole_file

from .checking import problems_of_copy
from .options import ArchiveOption, opened_archive, put, put_json, sized
from .records import ArchivedSession
from .session_archive import SessionArchive

EPILOG = (
    "Examples:\n\nsession-log archived --archive /srv/archive\n\nsession-log archived s-42 --get s-42.zip\n\n"
    'session-log archived s-42 --forget --reason "asked to" --by ada'
)

SessionArgument = Annotated[
    str | None, typer.Argument(metavar="[SESSION]", help="Only this one, all there is of it.", show_default=False)
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="How many at most.")]
VerifyOption = Annotated[bool, typer.Option("--verify", help="Read them back, and verify them.")]
GetOption = Annotated[
    Path | None,
    typer.Option("--get", metavar="FILE", help="Copy the newest bundle of the session to a file.", show_default=False),
]
ForgetOption = Annotated[
    bool, typer.Option("--forget", help="Delete for good what the archive has of the session; no way back.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.", show_default=False)]
ByOption = Annotated[str, typer.Option(metavar="NAME", help="Who does it, for the record.", show_default=False)]


def command(
    ctx: typer.Context,
    session: SessionArgument = None,
    archive: ArchiveOption = None,
    limit: LimitOption = 50,
    verify: VerifyOption = False,
    get: GetOption = None,
    forget: ForgetOption = False,
    yes: YesOption = False,
    reason: ReasonOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """List the sessions of an archive, those first that were active last; verify, copy or delete what it has.

    What is read needs no way back to the server: a copy is verified with `session-log verify FILE`, and its transcript
    is a page in it. `session-log restore` brings a session back.
    """
    if (get or forget) and not session:
        fail(Code.USAGE, "--get and --forget are about one session")
    store = opened_archive(archive)
    with opened(ctx, url, namespace) as log:
        found = store.of_session(log.namespace, session) if session else islice(store.sessions(log.namespace), limit)
        listed = list(found)
        if session and not listed:
            fail(Code.NOT_FOUND, f"the archive does not have session {session!r}")
        if get:
            _copy(store, log.namespace, listed[-1], get)
        elif forget:
            _forget(log, store, listed, yes, reason, by)
        else:
            _list(store, log.namespace, listed, verify, as_json)


def _list(store: SessionArchive, namespace: str, found: list[ArchivedSession], verify: bool, as_json: bool) -> None:
    is_well = True
    for one in found:
        problems = _problems(store, namespace, one) if verify else None
        is_well = is_well and not problems
        if as_json:
            told = {} if problems is None else {"problems": problems}
            put_json({**one.to_json(), "where": store.where(namespace, one.name.bundle), **told})
            continue
        sign = "" if problems is None else "✗ " if problems else "✓ "
        facts = f"{one.revision:,} events, {sized(one.size)}{', encrypted' if one.is_encrypted else ''}"
        times = f"last active {one.last_event_at:%Y-%m-%d %H:%M}, archived {one.archived_at:%Y-%m-%d %H:%M} UTC"
        put(f"{sign}{one.session_id}  {facts}, {times}{f': {problems[0]}' if problems else ''}")
    if not found and not as_json:
        put("the archive has no session of this namespace")
    if not is_well:
        raise typer.Exit(Code.PROBLEMS)


def _problems(store: SessionArchive, namespace: str, session: ArchivedSession) -> list[str]:
    file = store.read_bundle(namespace, session.name)
    if file is None:
        return ["there is a record of it, and no bundle"]
    with file:
        return problems_of_copy(file, Anchor(session.session_id, session.revision, session.link))


def _copy(store: SessionArchive, namespace: str, session: ArchivedSession, path: Path) -> None:
    if os.path.lexists(path):
        fail(Code.OUTPUT, f"cannot write to {path}: it is there already")
    with store.read(namespace, session) as file:
        try:
            with whole_file(path) as copy:
                shutil.copyfileobj(file, copy)
        except OSError as error:
            fail(Code.OUTPUT, f"cannot write to {path}: {error.strerror or error}")
    put(f"✓ {session.session_id}, {session.revision:,} events; `session-log verify {path}` verifies it anywhere")


def _forget(
    log: SessionLog, store: SessionArchive, found: list[ArchivedSession], yes: bool, reason: str, by: str
) -> None:
    name = found[-1].session_id
    if not yes and not typer.confirm(f"Delete {len(found)} bundles of {name!r} from the archive for good?", err=True):
        raise typer.Exit(Code.PROBLEMS)
    # First: from here on, nobody brings it back any more.
    forget_archived(log, name, reason, by)
    kept = [one for one in found if not store.forget(log.namespace, one.name)]
    for one in kept:
        where = store.where(log.namespace, one.name.bundle)
        put(f"✗ {where} cannot be removed, and only counts no more; shred the key of the session")
    if kept:
        raise typer.Exit(Code.PROBLEMS)
    put(f"✓ {name} is deleted from the archive")
