"""The arguments and options commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from ..session_log import DEFAULT_NAMESPACE
from .completion import group_names, session_ids
from .target import DEFAULT_URL, NAMESPACE_VARIABLE, URL_VARIABLE

PANEL = "Server"

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="The session's id.", autocompletion=session_ids, show_default=False)
]
GroupArgument = Annotated[
    str, typer.Argument(metavar="GROUP", help="The group's name.", autocompletion=group_names, show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
UnansweredOption = Annotated[
    bool,
    typer.Option(
        "--allow-unanswered", help="Even if an agent would wait for the result of a tool call, which no model takes."
    ),
]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it, for the record.", show_default=False)]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"Where the server is; else {URL_VARIABLE}, else {DEFAULT_URL}.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help=f"First part of every key; else {NAMESPACE_VARIABLE}, else {DEFAULT_NAMESPACE}.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
