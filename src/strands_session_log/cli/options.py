"""The arguments and options commands have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ..session_log import DEFAULT_NAMESPACE
from .completion import session_ids

DEFAULT_URL = "valkey://localhost:6379"
_PANEL = "Server"

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="The session's id.", autocompletion=session_ids, show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only this agent's.", show_default=False)
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"Where the server is. Left out: SESSION_LOG_URL, or {DEFAULT_URL}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help=f"First part of every key. Left out: SESSION_LOG_NAMESPACE, or {DEFAULT_NAMESPACE}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
