"""`session-log verify`."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ... import Anchor, Audited, Expect, SessionLog, Tombstone, Verification
from ...errors import SessionNotFoundError
from ...files import open_named
from ...seals import SealedLog, VerifierKey, verifier_keys
from ..bundles import is_bundle, verify_file
from ..completion import sessions_and_bundles
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import argument, command, option
from ..progress import progress
from ..terminal import console, count, heading, local, one_line, plain, put, warn, write_json

EPILOG = (
    "Examples:\n\nsession-log verify s-42 --json | jq -r .link\n\nsession-log anchor > anchors.txt\n\n"
    "session-log verify --all --expect-file anchors.txt\n\nsession-log verify --all --against ./seals --key VKEY\n\n"
    "session-log verify case-7.zip --expect-file anchors.txt"
)

KEY_VARIABLE = "SESSION_LOG_SEAL_VERIFIER"

_ALL = "Verify every session of the namespace; print only problems, and a summary."
_EXPECT = "A link that was noted elsewhere, which must still be there; of a bundle, SESSION: before it. Repeatable."
_EXPECT_FILE = "Such links, as `session-log anchor` prints them, as text or JSON; - for standard input."
_RECOUNT = "Count anew what lists of sessions tell, where that is not what the events say."
_FEED = "Also find events that the feed should tell of and does not, and gaps in it."

OneSession = Annotated[
    str | None, argument("SESSION", "The session's id; or the file of an evidence bundle.", sessions_and_bundles)
]
AllOption = Annotated[bool, typer.Option("--all", help=_ALL)]
ExpectOption = Annotated[list[str] | None, option("--expect", "REVISION:LINK", _EXPECT)]
ExpectFileOption = Annotated[str | None, option("--expect-file", "FILE", _EXPECT_FILE)]
FeedOption = Annotated[bool, typer.Option("--feed", help=_FEED)]
RecountOption = Annotated[bool, typer.Option("--recount", help=_RECOUNT)]
AgainstOption = Annotated[
    Path | None,
    option("--against", "DIR", "The seals that `session-log seal` keeps there: what was sealed must be there still."),
]
KeyOption = Annotated[
    list[str] | None,
    option(
        "--key", "VKEY", f"The key that signed the seals, or those in a bundle; or a file with it; else {KEY_VARIABLE}."
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="With --all, print the intact ones, too.")]


@command
def verify(
    call: CommandCall,
    session: OneSession = None,
    every: AllOption = False,
    expect: ExpectOption = None,
    expect_file: ExpectFileOption = None,
    feed: FeedOption = False,
    verbose: VerboseOption = False,
    recount: RecountOption = False,
    against: AgainstOption = None,
    key: KeyOption = None,
) -> None:
    """Recompute the hash chain of a session, and tell what is not as it was written, or as its snapshot says.

    Its head, the directory, the feed and tombstones must agree with it. An evidence bundle is verified by itself:
    no server is asked.

    Who can write to the server can forge them all: keep seals elsewhere with `session-log seal`, and hold the sessions
    --against them; or note single links with `session-log anchor`, and --expect them.
    """
    _check_usage(session, every, bool(expect), verbose, bool(key) and against is None)
    anchors = _read(expect_file) if expect_file else []
    if session is not None and is_bundle(session):
        if feed or recount or against is not None:
            fail(Code.USAGE, "--feed, --recount and --against are about a session on a server, not about a bundle")
        keys = [str(one) for one in _trusted(key)]
        _end(verify_file(session, expect or [], anchors if expect_file else None, keys, call.as_json))
        return
    seals = _sealed(against, key) if against is not None else None
    with call.opened() as log:
        if session is None:
            is_intact = _verify_all(log, anchors, feed, seals, verbose, call.as_json, recount)
        else:
            noted = [*(expect or ()), *(_of(session, anchors) if expect_file else ())]
            is_intact = _verify_one(log, session, noted, feed, seals, call.as_json)
            if recount:
                log.recount(session)
    _end(is_intact)


def _check_usage(session: str | None, every: bool, expects: bool, verbose: bool, has_key: bool) -> None:
    if every == (session is not None):
        fail(Code.USAGE, "verify takes either a session or --all")
    if every and expects:
        fail(Code.USAGE, "--expect is about one session; --expect-file may be about all")
    if verbose and not every:
        fail(Code.USAGE, "--verbose needs --all")
    if has_key and not is_bundle(session or ""):
        fail(Code.USAGE, "--key is the key of seals: those of --against, or in the file of a bundle")


def _end(is_intact: bool) -> None:
    if not is_intact:
        raise typer.Exit(Code.PROBLEMS)


def _read(file: str) -> list[Anchor]:
    try:
        with nullcontext(typer.get_binary_stream("stdin")) if file == "-" else open_named(file) as opened:
            # A line that is no text is no anchor, and told to be none.
            return list(Anchor.parse_lines(io.TextIOWrapper(opened, encoding="utf-8", errors="replace")))
    except OSError as error:
        fail(Code.USAGE, f"--expect-file {file}: cannot be read: {error.strerror}")


def _of(session_id: str, anchors: Sequence[Anchor]) -> Sequence[Anchor]:
    """Those of one session; a file that has none would prove nothing, and seem to."""
    found = [anchor for anchor in anchors if anchor.session_id == session_id]
    if not found:
        fail(Code.USAGE, f"no line of the file is about session {session_id!r}")
    return found


def _trusted(keys: Sequence[str] | None) -> Sequence[VerifierKey]:
    return verifier_keys(keys or filter(None, [os.environ.get(KEY_VARIABLE)]))


def _sealed(place: Path, keys: Sequence[str] | None) -> SealedLog:
    """The seals; that nobody has forged them is known only where the key is."""
    trusted = _trusted(keys)
    found = SealedLog(place, trusted)
    if not trusted:
        warn(f"who signed {place} is not checked: give --key, as `session-log seal --new-key` printed it")
    return found


def _verify_one(
    log: SessionLog, session_id: str, expect: Sequence[Expect], feed: bool, seals: SealedLog | None, as_json: bool
) -> bool:
    try:
        with progress(session_id) as tell:
            found = log.verify(session_id, tell, expect=expect, feed=feed, against=seals)
    except SessionNotFoundError:
        last = seals.records_of(session_id)[-1:] if seals else []
        if last and last[0].record.is_deleted:
            when = f"{last[0].record.id.time:%Y-%m-%d %H:%M:%S} UTC"
            fail(Code.NOT_FOUND, f"session {session_id!r} was deleted at {when}, as the seals tell")
        raise
    if as_json:
        write_json({"session_id": session_id, **found.to_json()})
    else:
        _print(console(), session_id, found)
    return found.ok


def _verify_all(
    log: SessionLog,
    anchors: Sequence[Anchor],
    feed: bool,
    seals: SealedLog | None,
    verbose: bool,
    as_json: bool,
    recount: bool,
) -> bool:
    """Tell of what is broken, and how many there are."""
    counted: Counter[str] = Counter()
    with progress("sessions") as tell:
        for one in _counted(log.verify_all(tell, expect=anchors, feed=feed, against=seals), counted):
            if recount and one.session_id is not None and one.verification.notes:
                log.recount(one.session_id)
            if one.verification.ok and not verbose:
                continue
            if as_json:
                write_json(_json_of_any(one))
            elif one.session_id is None:
                _print_beside(console(), one)
            else:
                _print(console(), one.session_id, one.verification)
    if as_json:
        write_json({name: counted[name] for name in ("sessions", "intact", "broken", "problems_beside", "noted")})
    else:
        put(console(), _summary(counted))
        if seals is not None:
            put(console(), _sealed_line(seals))
    return not counted["broken"] and not counted["problems_beside"]


def _counted(audited: Iterator[Audited], counted: Counter[str]) -> Iterator[Audited]:
    for one in audited:
        if one.session_id is None:
            counted["problems_beside"] += len(one.verification.problems)
        else:
            counted["sessions"] += 1
            counted["intact" if one.verification.ok else "broken"] += 1
            counted["noted"] += bool(one.verification.notes)
        yield one


def _summary(counted: Counter[str]) -> str:
    beside = counted["problems_beside"]
    more = f"; {count(beside, 'problem')} beside them" if beside else ""
    if counted["noted"]:
        more += f"; {counted['noted']:,} not summed up as their events say, see --recount"
    return f"{count(counted['sessions'], 'session')}: {counted['intact']:,} intact, {counted['broken']:,} broken{more}"


def _sealed_line(seals: SealedLog) -> str:
    """What they were held against."""
    signers = "".join(f", signed by {key.name}+{key.id.hex()}" for key in seals.signed_by[:1])
    told = f"held against {count(len(seals), 'sealed record')} of {seals.checkpoint.origin}"
    return f"{told}, the last at {seals.mark.time}{signers}"


def _json_of_any(one: Audited) -> dict[str, Any]:
    if one.session_id is not None:
        return {"session_id": one.session_id, **one.verification.to_json()}
    return {"partition": one.partition, "ok": False, "problems": one.verification.problems}


def _print(terminal: Console, session_id: str, found: Verification) -> None:
    verdict = "chain intact" if found.ok else count(len(found.problems), "problem")
    link = f", link {found.link}" if found.link else ""
    facts = f"{count(found.revision, 'event')}{_descent(found)}, {verdict}{link}"
    heading(terminal, session_id, facts, "✓" if found.ok else "✗")
    for line in _beside(found):
        put(terminal, f"    {line}", "dim")
    _print_problems(terminal, found)
    for line in found.notes:
        put(terminal, f"    {one_line(line)}", "yellow")


def _print_beside(terminal: Console, one: Audited) -> None:
    where = "the namespace" if one.partition is None else f"partition {one.partition}"
    put(terminal, Text.assemble(Text("✗ ", "red"), where))
    _print_problems(terminal, one.verification)


def _print_problems(terminal: Console, found: Verification) -> None:
    for problem in found.problems:
        put(terminal, f"    {one_line(problem)}", "red")


def _descent(found: Verification) -> str:
    if found.parent is None:
        return ""
    session_id, last = found.parent
    return f" ({last.revision:,} of {plain(session_id)})"


def _beside(found: Verification) -> Iterator[str]:
    """What else is known of it."""
    if found.revision:
        yield f"{_witnessed(found)}{_as_expected(found)}{_as_sealed(found)}"
    yield from map(_life, found.deleted)


def _witnessed(found: Verification) -> str:
    if found.witnessed is None:
        return "not witnessed: the feed was trimmed since"
    first, last = found.witnessed
    copied = found.parent[1].revision if found.parent else 0
    older = "; older is trimmed" if first > copied + 1 else ""
    return f"witnessed {first:,}\u2013{last:,}{older}"


def _as_expected(found: Verification) -> str:
    return f"; held against {count(found.expected, 'noted link')}" if found.expected else ""


def _as_sealed(found: Verification) -> str:
    return "" if found.sealed is None else f"; held against {count(found.sealed, 'sealed record')}"


def _life(life: Tombstone) -> str:
    by = f", by {one_line(life.by)}" if life.by else ""
    why = f", because {one_line(life.reason)}" if life.reason else ""
    return f"its id was used before: deleted at revision {life.revision:,}, {local(life.deleted_at)}{by}{why}"
