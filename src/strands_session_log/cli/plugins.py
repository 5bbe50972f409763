"""Commands that come from elsewhere: of installed packages with an entry point in `strands_session_log.commands`.

An entry point names a module like those in `commands`: `command` is a function with Typer's annotations, which give the
command its options and its help; `EPILOG` is optional. The module is imported when the command
is called, and when all are listed; what is heavy, or may not be installed, belongs into the function.
`strands_session_log.cli.api` has what it needs.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

import typer

from ..errors import MissingExtraError
from .exit_codes import Code, fail
from .helping import Command

logger = logging.getLogger(__name__)

GROUP = "strands_session_log.commands"
_ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True}


class Plugin(NamedTuple):
    """A command from elsewhere: its name, what carries it out, and further arguments of `Typer.command`."""

    name: str
    function: Callable[..., Any]
    options: dict[str, Any]


def names() -> list[str]:
    """What the commands of installed plugins are called."""
    return [entry_point.name for entry_point in _installed()]


def add_to(app: typer.Typer) -> None:
    """Add the commands of installed plugins.

    One that cannot be loaded says so when it is called, and breaks no other.
    """
    for entry_point in _installed():
        plugin = _loaded(entry_point)
        app.command(plugin.name, cls=Command, **plugin.options)(plugin.function)


@cache
def _installed() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda one: one.name)


def _loaded(entry_point: EntryPoint) -> Plugin:
    try:
        module = entry_point.load()
        plugin = Plugin(entry_point.name, module.command, {"epilog": getattr(module, "EPILOG", None)})
        _build(plugin)
    except Exception as error:
        logger.debug("plugin=<%s> | cannot be loaded", entry_point.value, exc_info=True)
        return _apology(entry_point, error)
    return plugin


def _build(plugin: Plugin) -> None:
    """Typer looks at a function only when all commands are built: what is wrong with one would cost them all."""
    if inspect.iscoroutinefunction(plugin.function):
        raise TypeError("`command` is a coroutine function, which Typer does not await; call asyncio.run in it")
    alone = typer.Typer()
    alone.command(plugin.name, **plugin.options)(plugin.function)
    typer.main.get_command(alone)


def _apology(entry_point: EntryPoint, error: Exception) -> Plugin:
    package = entry_point.dist.name if entry_point.dist else entry_point.value
    reason = f"the command {entry_point.name} of {package} cannot be loaded: {type(error).__name__}: {error}"
    code, message = (Code.USAGE, str(error)) if isinstance(error, MissingExtraError) else (Code.PROBLEMS, reason)

    def apologize() -> None:
        fail(code, message)

    return Plugin(entry_point.name, apologize, {"help": message, "context_settings": _ANYTHING})
