"""The commands of `session-log`, put together."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer

from .. import __version__
from . import output, plugins
from .exit_codes import EPILOG, ended, failures_in_one_line
from .helping import Command, CommandGroup
from .options import ColorOption, KeysOption, NamespaceOption, UrlOption
from .points import PointCommand
from .terminal import Colors

_TAKE_POINTS = ("diff", "rewind")
"""Commands whose arguments may be relative times, which look like options."""

COMMANDS = (
    *("demo", "sessions", "why", "show", "replay", "tail", "events", "diff", "fork", "rewind", "testcase", "rerun"),
    *("verify", "anchor", "seal", "grep", "erase", "delete", "hold", "release", "holds", "prune"),
    *("import", "export", "doctor", "acl"),
)
GROUPS = ("retention", "subject", "groups", "parked", "keys")


class Commands(CommandGroup):
    """The commands in the order in which a newcomer meets them; their failures are told in one line.

    Each is loaded when it is called, or listed: a start costs what the one command needs.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, those of plugins, and our groups of commands."""
        return list(dict.fromkeys((*COMMANDS, *plugins.names(), *GROUPS)))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; when there is none, all are loaded, so that a similar one can be named."""
        if cmd_name not in self.commands and cmd_name in (*COMMANDS, *GROUPS):
            self.commands.update(_loaded(cmd_name))
        elif cmd_name not in self.commands:
            # No plugin takes the place of a command of ours.
            self.commands.update(_built(plugins.add_to))
            for name in (*COMMANDS, *GROUPS):
                self.commands.update(_loaded(name))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with failures_in_one_line():
            return super().invoke(ctx)

    def main(self, *args: Any, **more: Any) -> Any:
        """Parse what was typed and run it; end the program, with mistakes in the words of other failures."""
        sys.exit(ended(partial(super().main, *args, **{**more, "standalone_mode": False})))


app = typer.Typer(
    name="session-log",
    cls=Commands,
    epilog=EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"session-log {__version__}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    encryption_keys: KeysOption = None,
    color: ColorOption = Colors.AUTO,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Look at the sessions of Strands agents in a Valkey session log.

    --url, --namespace, --encryption-keys and --color may stand before or after the command.
    """


def _loaded(name: str) -> dict[str, Any]:
    module = import_module(f".commands.{name if name != 'import' else 'import_'}", __package__)
    if name in GROUPS:
        return _built(lambda part: part.add_typer(module.app, name=name, epilog=getattr(module, "EPILOG", None)))
    kind = PointCommand if name in _TAKE_POINTS else Command
    function = getattr(module, module.__name__.rpartition(".")[2])
    return _built(lambda part: part.command(name, epilog=module.EPILOG, cls=kind)(function))


def _built(add: Callable[[typer.Typer], object]) -> dict[str, Any]:
    """Commands as Typer builds them, by name."""
    part = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    add(part)
    return dict(typer.main.get_group(part).commands)


def run() -> None:
    """Run on the process's own arguments."""
    # A person at a terminal wants an answer or one line of error, not the library's log lines.
    logging.getLogger().addHandler(logging.NullHandler())
    if code := ended(output.prepare):
        sys.exit(code)
    app(prog_name="session-log")
