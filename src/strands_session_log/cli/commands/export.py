"""`session-log export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ... import SessionLog
from ...errors import SessionLogError, SessionNotFoundError
from ..bundles import KIND as EVIDENCE
from ..bundles import export_evidence, sealed
from ..completion import session_ids
from ..context import CommandCall
from ..exit_codes import DAMAGED, Code, fail
from ..exporters import exporter, kinds, write_all
from ..options import AfterOption, AgentOption, TypesOption, UntilOption, argument, command, option
from ..progress import progress
from ..terminal import console, count, heading, note, plain, warn, write_json

EPILOG = (
    "Examples:\n\nsession-log export s-42 --to file-session ./sessions\n\n"
    "session-log export --all --to file-session ./sessions --force\n\n"
    "session-log export s-42 --to html s-42.html\n\n"
    "session-log export s-42 --to jsonl - | jq .text\n\n"
    "session-log export s-42 s-43 --to evidence case-7.zip --type message.* --seals ./seals\n\n"
    "session-log export --all --to evidence tuesday.zip --since-seal ./seals@1041"
)
_KIND = "file-session"
_STDOUT = "-"
_LONG = 1_000
"""Events of which each is drawn: so many take a moment."""

_TO = f"As what, and where: {_KIND} DIR; {EVIDENCE}, html, markdown, jsonl, parquet, cloudevents or evals FILE."
_SEALS = "Into evidence: with what proves that the sessions were sealed, from where `session-log seal` keeps it."
_SINCE = "Into evidence, with --all: only what has changed since the seal there, or since it had so many records."
_DECRYPT = "Into evidence: show encrypted content in the transcripts, readable for ever, also once the key is shredded."
_REDACT = "Into evidence: no content at all, only structure and proof."

SessionsArgument = Annotated[list[str] | None, argument("SESSION...", "The sessions' ids.", session_ids)]
ToOption = Annotated[tuple[str, Path], option("--to", "KIND PATH", _TO)]
AllOption = Annotated[bool, typer.Option("--all", help="Export every session of the namespace.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace the directories of sessions that have one, or the file.")
]
SealsOption = Annotated[Path | None, option("--seals", "DIR", _SEALS)]
SinceOption = Annotated[str | None, option("--since-seal", "DIR[@SIZE]", _SINCE)]
DecryptOption = Annotated[bool, typer.Option("--decrypt", help=_DECRYPT)]
RedactOption = Annotated[bool, typer.Option("--redact-bodies", help=_REDACT)]


@command
def export(
    call: CommandCall,
    to: ToOption,
    session: SessionsArgument = None,
    every: AllOption = False,
    force: ForceOption = False,
    after: AfterOption = None,
    until: UntilOption = None,
    types: TypesOption = None,
    agent: AgentOption = None,
    redact_bodies: RedactOption = False,
    decrypt: DecryptOption = False,
    seals: SealsOption = None,
    since_seal: SinceOption = None,
) -> None:
    """Write sessions to an evidence bundle, to directories Strands' FileSessionManager resumes from, or one to a page.

    A bundle, --to evidence FILE, is verified without this server and this program. With --after, --until, --type or
    --agent it has the content of these events only; of all others it has what proves them.

    Values that the JSON of FileSessionManager cannot hold are written in the nearest form, with a warning for each.
    A page, --to html FILE, has the conversation and its timeline; markdown is for people, too, jsonl and parquet have a
    row for each message, cloudevents each event; evals is for strands-agents-evals. A FILE may be - for standard
    output.
    """
    kind, directory = to
    filters = {
        "after": after,
        "until": until,
        "types": types,
        "agent": agent,
        "redact_bodies": redact_bodies,
        "decrypt": decrypt,
    }
    if kind == EVIDENCE:
        if since_seal and not every:
            fail(Code.USAGE, "--since-seal is about a backup, and needs --all")
        _export_evidence(call, directory, session or [], every, force, {**filters, **sealed(seals, since_seal)})
        return
    if any(filters.values()) or seals or since_seal:
        fail(Code.USAGE, f"filters, --redact-bodies, --decrypt, --seals and --since-seal are for --to {EVIDENCE}")
    if kind != _KIND:
        _export_file(call, kind, directory, session or [], every, force)
        return
    if every == bool(session):
        fail(Code.USAGE, "export takes either sessions or --all")
    with call.opened() as log:
        names: Iterable[str] = log.session_ids() if every else session or []
        written = [_export(log, name, directory, force, every, call.as_json) for name in dict.fromkeys(names)]
    if not all(written):
        raise typer.Exit(Code.PROBLEMS)


def _export_evidence(
    call: CommandCall, path: Path, sessions: list[str], every: bool, force: bool, filters: dict[str, Any]
) -> None:
    if every == bool(sessions):
        fail(Code.USAGE, "export takes either sessions or --all")
    _refuse_existing(path, force)
    with call.opened() as log:
        export_evidence(log, path, None if every else sessions, filters, call.as_json, force)


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force and str(path) != _STDOUT:
        fail(Code.PROBLEMS, f"{path} exists already; --force replaces it")


def _export_file(call: CommandCall, kind: str, path: Path, sessions: list[str], every: bool, force: bool) -> None:
    export = exporter(kind)
    if export is None:
        fail(Code.USAGE, f"--to {kind!r} is not known; it can be {', '.join([_KIND, EVIDENCE, *kinds()])}")
    if every or len(sessions) != 1:
        fail(Code.USAGE, f"--to {kind} takes one session")
    _refuse_existing(path, force)
    with call.opened() as log, progress(f"export {sessions[0]}", _LONG) as tell:
        messages = log.session(sessions[0]).messages
        try:
            _write(export(log, sessions[0], tell), path)
        except ValueError as error:
            if isinstance(error, SessionLogError):
                raise
            fail(Code.PROBLEMS, f"{error}")
    if str(path) != _STDOUT:
        _print(call.as_json, sessions[0], str(path), messages)


def _write(chunks: Iterable[bytes], path: Path) -> None:
    if str(path) == _STDOUT:
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    try:
        write_all(chunks, path)
    except OSError as error:
        fail(Code.OUTPUT, f"cannot write to {path}: {error.strerror or error}")


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
