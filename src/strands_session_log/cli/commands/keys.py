"""`session-log keys`: the keys that content is encrypted with, in a directory outside the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ... import KeyRecord, LocalKeys
from ...errors import ForkedKeyError
from ..completion import session_ids
from ..context import KEYS_VARIABLE, CommandCall
from ..exit_codes import Code, fail
from ..helping import Command, CommandGroup
from ..options import ByOption, ReasonOption, SessionArgument, argument, command
from ..progress import progress
from ..prompts import YesOption, confirm, require_tty
from ..terminal import console, count, note, one_line, put, write_json

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

SessionsArgument = Annotated[list[str] | None, argument("[SESSION]...", "Sessions.", session_ids)]
_MANY = 1_000


@app.callback()
def keys() -> None:
    """Make, list, rotate and shred the keys that the content of sessions is encrypted with.

    They are in a directory, which --encryption-keys or SESSION_LOG_ENCRYPTION_KEYS names; none of them is ever shown.
    """


@app.command(cls=Command, epilog="Example:\n\nsession-log keys new --encryption-keys /var/lib/session-log/keys")
@command
def new(call: CommandCall) -> None:
    """Make a key store: a directory with a new master key.

    Keep it on another disk than the server's, and copy it to a safe place: without it, nothing that was encrypted can
    be read again.
    """
    made = LocalKeys.new(_directory(call))
    if call.as_json:
        write_json({"path": str(made.path), "master": made.master_ids[0]})
    else:
        typer.echo(one_line(f"Made {made.path}, with master key {made.master_ids[0]}."))


@app.command("list", cls=Command, epilog="Example:\n\nsession-log keys list --json | jq 'select(.shredded != [])'")
@command
def list_(call: CommandCall, sessions: SessionsArgument = None) -> None:
    """List which sessions have keys, since when, and whose keys were shredded."""
    store = _store(call)
    for one in map(store.keys_of, sessions) if sessions else store.all_keys():
        if call.as_json:
            write_json(_json(one))
        else:
            put(console(), _line(one))


@app.command(
    cls=Command, epilog="Examples:\n\nsession-log keys rotate\n\nsession-log keys rotate s-42    # a new key of its own"
)
@command
def rotate(call: CommandCall, sessions: SessionsArgument = None) -> None:
    """Put a new master key in place of the old one; or, of sessions that are named, encrypt with a new key from now on.

    No content is written anew. All keys are wrapped with the new master key, and the old one is destroyed; if that is
    interrupted, do it again. What a session had encrypted before keeps its own key.
    """
    store = _store(call)
    for session_id in sessions or ():
        _check_is_no_fork(call, store, session_id)
        made = store.rotate(session_id)
        if call.as_json:
            write_json({"session_id": session_id, "key": made.id.hex()})
        else:
            typer.echo(one_line(f"Session {session_id} has a new key, {made.id.hex()}."))
    if sessions:
        return
    with progress("keys", _MANY) as tell:
        done = store.rotate_master(lambda done: tell(done, done))
    if call.as_json:
        write_json({"master": store.master_ids[0], "sessions": done})
    else:
        typer.echo(one_line(f"Master key {store.master_ids[0]} wraps the keys of {count(done, 'session')} now."))


@app.command(
    cls=Command,
    epilog="Example:\n\nsession-log keys shred s-42 --reason 'request 4711' --by privacy@example.com",
)
@command
def shred(
    call: CommandCall, session: SessionArgument, reason: ReasonOption = "", by: ByOption = "", yes: YesOption = False
) -> None:
    """Destroy the keys of a session: nobody can read its content any more, nor that of its forks; there is no way back.

    That is so wherever it stands: on the server and its replicas, in its files and backups, in exports and archives.
    The hash chain still verifies. What is left in the key store says when the keys were shredded, by whom and why.
    """
    require_tty(yes, f"shred the keys of {session!r}")
    store = _store(call)
    if not (known := store.keys_of(session)).keys:
        _check_is_no_fork(call, store, session)
        told = "its keys were shredded before" if known.shredded else "the key store has no key of it"
        fail(Code.OK if known.shredded else Code.NOT_FOUND, f"session {session!r}: {told}")
    if not yes:
        question = f"Shred {count(len(known.keys), 'key')} of {session}, which makes it and all its forks unreadable?"
        confirm(question, "nothing was shredded")
    gone = store.shred(session, reason=reason, by=by)
    if call.as_json:
        write_json({"session_id": session, "shredded": gone})
    else:
        typer.echo(one_line(f"Shredded {count(gone, 'key')} of {session}."))
        note(f"copies of {store.path} have them still: destroy these, too")


def _check_is_no_fork(call: CommandCall, store: LocalKeys, session_id: str) -> None:
    """A fork has no key: it is encrypted with that of the session it descends from.

    Raises:
        ForkedKeyError: When it is one, as far as the server can be asked.
    """
    if store.keys_of(session_id).keys or store.keys_of(session_id).shredded:
        return
    with call.opened() as log:
        for recorded in log.read(session_id, types="session.forked"):
            raise ForkedKeyError(session_id, str(recorded.event.data.get("root")))


def _directory(call: CommandCall) -> str:
    found = call.target.keys
    if not found:
        fail(Code.USAGE, f"which key store? pass --encryption-keys DIR, or set {KEYS_VARIABLE}")
    return found


def _store(call: CommandCall) -> LocalKeys:
    return LocalKeys(_directory(call))


def _json(one: KeyRecord) -> dict[str, Any]:
    kept = [{"id": key.id.hex(), "master": key.wrapper, "created_at": key.created_at} for key in one.keys]
    gone = [
        {"id": key.id.hex(), "shredded_at": key.shredded_at, "reason": key.reason, "by": key.by} for key in one.shredded
    ]
    return {"session_id": one.session_id, "keys": kept, "shredded": gone}


def _line(one: KeyRecord) -> str:
    told: Sequence[str] = [f"{one.keys[-1].id.hex()} since {one.keys[-1].created_at}"] if one.keys else []
    if len(one.keys) > 1:
        told = [*told, f"{count(len(one.keys) - 1, 'key')} before"]
    if one.shredded:
        last = one.shredded[-1]
        why = "".join((f" by {last.by}" if last.by else "", f": {last.reason}" if last.reason else ""))
        told = [*told, f"{count(len(one.shredded), 'key')} shredded, {last.shredded_at}{why}"]
    return one_line(f"{one.session_id}  {'; '.join(told) or 'no key'}")
