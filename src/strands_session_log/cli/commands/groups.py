"""`session-log groups`, and what can be done with one."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer
from rich.text import Text

from ...session_log import SessionLog
from ...subscription import Gap, GapResolution
from ..connection import opened
from ..groups import GroupSummary, by_whom, gap_as_json, missing, print_standings, standing_of, standings
from ..groups import as_json as json_of
from ..layout import put
from ..options import GroupArgument, JsonOption, NamespaceOption, UrlOption
from ..prompts import YesOption, confirm, somebody_there
from ..target import again
from ..terminal import console, count, one_line, plain, write_json

EPILOG = "Examples:\n\nsession-log groups --partitions\n\nsession-log groups --json | jq 'select(.lag > 1000)'"
app = typer.Typer(invoke_without_command=True)

PartitionsOption = Annotated[bool, typer.Option("--partitions", help="A line for each partition.")]


@app.callback(epilog=EPILOG)
def groups(
    ctx: typer.Context,
    partitions: PartitionsOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Tell how the consumer groups stand that follow all sessions.

    LAG is what a group was not given yet, PENDING what its consumers have in hand, OLDEST the age of the oldest.
    """
    if ctx.invoked_subcommand is not None:
        return
    with opened(ctx, url, namespace) as log:
        statuses = log.groups()
    found = [GroupSummary(one.group, [one]) for one in statuses] if partitions else standings(statuses)
    if as_json:
        for standing in found:
            write_json(json_of(standing, partitions))
    elif found:
        print_standings(console(), found, partitions)
        _print_hints(standings(statuses), again(ctx, url, namespace))
    else:
        terminal = console(stderr=True)
        put(terminal, _hint(f"No consumer group reads namespace {plain(log.namespace)!r} yet; a Subscriber makes one."))


def _hint(text: str) -> Text:
    return Text(text, "dim")


def _print_hints(found: list[GroupSummary], options: str) -> None:
    for standing in found:
        name = shlex.quote(one_line(standing.group)) + options
        for problem in standing.problems:
            put(console(), _hint(f"\n{one_line(standing.group)} is not read in {one_line(problem)}"))
        if standing.gaps:
            lacks = f"{one_line(standing.group)} lacks {missing(standing.gaps)}, gone from the feed before it had them"
            put(console(), _hint(f"\n{lacks}. From the sessions: session-log groups catch-up {name}"))
            put(console(), _hint(f"Without them: session-log groups skip {name}"))
        if parked := standing.total("parked"):
            put(console(), _hint(f"\n{count(parked, 'event')} given up: session-log parked list {name}"))


@app.command("catch-up", epilog="Example:\n\nsession-log groups catch-up audit")
def catch_up(
    ctx: typer.Context,
    group: GroupArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Let a group read from the sessions what is gone from the feed before it was delivered.

    Its consumers do it beside what is new. What they had already of that time may come again.
    """
    with opened(ctx, url, namespace) as log:
        gaps = _settled(log, group, "catch_up", as_json)
        if gaps and not as_json:
            typer.echo(one_line(f"{group} reads {missing(gaps)} from the sessions{by_whom(log, group)}."))


@app.command(epilog="Example:\n\nsession-log groups skip audit")
def skip(
    ctx: typer.Context,
    group: GroupArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Let a group do without what is gone from the feed before it was delivered.

    The events themselves stay in their sessions.
    """
    somebody_there(yes, f"skip what {group!r} lacks")
    with opened(ctx, url, namespace) as log:
        if not yes and (lacking := standing_of(log, group).gaps):
            confirm(f"Let {group} do without {missing(lacking)}?", "nothing was skipped")
        gaps = _settled(log, group, "skip", as_json)
    if gaps and not as_json:
        typer.echo(one_line(f"{group} does without {missing(gaps)}."))


@app.command(epilog="Examples:\n\nsession-log groups delete audit\n\nsession-log groups delete audit --yes --json")
def delete(
    ctx: typer.Context,
    group: GroupArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Delete a group: where it stands, what it has in hand, and what it has parked; there is no way back.

    The sessions are not touched. Stop its consumers first: one that still reads makes the group anew.
    """
    somebody_there(yes, f"delete group {group!r}")
    with opened(ctx, url, namespace) as log:
        standing = standing_of(log, group)
        if readers := standing.consumers:
            warning = f"{', '.join(readers)} read it within the last minute; one that still does makes it anew"
            typer.echo(f"session-log: warning: {one_line(warning)}", err=True)
        if not yes:
            held = f"{count(standing.total('pending'), 'event')} in hand, {standing.total('parked'):,} parked"
            confirm(f"Delete group {group}, {held}, for good?", "nothing was deleted")
        log.delete_group(group)
    if as_json:
        write_json({"group": group, "deleted": True, "parked": standing.total("parked")})
    else:
        typer.echo(one_line(f"Deleted group {group}."))


def _settled(log: SessionLog, group: str, how: GapResolution, as_json: bool) -> list[Gap]:
    gaps = log.settle_gaps(group, how)
    if as_json:
        for gap in gaps:
            write_json({"group": group, **gap_as_json(gap)})
    if not gaps:
        typer.echo(one_line(f"{group} lacks nothing."), err=True)
    return gaps
