"""`session-log subject`: what is about a person, found, exported and erased over all sessions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ... import SessionLog, SubjectExport
from ..archives import SearchedArchiveOption, archive_at
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..exporters import whole_file
from ..helping import Command, CommandGroup
from ..options import ByOption, DryRunOption, ReasonOption, SessionArgument, argument, command, option
from ..progress import progress
from ..prompts import YesOption, confirm, require_tty
from ..render.subjects import print_place, print_step, print_sum
from ..terminal import console, count, note, one_line, write_json

EPILOG = (
    "Examples:\n\nsession-log subject find user-77\n\nsession-log subject export user-77 --to user-77.jsonl\n\n"
    "session-log subject erase user-77 --reason 'request 4711' --by privacy@example.com"
)
app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

SubjectArgument = Annotated[str, argument("SUBJECT", "The person; - reads it from standard input.")]
EventOption = Annotated[
    list[str] | None, option("--event", "ID", "Only this event of it, by revision or id; repeatable.")
]
ToOption = Annotated[str, option("--to", "FILE", "Where to; - for standard output.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file.")]
DeleteOption = Annotated[
    bool,
    typer.Option("--delete", help="Delete sessions that are about them as a whole, not their content only."),
]


@app.callback(epilog=EPILOG)
def subject() -> None:
    """Find, export and erase what is about a person, over all sessions.

    The server has keyed hashes of persons only: name a file with the key as SESSION_LOG_SUBJECT_KEY_FILE.
    """


@app.command(cls=Command, epilog="Example:\n\nsession-log subject add s-42 user-77")
@command
def add(call: CommandCall, session: SessionArgument, subject: SubjectArgument, event: EventOption = None) -> None:
    """Say that a session, or some events of it, are about a person."""
    with call.opened() as log:
        recorded = log.subjects.annotate(session, _named(subject), events=event)
    if call.as_json:
        write_json({"session_id": session, "id": None if recorded is None else str(recorded)})
    elif recorded is None:
        note(f"session {session!r} is said to be about them already")
    else:
        typer.echo(one_line(f"{session} is about them, by event {recorded.revision} of it."))


@app.command(cls=Command, epilog="Examples:\n\nsession-log subject find user-77\n\nsession-log subject find - --json")
@command
def find(call: CommandCall, subject: SubjectArgument, archive: SearchedArchiveOption = None) -> None:
    """Find what is about a person: sessions, stored values, what an archive has, and what is left of deleted ones."""
    with _opened(call, archive) as log:
        found = 0
        for place in log.subjects.find(_named(subject)):
            found += 1
            if call.as_json:
                write_json(place.to_json())
            else:
                print_place(console(), place)
    if not found:
        fail(Code.PROBLEMS, "nothing is said to be about them; `session-log grep` finds text")


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log subject export user-77 --to user-77.jsonl\n\n"
    "session-log subject export user-77 --to - | jq -c 'select(.kind == \"event\")'",
)
@command
def export(
    call: CommandCall,
    subject: SubjectArgument,
    to: ToOption,
    force: ForceOption = False,
    archive: SearchedArchiveOption = None,
) -> None:
    """Write what is about a person as JSON Lines; the file appears all at once, and only its owner may read it."""
    if to != "-" and os.path.lexists(to) and not force:
        fail(Code.USAGE, f"{to!r} is there already: pass --force to replace it")
    with _opened(call, archive) as log:
        written = _export(log, _named(subject), to)
    counts = {"sessions": written.sessions, "events": written.events, "stored_values": written.stored_values}
    if call.as_json and to != "-":
        write_json({"path": to, **counts, "unreadable": written.unreadable})
        return
    told = f"{count(written.sessions, 'session')}, {count(written.events, 'event')}"
    note(f"wrote {told}, {count(written.stored_values, 'stored value')}")
    if written.unreadable:
        fail(Code.PROBLEMS, f"{count(written.unreadable, 'event')} could not be read; `session-log verify` tells which")


def _export(log: SessionLog, subject: str, to: str) -> SubjectExport:
    with progress("export", 20) as tell:
        if to == "-":
            return log.subjects.export(subject, sys.stdout.buffer, progress=tell)
        with whole_file(Path(to).absolute()) as file:
            return log.subjects.export(subject, file, progress=tell)


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log subject erase user-77 --dry-run\n\n"
    "session-log subject erase user-77 --reason 'request 4711' --by privacy@example.com --yes --json",
)
@command
def erase(
    call: CommandCall,
    subject: SubjectArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    delete: DeleteOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    archive: SearchedArchiveOption = None,
) -> None:
    """Erase what is about a person, over all sessions; there is no way back. Run again, it goes on.

    Content goes, with its copies in snapshots, forks and what is parked; the hash chains still verify. What is in an
    archive only has its key shredded, or is archived anew without it. Held sessions stay. The name must not stand in
    the reason. It ends with 1 where something stays that is held, cannot be reached, or was written meanwhile.
    """
    named = _named(subject)
    require_tty(yes or dry_run, "erase what is about a person")
    with _opened(call, archive) as log:
        if not (yes or dry_run):
            planned = log.subjects.erase(named, reason=reason, by=by, delete=delete, dry_run=True)
            for step in planned.steps:
                print_step(console(), step)
            if going := planned.count("due"):
                confirm(f"Erase for good what is about them in {count(going, 'place')}?", "nothing was erased")
        with progress("erase") as tell:
            report = log.subjects.erase(named, reason=reason, by=by, delete=delete, dry_run=dry_run, progress=tell)
    for step in report.steps:
        if call.as_json:
            write_json(step.to_json())
        else:
            print_step(console(), step)
    print_sum(report, call.as_json)
    if not dry_run and not report.is_complete:
        raise typer.Exit(Code.PROBLEMS)


@app.command(cls=Command, epilog="Example:\n\nsession-log subject reindex")
@command
def reindex(call: CommandCall) -> None:
    """Make the index of whom sessions are about anew from their events, where it was lost."""
    with call.opened() as log:
        found = log.subjects.reindex()
    if call.as_json:
        write_json({"sessions": found})
    else:
        typer.echo(f"{count(found, 'session')} about somebody.")


@contextmanager
def _opened(call: CommandCall, archive: str | None) -> Iterator[SessionLog]:
    with call.opened() as log:
        log.archive = archive_at(archive)
        yield log


def _named(subject: str) -> str:
    """The person; other users of the machine can read what is typed, but not standard input."""
    return sys.stdin.readline().rstrip("\r\n") if subject == "-" else subject
