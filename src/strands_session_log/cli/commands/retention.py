"""`session-log retention`: policies, times to live, and the sweep that sees to both."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import typer

from ... import RetentionPolicies, SessionLog, parse_duration
from ...concurrency import stopped_by_signals
from ...errors import ServerUnavailableError
from ..context import CommandCall
from ..helping import Command, CommandGroup
from ..options import ByOption, DryRunOption, SessionArgument, argument, command, option
from ..prompts import YesOption, confirm, require_tty
from ..render.retention import StepPrinter, print_report
from ..terminal import count, local, note, one_line, write_json

EPILOG = "Examples:\n\nsession-log retention apply policies.toml --dry-run\n\nsession-log retention sweep --every 1h"
app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

_BY = "session-log retention"


def _duration(given: Any) -> timedelta:
    found = parse_duration(str(given))
    if not found:
        raise typer.BadParameter(f"{one_line(given, 30)!r} is no duration: give 30m, 12h or 90d")
    return found


FileArgument = Annotated[str, argument("FILE", "The policies: TOML, or JSON if its name ends so.")]
PoliciesOption = Annotated[str | None, option("--policies", "FILE", "Apply these, too.")]
EveryOption = Annotated[
    timedelta | None,
    option("--every", "DURATION", "Go on for ever, once in so long; without it once.", parser=_duration),
]
TtlArgument = Annotated[str | None, argument("DURATION", "How long: 30d, or never. Left out, what there is is told.")]


@app.callback(epilog=EPILOG)
def retention() -> None:
    """Say how long sessions stay, and delete those whose time is over."""


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log retention apply policies.toml --dry-run\n\n"
    "session-log retention apply policies.toml --yes --json",
)
@command
def apply(
    call: CommandCall, file: FileArgument, by: ByOption = _BY, dry_run: DryRunOption = False, yes: YesOption = False
) -> None:
    """Delete what policies in a file say is too old; there is no way back.

    A session falls under the first policy whose labels it has, unless it has a time to live of its own. Held ones stay.
    """
    policies = RetentionPolicies.read(file)
    require_tty(yes or dry_run, "delete sessions")
    with call.opened() as log:
        if not (yes or dry_run):
            planned = log.retention.apply(policies, dry_run=True)
            if planned.due:
                confirm(f"Delete {count(planned.due, 'session')} for good?", "nothing was deleted")
        report = log.retention.apply(policies, by=by, dry_run=dry_run, told=StepPrinter(call.as_json))
    print_report(report, call.as_json, dry_run)


@app.command(
    cls=Command,
    epilog="Examples:\n\nsession-log retention sweep --dry-run\n\n"
    "session-log retention sweep --every 1h --policies policies.toml --json",
)
@command
def sweep(
    call: CommandCall,
    every: EveryOption = None,
    policies: PoliciesOption = None,
    by: ByOption = _BY,
    dry_run: DryRunOption = False,
) -> None:
    """Delete the sessions whose time to live is over, once, or again and again as a service.

    Several may run at once. A file of policies is read anew each time; a mistake in it ends the first run, and is told
    of later ones.
    """
    if policies is not None:
        RetentionPolicies.read(policies)
    with call.opened() as log:
        run = partial(_run, call, log, policies, by, dry_run)
        if every is None:
            run()
            return
        with stopped_by_signals() as stop:
            run()
            while not stop.wait(every.total_seconds()):
                try:
                    run()
                except (ServerUnavailableError, ValueError) as error:
                    # It is tried again the next time.
                    note(error)


def _run(call: CommandCall, log: SessionLog, policies: str | None, by: str, dry_run: bool) -> None:
    printer = StepPrinter(call.as_json)
    report = log.retention.sweep(by=by, dry_run=dry_run, told=printer)
    print_report(report, call.as_json, dry_run)
    if policies is not None:
        report = log.retention.apply(policies, by=by, dry_run=dry_run, told=printer)
        print_report(report, call.as_json, dry_run)


@app.command(
    cls=Command, epilog="Examples:\n\nsession-log retention ttl s-42 30d\n\nsession-log retention ttl s-42 never"
)
@command
def ttl(call: CommandCall, session: SessionArgument, duration: TtlArgument = None) -> None:
    """Give a session a time to live: without an event for so long, the next sweep deletes it."""
    with call.opened() as log:
        due = None
        if duration is not None:
            due = log.retention.set_ttl(session, None if duration == "never" else duration)
        found = log.retention.ttl(session)
    if call.as_json:
        seconds = found.total_seconds() if found else None
        write_json({"session_id": session, "ttl_seconds": seconds, "due_at": due.isoformat() if due else None})
    else:
        told = f"is deleted after {_shown(found)} without an event" if found else "has no time to live of its own"
        typer.echo(one_line(f"{session} {told}{f', as things stand at {local(due)}' if due else ''}."))


def _shown(duration: timedelta) -> str:
    return str(duration).removesuffix(", 0:00:00")


def _lasting(duration: timedelta) -> str:
    days = duration / timedelta(days=1)
    return count(round(days), "day") if days >= 1 and days == round(days) else f"{duration} hours"
