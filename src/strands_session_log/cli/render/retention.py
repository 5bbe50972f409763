"""What becomes of sessions whose time is over, line by line, and in all."""

from __future__ import annotations

from rich.text import Text

from ... import RetentionReport, RetentionStep
from ..terminal import console, count, local, note, one_line, plain, put, write_json

_STYLES = {"deleted": "", "due": "", "held": "yellow", "moved": "dim"}
_WORDS = {"deleted": "deleted", "due": "would go", "held": "held, stays", "moved": "active again, stays"}


class StepPrinter:
    """Prints each session as soon as it is known what becomes of it.

    Args:
        as_json: One line of JSON each.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json, self._terminal = as_json, console()

    def __call__(self, step: RetentionStep) -> None:
        """One more."""
        if self._as_json:
            write_json(step.to_json())
            return
        last = f"last active {local(step.last_event_at)}" if step.last_event_at else ""
        told = ", ".join(filter(None, (last, one_line(step.why))))
        line = Text.assemble((plain(step.session_id), "cyan"), f"  {_WORDS[step.outcome]}  ", (told, "dim"))
        put(self._terminal, line, _STYLES[step.outcome])


def print_report(report: RetentionReport, as_json: bool, dry_run: bool) -> None:
    """Print what has become of all: with JSON on standard error, so that each line of output is about a session."""
    going = f"{count(report.due, 'session')} would go" if dry_run else f"deleted {count(report.deleted, 'session')}"
    others = ((report.held, "held"), (report.moved, "active again meanwhile"))
    left = ", ".join(f"{number:,} {word}" for number, word in others if number)
    told = f"{going} of {report.looked_at:,}{f'; left: {left}' if left else ''}"
    if as_json:
        note(told)
    else:
        put(console(), told[:1].upper() + told[1:] + ".", "bold")
