"""What a command is told to import: `module:factory`, of those who call it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .exit_codes import Code, fail


def loaded(option: str, named: str) -> Callable[..., Any]:
    """What an option names, from where the command was called; else the program ends."""
    from ..testing.pytest_file import FACTORY

    if not FACTORY.fullmatch(named):
        fail(Code.USAGE, f"{option} {named}: give MODULE:FACTORY, as in app.agents:make_agent")
    module, _, name = named.partition(":")
    # As `python -m` has it; the script that a command is has its own directory there.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:
        fail(Code.USAGE, f"{option} {named}: {module} cannot be imported: {type(error).__name__}: {error}")
    if not callable(found):
        fail(Code.USAGE, f"{option} {named}: {module} has no {name} that can be called")
    made: Callable[..., Any] = found
    return made


def called(option: str, named: str, *arguments: Any, **more: Any) -> Any:
    """What it makes; else the program ends."""
    factory = loaded(option, named)
    try:
        return factory(*arguments, **more)
    except Exception as error:
        fail(Code.PROBLEMS, f"{option} {named} raised {type(error).__name__}: {error}")
