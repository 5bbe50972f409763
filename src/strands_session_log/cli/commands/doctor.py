"""`session-log doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ...server import Finding, masked
from ...session_log import ServerInspection, inspect_server
from ..connection import PATIENCE
from ..exit_codes import Code
from ..layout import hanging, put
from ..options import JsonOption, NamespaceOption, UrlOption
from ..target import Target
from ..terminal import console, count, one_line, plain, write_json

EPILOG = "Examples:\n\nsession-log doctor --url valkeys://example.com:6379\n\nsession-log doctor --json | jq .ok"
_MARKS = {"ok": Text("✓", "green"), "warn": Text("!", "yellow"), "error": Text("✗", "red")}


def doctor(
    ctx: typer.Context, as_json: JsonOption = False, url: UrlOption = None, namespace: NamespaceOption = None
) -> None:
    """Look at the server, and tell what to change for it to keep sessions well, and which roles your user can take.

    Works on servers that refuse to keep a log, too, and for users who may do no more than PING; it sees less then.
    """
    target = Target.of(ctx, url, namespace)
    found = inspect_server(target.url, target.namespace, retry_for=PATIENCE)
    if as_json:
        write_json(_json(target, found))
    else:
        _print(console(), target, found)
    if not found.ok:
        raise typer.Exit(Code.PROBLEMS)


def _json(target: Target, found: ServerInspection) -> dict[str, Any]:
    version = None if found.report.version is None else ".".join(map(str, found.report.version))
    return {
        "ok": found.ok,
        "url": masked(target.url),
        "namespace": target.namespace,
        "server": {**asdict(found.report), "version": version},
        "findings": [asdict(finding) for finding in found.findings],
    }


def _print(terminal: Console, target: Target, inspected: ServerInspection) -> None:
    put(terminal, Text.assemble((inspected.report.name, "bold"), (f"  {plain(masked(target.url))}", "dim")))
    put(terminal, Text())
    width = max(len(finding.subject) for finding in inspected.findings)
    for finding in inspected.findings:
        label = Text.assemble(_MARKS[finding.level], f"  {one_line(finding.subject):<{width}}  ")
        found = Text(one_line(finding.found))
        if finding.cure:
            found.append(f"\n→ {one_line(finding.cure)}", "bold")
        put(terminal, hanging(terminal, label, found))
    put(terminal, Text())
    put(terminal, Text(_verdict(inspected.findings)))


def _verdict(findings: Sequence[Finding]) -> str:
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warn" for finding in findings)
    counted = [count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    return f"{', '.join(counted)}." if counted else "Nothing need be changed."
