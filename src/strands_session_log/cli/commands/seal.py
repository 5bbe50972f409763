"""`session-log seal`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import SealDamagedError
from ...seals import Checkpoint, SealedLog, SealSummary, SealWriter, make_key_file, signing_key, verifier_keys
from ..completion import session_ids
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import command, option
from ..progress import progress
from ..terminal import console, count, heading, one_line, put, write_json

EPILOG = (
    "Examples:\n\nsession-log seal --new-key seal.key --name example.com/agents\n\n"
    "session-log seal --to ./seals --key seal.key\n\nsession-log verify --all --against ./seals\n\n"
    "session-log seal --to ./seals --prove s-42 > s-42.tlog-proof\n\n"
    "session-log seal --to ./seals --consistency kept-elsewhere.checkpoint"
)
KEY_VARIABLE = "SESSION_LOG_SEAL_KEY_FILE"

ToOption = Annotated[Path | None, option("--to", "DIR", "Where the seals are kept: outside the server.")]
KeyOption = Annotated[
    str | None, option("--key", "FILE", f"Has the key that signs; else {KEY_VARIABLE} names it. Not kept in DIR.")
]
NewKeyOption = Annotated[str | None, option("--new-key", "FILE", "Make a key that signs, and print what checks it.")]
NameOption = Annotated[
    str | None, option("--name", "NAME", "With --new-key, the name of the log, like example.com/agents.")
]
TrustedOption = Annotated[
    list[str] | None, option("--trusted", "VKEY", "A key, or a file with some, that signed before; repeatable.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Look at all sessions, not only those active since.")]
ProveOption = Annotated[
    str | None,
    option("--prove", "SESSION", "Print what proves that the session was sealed.", autocompletion=session_ids),
]
ConsistencyOption = Annotated[
    str | None,
    option("--consistency", "OLD", "Prove that records were only added since: a checkpoint file, or a size."),
]


@command
def seal(
    call: CommandCall,
    to: ToOption = None,
    key: KeyOption = None,
    new_key: NewKeyOption = None,
    name: NameOption = None,
    trusted: TrustedOption = None,
    everything: AllOption = False,
    prove: ProveOption = None,
    consistency: ConsistencyOption = None,
) -> None:
    """Write down outside the server where all sessions stand, and sign it: nobody can rewrite them unnoticed then.

    Each run adds the sessions that changed since the run before to a growing, signed log in a directory; what is
    there is never changed. Keep it, and the key, where no administrator of the server can write.

    Hold the sessions against it with `session-log verify --against DIR`.
    """
    if new_key is not None:
        _make_key(call, new_key, name)
        return
    if to is None:
        fail(Code.USAGE, "--to DIR says where the seals are kept; with --new-key FILE, only a key is made")
    if name is not None:
        fail(Code.USAGE, "--name needs --new-key: the name of a log is that of its key")
    if prove is not None:
        _prove(call, to, prove, trusted)
    elif consistency is not None:
        _compare(call, to, consistency, trusted)
    else:
        _seal(call, to, key or os.environ.get(KEY_VARIABLE), trusted, everything)


def _make_key(call: CommandCall, file: str, name: str | None) -> None:
    made = make_key_file(file, name or f"{socket.gethostname()}/{call.target.namespace}")
    if call.as_json:
        write_json({"file": file, "name": made.name, "verifier": str(made.verifier)})
        return
    put(console(), str(made.verifier))
    put(console(stderr=True), f"{one_line(file)} has the key that signs: keep it where no administrator of the server")
    put(console(stderr=True), "can read it. Give the line above to those who check seals, as their --key.")


def _seal(call: CommandCall, to: Path, key: str | None, trusted: list[str] | None, everything: bool) -> None:
    if not key:
        fail(
            Code.USAGE,
            "sealing needs a key: make one with `session-log seal --new-key seal.key`, keep it where no administrator "
            f"of the server can read it, and name it with --key or {KEY_VARIABLE}",
        )
    signs, known = signing_key(key), verifier_keys(trusted or ())
    with call.opened() as log, progress("seal", 5_000) as tell:
        found = SealWriter(log, to, signs, known).seal(tell, everything=everything)
    if call.as_json:
        write_json(_json(to, found))
    else:
        _print(to, found)
    if found.skipped:
        raise typer.Exit(Code.PROBLEMS)


def _json(to: Path, found: SealSummary) -> dict[str, Any]:
    at = found.checkpoint
    return {
        "to": str(to),
        "sessions": found.sessions,
        "deletions": found.deletions,
        "skipped": list(found.skipped),
        "finished": found.finished,
        "size": at.size if at else 0,
        "checkpoint": at.note if at else None,
    }


def _print(to: Path, found: SealSummary) -> None:
    terminal, at = console(), found.checkpoint
    if found.finished:
        put(terminal, f"finished a seal of {count(found.finished, 'record')} that had been interrupted")
    done = f"sealed {count(found.sessions, 'session')}"
    done += f" and {count(found.deletions, 'deletion')}" if found.deletions else ""
    size = f"; {count(at.size, 'record')} in all" if at else "; there is none yet"
    heading(terminal, str(to), f"{done}{size}", "✓")
    for name in found.skipped:
        put(terminal, f"    {one_line(name)} was not sealed: its head cannot be read, see `session-log verify`", "red")


def _prove(call: CommandCall, to: Path, session: str, trusted: list[str] | None) -> None:
    proof = SealedLog(to, verifier_keys(trusted or ())).proof(session)
    if call.as_json:
        more = {"hashes": [one.hex() for one in proof.hashes], "checkpoint": proof.checkpoint}
        write_json({"record": proof.record.decode(), "index": proof.index, **more})
    else:
        typer.echo(proof.to_text(with_record=True), nl=False)


def _compare(call: CommandCall, to: Path, old: str, trusted: list[str] | None) -> None:
    sealed = SealedLog(to, verifier_keys(trusted or ()))
    size = int(old) if old.isascii() and old.isdigit() else _kept(sealed, old)
    proof = sealed.consistency(size)
    if call.as_json:
        more = {"hashes": [one.hex() for one in proof], "checkpoint": sealed.checkpoint.note}
        write_json({"old": size, "new": len(sealed), **more})
    else:
        typer.echo(sealed.consistency_text(size), nl=False)


def _kept(sealed: SealedLog, file: str) -> int:
    """The size of a checkpoint that was kept elsewhere, once it is known to be of the same history."""
    try:
        kept = Checkpoint.parse(Path(file).read_bytes(), file)
    except OSError as error:
        fail(Code.USAGE, f"--consistency {file}: cannot be read: {error.strerror}")
    if sealed.keys and not kept.signed_by(sealed.keys, file):
        raise SealDamagedError(file, "it is signed by none of the keys that are trusted")
    sealed.check(kept, file)
    return kept.size
