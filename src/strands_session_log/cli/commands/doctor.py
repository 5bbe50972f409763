"""`session-log doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ... import Finding, ServerInspection, inspect_server
from ..context import PATIENCE, CommandCall, Target
from ..exit_codes import Code
from ..options import command
from ..terminal import console, count, hanging, heading, one_line, plain, put, write_json

EPILOG = "Examples:\n\nsession-log doctor --url valkeys://example.com:6379\n\nsession-log doctor --json | jq .ok"
_MARKS = {"ok": Text("✓", "green"), "warn": Text("!", "yellow"), "error": Text("✗", "red")}


@command
def doctor(call: CommandCall) -> None:
    """Look at the server, and tell what to change for it to keep sessions well, and which roles your user can take.

    Works on servers that refuse to keep a log, too, and for users who may do no more than PING; it sees less then.
    """
    target = call.target
    found = inspect_server(target.url, target.namespace, retry_for=PATIENCE, encryption=target.keys or None)
    if call.as_json:
        write_json(_json(target, found))
    else:
        _print(console(), target, found)
    if not found.ok:
        raise typer.Exit(Code.PROBLEMS)


def _json(target: Target, found: ServerInspection) -> dict[str, Any]:
    version = None if found.report.version is None else ".".join(map(str, found.report.version))
    return {
        "ok": found.ok,
        "url": target.shown_url,
        "namespace": target.namespace,
        "server": {**asdict(found.report), "version": version},
        "findings": [asdict(finding) for finding in found.findings],
    }


def _print(terminal: Console, target: Target, inspected: ServerInspection) -> None:
    heading(terminal, inspected.report.name, Text(f"{plain(target.shown_url)}\n", "dim"))
    width = max(len(finding.subject) for finding in inspected.findings)
    for finding in inspected.findings:
        label = Text.assemble(_MARKS[finding.level], f"  {one_line(finding.subject):<{width}}  ")
        found = Text(one_line(finding.found))
        if finding.cure:
            found.append(f"\n→ {one_line(finding.cure)}", "bold")
        put(terminal, hanging(terminal, label, found))
    put(terminal, f"\n{_verdict(inspected.findings)}")


def _verdict(findings: Sequence[Finding]) -> str:
    levels = [finding.level for finding in findings]
    numbers = ((levels.count("error"), "error"), (levels.count("warn"), "warning"))
    counted = [count(number, noun) for number, noun in numbers if number]
    return f"{', '.join(counted)}." if counted else "Nothing to change."
