"""`session-log groups`, and what can be done with one."""

from __future__ import annotations

from typing import Annotated

import typer

from ... import Gap, GapResolution, SessionLog
from ...errors import GroupNotFoundError
from ..context import CommandCall
from ..helping import Command, CommandGroup
from ..options import GroupArgument, command
from ..prompts import YesOption, confirm, require_tty
from ..render.groups import GroupSummary, gap_json, group_json, missing, print_groups, summaries
from ..terminal import console, count, note, one_line, put, warn, write_json
from ..typed import typed

EPILOG = "Examples:\n\nsession-log groups --partitions\n\nsession-log groups --json | jq 'select(.lag > 1000)'"
app = typer.Typer(cls=CommandGroup, invoke_without_command=True)

PartitionsOption = Annotated[bool, typer.Option("--partitions", help="A line for each partition.")]


@app.callback(epilog=EPILOG)
@command
def groups(call: CommandCall, partitions: PartitionsOption = False) -> None:
    """List the consumer groups that follow all sessions, and how far they are.

    LAG is what a group was not given yet, PENDING what its consumers have in hand, OLDEST the age of the oldest.
    """
    if call.ctx.invoked_subcommand is not None:
        return
    with call.opened() as log:
        statuses = log.groups()
    found = [GroupSummary([one]) for one in statuses] if partitions else summaries(statuses)
    if call.as_json:
        for summary in found:
            write_json(group_json(summary, partitions))
    elif found:
        print_groups(console(), found, partitions)
        _print_hints(summaries(statuses), call.same_target_options)
    else:
        note(f"no consumer group reads namespace {log.namespace!r} yet; a Subscriber makes one")


def _print_hints(found: list[GroupSummary], options: str) -> None:
    for summary in found:
        group = one_line(summary.group)
        for problem in summary.problems:
            _hint(f"\n{group} is not read in {one_line(problem)}")
        if summary.gaps:
            _hint(f"\n{group} is missing {missing(summary.gaps)}, trimmed before delivery.")
            _hint(f"Read them from the sessions: {typed('groups catch-up', summary.group, options=options)}")
            _hint(f"Go on without them: {typed('groups skip', summary.group, options=options)}")
        if parked := summary.total("parked"):
            listed = typed("parked list", summary.group, options=options)
            _hint(f"\n{group} has parked {count(parked, 'event')}: {listed}")


def _hint(text: str) -> None:
    put(console(), text, "dim")


@app.command("catch-up", cls=Command, epilog="Example:\n\nsession-log groups catch-up audit")
@command
def catch_up(call: CommandCall, group: GroupArgument) -> None:
    """Let a group read from the sessions what was trimmed from the feed before it was delivered.

    Its consumers do it beside what is new. What they had already of that time may come again.
    """
    with call.opened() as log:
        gaps = _settle(log, group, "catch_up", call.as_json)
        if gaps and not call.as_json:
            typer.echo(one_line(f"{group} reads {missing(gaps)} from the sessions{when_read(log, group)}."))


@app.command(cls=Command, epilog="Example:\n\nsession-log groups skip audit")
@command
def skip(call: CommandCall, group: GroupArgument, yes: YesOption = False) -> None:
    """Let a group skip what was trimmed from the feed before it was delivered.

    The events themselves stay in their sessions.
    """
    require_tty(yes, f"skip what {group!r} is missing")
    with call.opened() as log:
        if not yes and (gaps := summary_of(log, group).gaps):
            confirm(f"Let {group} skip {missing(gaps)}?", "nothing was skipped")
        gaps = _settle(log, group, "skip", call.as_json)
    if gaps and not call.as_json:
        typer.echo(one_line(f"{group} skipped {missing(gaps)}."))


@app.command(
    cls=Command, epilog="Examples:\n\nsession-log groups delete audit\n\nsession-log groups delete audit --yes --json"
)
@command
def delete(call: CommandCall, group: GroupArgument, yes: YesOption = False) -> None:
    """Delete a group: where it stands, what it has in hand, and what it has parked; there is no way back.

    The sessions are not touched. Stop its consumers first: one that still reads makes the group anew.
    """
    require_tty(yes, f"delete group {group!r}")
    with call.opened() as log:
        summary = summary_of(log, group)
        if readers := summary.consumers:
            warn(f"{', '.join(readers)} read it within the last minute; one that still does makes it anew")
        if not yes:
            held = f"{count(summary.total('pending'), 'event')} in hand, {summary.total('parked'):,} parked"
            confirm(f"Delete group {group}, {held}, for good?", "nothing was deleted")
        log.delete_group(group)
    if call.as_json:
        write_json({"group": group, "deleted": True, "parked": summary.total("parked")})
    else:
        typer.echo(one_line(f"Deleted group {group}."))


def summary_of(log: SessionLog, group: str) -> GroupSummary:
    """How a group stands; `GroupNotFoundError` if there is none of this name."""
    found = {summary.group: summary for summary in summaries(log.groups())}
    if group not in found:
        raise GroupNotFoundError(group, list(found))
    return found[group]


def when_read(log: SessionLog, group: str) -> str:
    """What a group waits for before it does what it was told; nothing while it has a consumer."""
    is_read = any(one.active for one in log.groups() if one.group == group)
    return "" if is_read else " as soon as it has a consumer: none is running"


def _settle(log: SessionLog, group: str, how: GapResolution, as_json: bool) -> list[Gap]:
    gaps = log.settle_gaps(group, how)
    if as_json:
        for gap in gaps:
            write_json({"group": group, **gap_json(gap)})
    if not gaps:
        note(f"{group} is missing nothing")
    return gaps
