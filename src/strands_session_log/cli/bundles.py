"""`session-log export --to evidence`: sessions in one file that is verified without a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import typer

from .. import BundledSession, BundleSummary, SessionLog
from .exit_codes import Code, fail
from .exporters import whole_file
from .output import write_bytes
from .progress import progress
from .terminal import console, count, heading, one_line, plain, put, warn, write_json

KIND = "evidence"
_STDOUT = "-"


class _StandardOutput:
    """Takes bytes for it."""

    def write(self, data: bytes) -> int:
        """Write some more."""
        write_bytes(data)
        return len(data)


def export_evidence(
    log: SessionLog, path: Path, sessions: Sequence[str] | None, filters: dict[str, Any], as_json: bool
) -> None:
    """Write a bundle, and tell what is in it: on standard error where the bundle goes to standard output.

    Args:
        log: Where the sessions are.
        path: The file; `-` for standard output.
        sessions: Their ids; None for all there are.
        filters: See `SessionLog.export`.
        as_json: Whether to tell it as JSON.
    """
    what = sessions[0] if sessions and len(sessions) == 1 else "sessions"
    with progress(f"export {what}") as tell, _opened(path) as file:
        found = log.export(sessions, file, progress=tell, **filters)
    if str(path) != _STDOUT:
        _print(found, path, as_json)
    for one in found.sessions:
        if one.problems:
            more = f", and {count(len(one.problems) - 1, 'problem')} more" if len(one.problems) > 1 else ""
            warn(f"{one.session_id}: {one.problems[0]}{more}; the bundle shows it")
    if any(one.problems for one in found.sessions):
        raise typer.Exit(Code.PROBLEMS)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | _StandardOutput]:
    if str(path) == _STDOUT:
        if sys.stdout.isatty():
            fail(Code.USAGE, "a bundle is no text for a terminal: name a file, or send it on with | or >")
        yield _StandardOutput()
        return
    try:
        with whole_file(path) as file:
            yield file
    except OSError as error:
        fail(Code.OUTPUT, f"cannot write to {path}: {error.strerror or error}")


def _print(found: BundleSummary, path: Path, as_json: bool) -> None:
    if as_json:
        for one in found.sessions:
            write_json({**one.to_json(), "problems": list(one.problems), "bundle": str(path)})
        return
    terminal = console()
    for one in found.sessions:
        heading(terminal, one.session_id, _facts(one), "✗" if one.problems else "✓")
    told = f"{count(len(found.sessions), 'session')}, {count(found.events, 'event')} in {plain(path)}"
    put(terminal, f"{told}; `session-log verify {one_line(path)}` verifies it anywhere")


def _facts(one: BundledSession) -> str:
    facts = [count(one.events, "event")]
    facts += [
        f"content of {number:,} {what}"
        for what, number in (("withheld", one.withheld), ("erased", one.erased))
        if number
    ]
    sealed = [] if one.sealed is None else ["sealed"]
    return ", ".join([*facts, *sealed, f"link {one.link}"])
