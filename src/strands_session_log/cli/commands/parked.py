"""`session-log parked`: what consumer groups gave up on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from ...errors import ParkedNotFoundError
from ...session_log import SessionLog
from ...subscription import ParkedEvent
from ..completion import parked_ids
from ..connection import opened
from ..exit_codes import Code, fail
from ..groups import by_whom, standing_of
from ..layout import put
from ..options import GroupArgument, JsonOption, NamespaceOption, UrlOption
from ..parked import as_json as json_of
from ..parked import print_one, print_parked, recorded_of
from ..prompts import YesOption, confirm, somebody_there
from ..reading import as_json as json_of_event
from ..target import again
from ..terminal import console, count, one_line, plain, write_json

app = typer.Typer(no_args_is_help=True)

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="PARKED_ID", help="Its name, as `list` prints it.", autocompletion=parked_ids, show_default=False
    ),
]
IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PARKED_ID",
        help="Their names, as `list` prints them.",
        autocompletion=parked_ids,
        show_default=False,
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="All that the group has parked.")]


@app.callback()
def parked() -> None:
    """Look at what consumer groups gave up on, have it tried again, or drop it."""


@app.command(
    "list", epilog="Examples:\n\nsession-log parked list audit\n\nsession-log parked list audit --json | jq .error"
)
def list_(
    ctx: typer.Context,
    group: GroupArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """List the events a group gave up on, partition by partition, with the error of the last attempt."""
    with opened(ctx, url, namespace) as log:
        found = _all(log, group)
    if as_json:
        for one in found:
            write_json(json_of(one))
    elif found:
        print_parked(console(), found)
        name = shlex.quote(plain(group)) + again(ctx, url, namespace)
        put(console(), Text(f"\nOnce the cause is mended: session-log parked replay {name} --all", "dim"))


@app.command(epilog="Example:\n\nsession-log parked show audit 3:1700000000000-0")
def show(
    ctx: typer.Context,
    group: GroupArgument,
    parked_id: IdArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Show one of them, with the error and the event as it stands in its session."""
    with opened(ctx, url, namespace) as log:
        with _known(log, group):
            one = log.parked(group).get(parked_id)
        recorded, problem = recorded_of(log, one)
    if as_json:
        write_json({**json_of(one), "event": recorded and json_of_event(recorded), "problem": problem})
    else:
        print_one(console(), one, recorded, problem)


@app.command(
    epilog="Examples:\n\nsession-log parked replay audit 3:1700000000000-0\n\nsession-log parked replay audit --all"
)
def replay(
    ctx: typer.Context,
    group: GroupArgument,
    parked_id: IdsArgument = None,
    every: AllOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Have parked events tried again by the group's consumers; those that fail again are parked again."""
    _either(parked_id, every)
    with opened(ctx, url, namespace) as log:
        # What is about no event can only be dropped.
        named = parked_id or [one.parked_id for one in _all(log, group) if one.session_id]
        with _known(log, group):
            replayed = log.parked(group).replay(named)
        when = by_whom(log, group)
    if as_json:
        write_json({"group": group, "replayed": replayed})
    elif replayed:
        typer.echo(one_line(f"{group} tries {count(replayed, 'event')} again{when}."))


@app.command(
    epilog="Examples:\n\nsession-log parked drop audit 3:1700000000000-0\n\nsession-log parked drop audit --all --yes"
)
def drop(
    ctx: typer.Context,
    group: GroupArgument,
    parked_id: IdsArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Forget parked events for good: the group never handles them. The events themselves stay in their sessions."""
    _either(parked_id, every)
    somebody_there(yes, f"drop what {group!r} has parked")
    with opened(ctx, url, namespace) as log:
        named = parked_id or [one.parked_id for one in _all(log, group)]
        if named and not yes:
            confirm(f"Drop {count(len(named), 'event')} that {group} gave up on, for good?", "nothing was dropped")
        with _known(log, group):
            dropped = log.parked(group).drop(named)
    if as_json:
        write_json({"group": group, "dropped": dropped})
    elif dropped:
        typer.echo(one_line(f"Dropped {count(dropped, 'event')}."))


def _either(parked_ids: list[str] | None, every: bool) -> None:
    if every == bool(parked_ids):
        fail(Code.USAGE, "name what is meant, as `session-log parked list` prints it, or pass --all")


def _all(log: SessionLog, group: str) -> list[ParkedEvent]:
    """All that a group has parked; when that is nothing, it is said."""
    found = list(log.parked(group))
    if not found:
        standing_of(log, group)
        typer.echo(one_line(f"{group} has parked nothing."), err=True)
    return found


@contextmanager
def _known(log: SessionLog, group: str) -> Iterator[None]:
    """A group that does not exist has nothing of that name, either.

    Raises:
        GroupNotFoundError: Then.
    """
    try:
        yield
    except ParkedNotFoundError:
        standing_of(log, group)
        raise
