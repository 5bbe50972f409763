"""`session-log import`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ... import SessionLog
from ..bundles import is_bundle
from ..completion import bundles
from ..context import PATIENCE, CommandCall
from ..exit_codes import Code, fail
from ..options import DryRunOption, argument, command, option
from ..terminal import console, count, one_line, put, warn, write_json

if TYPE_CHECKING:
    from ...moving import Imported, ImportProgress, Source

EPILOG = (
    "Examples:\n\nsession-log import file-session:./sessions --dry-run\n\n"
    "session-log import valkey-session-manager:valkey://localhost:6379 --session s-42\n\n"
    "session-log import backup-2026-01-31.zip backup-2026-02-01.zip"
)
_MARKS = {
    "imported": Text("✓ ", "green"),
    "completed": Text("✓ ", "green"),
    "skipped": Text("- ", "dim"),
    "conflict": Text("✗ ", "red"),
    "failed": Text("✗ ", "red"),
}

_SOURCE = "Where from: evidence bundles, files; or valkey-session-manager:URL, file-session:DIR or snapshots:DIR."

SourceArgument = Annotated[list[str], argument("SOURCE...", _SOURCE, bundles)]
SessionsOption = Annotated[list[str] | None, option("--session", "SESSION", "Only this session; repeatable.")]


@command
def import_(
    call: CommandCall, source: SourceArgument, session: SessionsOption = None, dry_run: DryRunOption = False
) -> None:
    """Bring back sessions from evidence bundles, or import those that another session manager has kept.

    A bundle is verified before anything is written, and its sessions come back byte for byte; what was erased or
    deleted here since does not. Of several backups, the newest is taken first. Run it again to go on where it was.

    What another session manager has kept is appended: it skips what is there already, completes what is there in part,
    and leaves alone what differs. It only reads the other store, and follows no links below its directory.
    """
    if all(map(is_bundle, source)):
        # Here, because few imports are of bundles.
        from ..restoring import import_bundles

        with call.target.open() as log:
            import_bundles(log, source, session or [], dry_run, call.as_json)
        return
    if missing := [name for name in source if name.endswith(".zip") and not is_bundle(name)]:
        fail(Code.USAGE, f"there is no file {missing[0]}")
    if len(source) > 1:
        fail(Code.USAGE, "import takes bundles, files that are there; or one other source")
    _import_of_others(call, source[0], session or [], dry_run)


def _import_of_others(call: CommandCall, source: str, sessions: list[str], dry_run: bool) -> None:
    # Here, because it imports Strands, which looking at a log does not need.
    from ...moving import SourceError, open_source

    try:
        # A server that may evict sessions is no place to move to, unlike one to read from: it is refused.
        with open_source(source, PATIENCE) as store, call.target.open() as log:
            outcomes = _import(store, log, sessions, dry_run, call.as_json)
    except SourceError as error:
        fail(Code.USAGE, str(error))
    if not call.as_json:
        put(console(), _verdict(outcomes, dry_run))
    if outcomes["conflict"] or outcomes["failed"]:
        raise typer.Exit(Code.PROBLEMS)


def _import(store: Source, log: SessionLog, sessions: list[str], dry_run: bool, as_json: bool) -> Counter[str]:
    from ...moving import import_sessions

    outcomes: Counter[str] = Counter()
    with _progress(len(sessions or store.session_ids()), as_json) as (terminal, progress, advance):
        for imported in import_sessions(store, log, sessions, dry_run=dry_run, progress=progress):
            outcomes[imported.outcome] += 1
            if as_json:
                write_json({**asdict(imported), "dry_run": dry_run})
            else:
                _print(terminal, imported, dry_run)
            advance()
    return outcomes


@contextmanager
def _progress(sessions: int, as_json: bool) -> Iterator[tuple[Console, ImportProgress, Callable[[], None]]]:
    """A bar on a terminal, of sessions, that tells how far the one being written is; and where to print beside it."""
    errors, answers = console(stderr=True), console()
    if not errors.is_terminal or (as_json and answers.is_terminal):
        yield answers, (lambda session_id, written, total: None), (lambda: None)
        return
    # Here, because few commands need it.
    from rich.progress import Progress as Bar

    with Bar(console=errors, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=sessions)

        def show(session_id: str, written: int, total: int) -> None:
            bar.update(task, description=f"{one_line(session_id, 30)} {written:,}/{total:,}")

        # What is printed on the terminal of the bar must go through it, or would stand in the middle of it.
        yield (errors if answers.is_terminal else answers), show, lambda: bar.advance(task)


def _print(terminal: Console, imported: Imported, dry_run: bool) -> None:
    # What a directory is called may have line ends in it.
    name = (one_line(imported.session_id), "bold")
    put(terminal, Text.assemble(_MARKS[imported.outcome], name, f"  {_told(imported, dry_run)}"))
    for warning in imported.warnings:
        warn(f"{imported.session_id}: {warning}")


def _told(imported: Imported, dry_run: bool) -> str:
    written = f"{count(imported.events, 'event')}, {count(imported.messages, 'message')} among them"
    match imported.outcome:
        case "imported":
            return f"{'would import' if dry_run else 'imported'} {written}"
        case "completed":
            return f"{'would add' if dry_run else 'added'} {written}"
        case "skipped":
            return "is there already"
        case "conflict":
            return one_line(f"conflict: {imported.problem}; it was left alone")
    return one_line(f"failed: {imported.problem}")


def _verdict(outcomes: Counter[str], dry_run: bool) -> str:
    if not outcomes:
        return "There is no session to import."
    told = ", ".join(f"{number:,} {outcome}" for outcome in _MARKS if (number := outcomes[outcome]))
    return f"{'Nothing was written; would be: ' if dry_run else ''}{told}."
