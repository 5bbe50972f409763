"""Evidence bundles on the command line: written from a log, and verified without one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import typer
from rich.console import Console

from .. import Anchor, BundledSession, BundleSummary, SessionLog, VerifiedSession, verify_bundle
from ..evidence import sessions_in
from ..seals import SealedLog
from .exit_codes import Code, fail
from .exporters import whole_file
from .output import write_bytes
from .progress import progress
from .terminal import console, count, heading, one_line, plain, put, warn, write_json

KIND = "evidence"
_ZIP = b"PK\x03\x04"
_DIGITS = 15
_LONG = 50_000_000
"""Bytes that take a moment to verify."""
_STDOUT = "-"


class _BytesOut:
    """Takes bytes for it."""

    def write(self, data: bytes) -> int:
        """Write some more."""
        write_bytes(data)
        return len(data)


def export_evidence(
    log: SessionLog,
    path: Path,
    sessions: Sequence[str] | None,
    filters: dict[str, Any],
    as_json: bool,
    force: bool = False,
) -> None:
    """Write a bundle, and tell what is in it: on standard error where the bundle goes to standard output.

    Args:
        log: Where the sessions are.
        path: The file; `-` for standard output.
        sessions: Their ids; None for all there are.
        filters: See `SessionLog.export`.
        as_json: Whether to tell it as JSON.
        force: Whether further files may be replaced.
    """
    what = sessions[0] if sessions and len(sessions) == 1 else "sessions"

    def more(number: int) -> AbstractContextManager[BinaryIO | _BytesOut]:
        further = part(path, number)
        if further.exists() and not force:
            fail(Code.PROBLEMS, f"{further} exists already; --force replaces it")
        return _opened(further)

    with progress(f"export {what}") as tell, _opened(path) as file:
        found = log.export(sessions, file, progress=tell, more=None if str(path) == _STDOUT else more, **filters)
    if str(path) != _STDOUT:
        for number, one in enumerate((found, *found.more), 1):
            _print(one, part(path, number), as_json)
    if found.forgotten:
        warn(f"{found.forgotten:,} of the oldest tombstones had no room in the bundle")
    _warn_of([session for one in (found, *found.more) for session in one.sessions])


def _warn_of(sessions: Sequence[BundledSession]) -> None:
    for one in sessions:
        if one.problems:
            more = f", and {count(len(one.problems) - 1, 'problem')} more" if len(one.problems) > 1 else ""
            warn(f"{one.session_id}: {one.problems[0]}{more}; the bundle shows it")
    if any(one.problems for one in sessions):
        raise typer.Exit(Code.PROBLEMS)


def part(path: Path, number: int) -> Path:
    """Where what has no room in a bundle goes: `all.zip`, `all.2.zip`, `all.3.zip`."""
    return path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")


def sealed(seals: Path | None, since: str | None) -> dict[str, Any]:
    """What `SessionLog.export` is told of seals.

    Args:
        seals: Where they are kept that are to be in the bundle.
        since: Where they are kept since which something has changed; with `@` and how many records there were.
    """
    told: dict[str, Any] = {"seals": SealedLog(seals).find} if seals is not None else {}
    if since is not None:
        place, _, size = since.rpartition("@")
        has_size = bool(place) and size.isascii() and size.isdigit() and len(size) < _DIGITS
        found = SealedLog(Path(place if has_size else since))
        told["since"] = (found, int(size)) if has_size else found
    return told


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | _BytesOut]:
    if str(path) == _STDOUT:
        if sys.stdout.isatty():
            fail(Code.USAGE, "a bundle is no text for a terminal: name a file, or send it on with | or >")
        yield _BytesOut()
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


def is_bundle(name: str) -> bool:
    """Whether an argument names a bundle, not a session: a file that is there, and a ZIP file by name or content."""
    path = Path(name)
    try:
        if not path.is_file():
            return False
        if path.suffix == ".zip":
            return True
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except (OSError, ValueError):
        return False


def verify_file(
    path: str, expect: Sequence[str], anchors: Sequence[Anchor] | None, keys: Sequence[str], as_json: bool
) -> bool:
    """Verify a bundle, and tell what was found.

    Args:
        path: The file.
        expect: Links that must be in it, `SESSION:REVISION:LINK`.
        anchors: What a file had noted; those of other sessions do not count. None if there was no file.
        keys: Who may have signed.
        as_json: Whether to tell it as JSON.

    Returns:
        Whether everything in it is as it was written.
    """
    try:
        noted: list[Anchor | str] = [*expect, *(_of_sessions_in(path, anchors) if anchors is not None else ())]
        with progress(path, _LONG) as tell:
            found = verify_bundle(path, expect=noted, keys=keys, progress=tell)
    except OSError as error:
        fail(Code.USAGE, f"{path} cannot be read: {error.strerror or error}")
    if as_json:
        write_json(found.to_json())
        return found.ok
    terminal = console()
    for one in found.sessions:
        _print_verified(terminal, one)
    for problem in found.problems:
        put(terminal, f"    {one_line(problem)}", "red")
    broken = sum(bool(one.problems) for one in found.sessions)
    counted = f"{count(len(found.sessions), 'session')}: {len(found.sessions) - broken:,} intact, {broken:,} broken"
    beside = f"; {count(len(found.problems), 'problem')} beside them" if found.problems else ""
    put(terminal, f"{counted}{beside}")
    return found.ok


def _of_sessions_in(path: str, anchors: Sequence[Anchor]) -> Sequence[Anchor]:
    names = {*sessions_in(path)}
    found = [anchor for anchor in anchors if anchor.session_id in names]
    if not found:
        fail(Code.USAGE, f"no line of the file is about a session in {path}")
    return found


def _print_verified(terminal: Console, one: VerifiedSession) -> None:
    verdict = count(len(one.problems), "problem") if one.problems else "chain intact"
    less = [f"{number:,} {what}" for what, number in (("withheld", one.withheld), ("erased", one.erased)) if number]
    facts = ", ".join([count(one.events, "event"), *less, verdict, f"link {one.link}"])
    heading(terminal, one.session_id, facts, "✗" if one.problems else "✓")
    put(terminal, f"    {_sealing(one)}", "dim")
    for problem in one.problems:
        put(terminal, f"    {one_line(problem)}", "red")


def _sealing(one: VerifiedSession) -> str:
    if one.seal is None:
        return "no seal covers it"
    by = one.seal.signed_by
    signed = f"signed by {one_line(by)}" if by else "whose signature was not checked; give --key"
    return f"sealed at revision {one.seal.revision:,} in a log of {one.seal.size:,}, {signed}"
