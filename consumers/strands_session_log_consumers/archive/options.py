"""What the archive's commands have in common: where the archive is, durations, and the lines they print."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from strands_session_log.cli.api import Code, fail

from .session_archive import SessionArchive

VARIABLE = "SESSION_LOG_ARCHIVE"
PANEL = "Archive"
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LONGEST = 100 * 366 * 86_400

ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="URL",
        envvar=VARIABLE,
        help="The archive: a directory, or s3://bucket/prefix and what else fsspec takes.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
LockOption = Annotated[
    bool,
    typer.Option(
        "--object-lock",
        help="The store lets nobody remove or replace anything: archive only what is encrypted.",
        rich_help_panel=PANEL,
    ),
]


def opened_archive(url: str | None, object_lock: bool = False) -> SessionArchive:
    """The archive that was named."""
    if not url:
        fail(Code.USAGE, f"there must be an archive: --archive, or {VARIABLE}")
    return SessionArchive(url, object_lock=object_lock or None)


def seconds(text: str) -> float:
    """A duration such as `7d`, `12h` or `0s`, in seconds."""
    found = _DURATION.fullmatch(str(text).strip())
    duration = float(found[1]) * _SECONDS[found[2]] if found else -1.0
    if not 0 <= duration <= _LONGEST:
        raise typer.BadParameter(f"{text!r} is no duration: give 7d, 12h, 30m or 0s; units are s, m, h, d, w")
    return duration


def named(values: list[str] | None) -> dict[str, str]:
    """Labels, from `name=value`."""
    found = dict[str, str]()
    for one in values or ():
        name, equals, value = one.partition("=")
        if not (name and equals):
            fail(Code.USAGE, f"--label {one!r} must look like name=value")
        found[name] = value
    return found


def put(text: str) -> None:
    """A line for people: what is no plain character is shown as an escape."""
    typer.echo("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text))


def put_json(found: Mapping[str, Any]) -> None:
    """A line for programs."""
    typer.echo(json.dumps(found))


def sized(count: int) -> str:
    """How many bytes that is, for people."""
    value, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1_000 or unit == "TB":
            break
        value /= 1_000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
