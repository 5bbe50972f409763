"""`session-log prune`."""

from __future__ import annotations

from typing import Annotated

from ..context import CommandCall
from ..exit_codes import Code, fail
from ..options import ByOption, DryRunOption, ReasonOption, command, option, whole
from ..prompts import YesOption, confirm, require_tty
from ..render.retention import StepPrinter, print_report
from ..terminal import count

EPILOG = (
    "Examples:\n\nsession-log prune --older-than 90d --keep-last 1000 --dry-run\n\n"
    "session-log prune --older-than 30d --label env=test --yes\n\n"
    "session-log prune --older-than 90d --keep-last 10 --per customer --label 'customer=*' --yes --json"
)
_LABEL = "Only those with this label, * for any value; repeatable."

OlderThanOption = Annotated[
    str | None, option("--older-than", "DURATION", "Only those without an event for so long: 90d.")
]
KeepLastOption = Annotated[
    int,
    option(
        "--keep-last", "N", "Never the N that were active last, of those that the labels name.", parser=whole(0, 10**9)
    ),
]
LabelOption = Annotated[list[str] | None, option("--label", "NAME=VALUE", _LABEL)]
PerOption = Annotated[str | None, option("--per", "NAME", "Keep the last N for each value of this label.")]


@command
def prune(
    call: CommandCall,
    older_than: OlderThanOption = None,
    keep_last: KeepLastOption = 0,
    label: LabelOption = None,
    per: PerOption = None,
    reason: ReasonOption = "",
    by: ByOption = "session-log prune",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Delete sessions that are old, and not among the last; there is no way back.

    With both, a session goes only if it is older and not among the last N. Held sessions stay, and so does one to which
    something happens meanwhile. Each leaves a tombstone with the rule.
    """
    labels = dict(map(name_and_value, label or ()))
    require_tty(yes or dry_run, "delete sessions")
    with call.opened() as log:
        rule = {"older_than": older_than, "keep_last": keep_last, "labels": labels, "per": per}
        if not (yes or dry_run):
            planned = log.retention.prune(**rule, dry_run=True)  # type: ignore[arg-type]
            if planned.due:
                confirm(f"Delete {count(planned.due, 'session')} for good?", "nothing was deleted")
        printer = StepPrinter(call.as_json)
        report = log.retention.prune(**rule, reason=reason, by=by, dry_run=dry_run, told=printer)  # type: ignore[arg-type]
    print_report(report, call.as_json, dry_run)


def name_and_value(label: str) -> tuple[str, str]:
    """What `--label NAME=VALUE` says."""
    name, equals, value = label.partition("=")
    if not (name and equals):
        fail(Code.USAGE, f"--label {label!r} must look like name=value")
    return name, value
