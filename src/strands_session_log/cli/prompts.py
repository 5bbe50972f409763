"""Asking before what cannot simply be taken back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .exit_codes import Code, fail
from .terminal import one_line

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def require_tty(yes: bool, what: str) -> None:
    """End unless there is a terminal to ask on, or no need to ask."""
    if not yes and not sys.stdin.isatty():
        fail(Code.USAGE, f"there is no terminal to ask whether to {what}: pass --yes")


def confirm(question: str, otherwise: str) -> None:
    """Ask, and end, saying `otherwise`, unless the answer is yes."""
    try:
        agreed = typer.confirm(one_line(question), err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if not agreed:
        fail(Code.PROBLEMS, otherwise)
