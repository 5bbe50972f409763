"""`session-log doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from ...keys import Keyspace
from ...scripts.roles import ROLES
from ...server import Finding, ServerReport, Store, advice, masked
from ...session_log import KEY_FILE_VARIABLE, authenticator, keys_for
from ..connection import PATIENCE, client_of
from ..exit_codes import Code
from ..layout import hanging, put
from ..options import JsonOption, NamespaceOption, UrlOption
from ..target import Target
from ..terminal import console, count, one_line, plain, write_json

EPILOG = "Examples:\n\nsession-log doctor --url valkeys://example.com:6379\n\nsession-log doctor --json | jq .ok"
_ROLES = {role.name: role.commands for role in ROLES}
_MARKS = {"ok": Text("✓", "green"), "warn": Text("!", "yellow"), "error": Text("✗", "red")}


def doctor(
    ctx: typer.Context, as_json: JsonOption = False, url: UrlOption = None, namespace: NamespaceOption = None
) -> None:
    """Look at the server, and tell what to change for it to keep sessions well, and which roles your user can take.

    Works on servers that refuse to keep a log, too, and for users who may do no more than PING; it sees less then.
    """
    target = Target.of(ctx, url, namespace)
    with client_of(target) as client:
        report = Store(client, Keyspace(target.namespace, 1), PATIENCE).report(_ROLES)
    findings = [*advice(report), _snapshots(target)]
    ill = any(finding.level == "error" for finding in findings)
    if as_json:
        write_json(_json(target, report, findings, not ill))
    else:
        _print(console(), target, report, findings)
    if ill:
        raise typer.Exit(Code.PROBLEMS)


def _snapshots(target: Target) -> Finding:
    """Whether what is read faster than by folding the log could be forged."""
    if authenticator(keys_for(target.url)).has_key:
        return Finding("ok", "snapshots", "authenticated: what nobody with a snapshot key has written is not read")
    found = (
        f"not authenticated: a forged one is read until verify finds it; {KEY_FILE_VARIABLE} names no file with keys"
    )
    return Finding("ok", "snapshots", found)


def _json(target: Target, report: ServerReport, findings: list[Finding], ok: bool) -> dict[str, Any]:
    version = None if report.version is None else ".".join(map(str, report.version))
    return {
        "ok": ok,
        "url": masked(target.url),
        "namespace": target.namespace,
        "server": {**asdict(report), "version": version},
        "findings": [asdict(finding) for finding in findings],
    }


def _print(terminal: Console, target: Target, report: ServerReport, findings: list[Finding]) -> None:
    put(terminal, Text.assemble((report.name, "bold"), (f"  {plain(masked(target.url))}", "dim")))
    put(terminal, Text())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        label = Text.assemble(_MARKS[finding.level], f"  {one_line(finding.subject):<{width}}  ")
        found = Text(one_line(finding.found))
        if finding.cure:
            found.append(f"\n→ {one_line(finding.cure)}", "bold")
        put(terminal, hanging(terminal, label, found))
    put(terminal, Text())
    put(terminal, Text(_verdict(findings)))


def _verdict(findings: list[Finding]) -> str:
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warn" for finding in findings)
    counted = [count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    return f"{', '.join(counted)}." if counted else "Nothing need be changed."
