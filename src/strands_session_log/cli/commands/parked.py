"""`session-log parked`: what consumer groups gave up on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from ... import ParkedEvent, Recorded, SessionLog
from ...errors import (
    CorruptEntryError,
    EnvelopeMismatchError,
    ParkedNotFoundError,
    RevisionNotFoundError,
    SessionNotFoundError,
)
from ..context import CommandCall
from ..exit_codes import Code, fail
from ..helping import Command, CommandGroup
from ..options import GroupArgument, ManyParkedArgument, ParkedArgument, command
from ..prompts import YesOption, confirm, require_tty
from ..render.parked import parked_json, print_one, print_parked
from ..terminal import console, count, note, one_line, put, write_json
from ..typed import typed
from .groups import summary_of, when_read

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

AllOption = Annotated[bool, typer.Option("--all", help="All that the group has parked.")]


@app.callback()
def parked() -> None:
    """Look at what consumer groups gave up on, have it tried again, or drop it."""


@app.command(
    "list",
    cls=Command,
    epilog="Examples:\n\nsession-log parked list audit\n\nsession-log parked list audit --json | jq .error",
)
@command
def list_(call: CommandCall, group: GroupArgument) -> None:
    """List the events a group gave up on, partition by partition, with the error of the last attempt."""
    with call.opened() as log:
        found = _all(log, group)
    if call.as_json:
        for one in found:
            write_json(parked_json(one))
    elif found:
        print_parked(console(), found)
    if not (call.as_json or all(one.is_replayed for one in found)):
        replay = typed("parked replay", group, options=f" --all{call.same_target_options}")
        put(console(), f"\nAfter fixing the cause: {replay}", "dim")


@app.command(cls=Command, epilog="Example:\n\nsession-log parked show audit 3:1700000000000-0")
@command
def show(call: CommandCall, group: GroupArgument, parked_id: ParkedArgument) -> None:
    """Show one of them, with the error and the event as it stands in its session."""
    with call.opened() as log:
        with _group_checked(log, group):
            one = log.parked(group).get(parked_id)
        recorded, problem = recorded_of(log, one)
    if call.as_json:
        write_json({**parked_json(one), "event": recorded and recorded.to_json(), "problem": problem})
    else:
        print_one(console(), one, recorded, problem)


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log parked replay audit 3:1700000000000-0\n\nsession-log parked replay audit --all",
)
@command
def replay(
    call: CommandCall, group: GroupArgument, parked_id: ManyParkedArgument = None, every: AllOption = False
) -> None:
    """Have parked events tried again by the group's consumers; those that fail again are parked again."""
    _check_either(parked_id, every)
    with call.opened() as log:
        # What is about no event can only be dropped.
        named = parked_id or [one.parked_id for one in _all(log, group) if one.session_id]
        with _group_checked(log, group):
            replayed = log.parked(group).replay(named)
        when = when_read(log, group)
    if call.as_json:
        write_json({"group": group, "replayed": replayed})
    elif replayed:
        typer.echo(one_line(f"{group} tries {count(replayed, 'event')} again{when}."))


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log parked drop audit 3:1700000000000-0\n\nsession-log parked drop audit --all --yes",
)
@command
def drop(
    call: CommandCall,
    group: GroupArgument,
    parked_id: ManyParkedArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
) -> None:
    """Forget parked events for good: the group never handles them. The events themselves stay in their sessions."""
    _check_either(parked_id, every)
    require_tty(yes, f"drop what {group!r} has parked")
    with call.opened() as log:
        named = parked_id or [one.parked_id for one in _all(log, group)]
        if named and not yes:
            confirm(f"Drop {count(len(named), 'event')} that {group} gave up on, for good?", "nothing was dropped")
        with _group_checked(log, group):
            dropped = log.parked(group).drop(named)
    if call.as_json:
        write_json({"group": group, "dropped": dropped})
    elif dropped:
        typer.echo(one_line(f"Dropped {count(dropped, 'event')}."))


def _check_either(parked_ids: list[str] | None, every: bool) -> None:
    if every == bool(parked_ids):
        fail(Code.USAGE, "give the ids that `session-log parked list` prints, or --all")


def _all(log: SessionLog, group: str) -> list[ParkedEvent]:
    """All that a group has parked; when that is nothing, it is said."""
    found = list(log.parked(group))
    if not found:
        summary_of(log, group)
        note(f"{group} has parked nothing")
    return found


@contextmanager
def _group_checked(log: SessionLog, group: str) -> Iterator[None]:
    """A group that does not exist has nothing of that name, either: that is the error then."""
    try:
        yield
    except ParkedNotFoundError:
        summary_of(log, group)
        raise


def recorded_of(log: SessionLog, one: ParkedEvent) -> tuple[Recorded | None, str]:
    """The event itself, None when its session is gone; and why it is not shown, when it is not what was parked."""
    if not one.session_id:
        return None, ""
    try:
        found = log.event(one.session_id, one.id)
        one.envelope.check(found)
    except (SessionNotFoundError, RevisionNotFoundError):
        return None, ""
    except (CorruptEntryError, EnvelopeMismatchError) as error:
        return None, str(error)
    return found, ""
