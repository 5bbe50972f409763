"""`session-log import` of evidence bundles: sessions brought back, the newest bundle first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import typer
from rich.console import Console
from rich.text import Text

from .. import ImportedSession, SessionLog
from ..evidence import created_at, sessions_in
from .exit_codes import Code, fail
from .progress import progress
from .terminal import console, count, one_line, plain, put, write_json

_LONG = 5_000
"""Events that take a moment to bring back."""
_MARKS: Mapping[str, Text] = {"imported": Text("✓ ", "green"), "skipped": Text("- ", "dim")}
_REFUSED = Text("✗ ", "red")


def import_bundles(
    log: SessionLog, files: Sequence[str], sessions: Sequence[str], dry_run: bool, as_json: bool
) -> None:
    """Bring back what bundles hold, and tell what became of each session.

    Args:
        log: Where to.
        files: The bundles.
        sessions: Only these; all if empty.
        dry_run: Write nothing.
        as_json: Whether to tell it as JSON.
    """
    try:
        newest_first = sorted(files, key=created_at, reverse=True)
        if missing := sorted({*sessions} - {name for file in files for name in sessions_in(file)}):
            fail(Code.USAGE, f"there is no session {missing[0]!r} in {' or '.join(files)}")
        outcomes: Counter[str] = Counter()
        for file in newest_first:
            outcomes += _import(log, file, sessions, dry_run, as_json)
    except OSError as error:
        fail(Code.USAGE, f"{error.filename or 'the file'} cannot be read: {error.strerror or error}")
    if not as_json:
        put(console(), _verdict(outcomes, dry_run))
    # What a newer backup knows to be deleted is to stay away.
    allowed = {"imported", "skipped", *(["deleted"] if len(files) > 1 else [])}
    if outcomes.keys() - allowed:
        raise typer.Exit(Code.PROBLEMS)


def _import(log: SessionLog, file: str, sessions: Sequence[str], dry_run: bool, as_json: bool) -> Counter[str]:
    wanted = [name for name in sessions_in(file) if name in sessions] if sessions else None
    with progress(f"import {file}", _LONG) as tell:
        found = log.import_(file, sessions=wanted, skip_refused=True, dry_run=dry_run, progress=tell)
    for one in found:
        if as_json:
            write_json({**asdict(one), "bundle": file, "dry_run": dry_run})
        else:
            _print(console(), one, dry_run)
    return Counter(one.outcome for one in found)


def _print(terminal: Console, one: ImportedSession, dry_run: bool) -> None:
    name = (one_line(one.session_id), "bold")
    put(terminal, Text.assemble(_MARKS.get(one.outcome, _REFUSED), name, f"  {_told(one, dry_run)}"))


def _told(one: ImportedSession, dry_run: bool) -> str:
    if one.outcome == "skipped":
        return "is there already"
    if one.is_refused:
        return one_line(f"{one.outcome}: {one.reason}")
    less = f"; content of {one.erased:,} not, it was erased here" if one.erased else ""
    return f"{'would import' if dry_run else 'imported'} {count(one.events, 'event')}{less}"


def _verdict(outcomes: Counter[str], dry_run: bool) -> str:
    if not outcomes:
        return "There is no session to import."
    told = ", ".join(f"{number:,} {plain(outcome)}" for outcome, number in outcomes.items())
    return f"{'Nothing was written; would be: ' if dry_run else ''}{told}."
