"""What the commands of search have in common: where the index is, and the lines they print."""

from __future__ import annotations

from typing import Annotated

import typer

from strands_session_log.cli.api import Code, fail

VARIABLE = "SESSION_LOG_SEARCH_INDEX"

IndexOption = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="FILE|URL",
        envvar=VARIABLE,
        help="The search index: a file, or a postgresql:// URL.",
        show_default=False,
    ),
]


def path_of(index: str | None) -> str:
    """The file or the database that was named."""
    if not index:
        fail(Code.USAGE, f"there must be a search index: --index FILE|URL, or {VARIABLE}; `session-log index` makes it")
    return index


def printable(text: str) -> str:
    """Text for a terminal, on one line: what is no plain character is shown as an escape."""
    line = text.replace("\n", " ").replace("\t", " ")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
