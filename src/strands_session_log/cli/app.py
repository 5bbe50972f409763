"""The commands of `session-log`, put together."""

from __future__ import annotations

import logging
import sys
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from . import output, plugins
from .commands import groups, parked
from .exit_codes import EPILOG, ended, failures_in_one_line
from .helping import CommandGroup
from .options import NamespaceOption, UrlOption
from .points import PointCommand


class Commands(CommandGroup):
    """The commands in the order in which a newcomer meets them; their failures are told in one line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The order they were added in."""
        return list(self.commands)

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
        try:
            number = version("strands-session-log")
        except PackageNotFoundError:
            number = "(not installed)"
        typer.echo(f"session-log {number}")
        raise typer.Exit


@app.callback()
def _before_every_command(
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Look at the sessions of Strands agents in a Valkey session log.

    --url and --namespace may stand before or after the command.
    """


for name in (
    *("demo", "sessions", "why", "show", "replay", "tail", "events", "diff", "fork", "rewind"),
    *("verify", "anchor", "delete", "import_", "export", "doctor"),
):
    module = import_module(f".commands.{name}", __package__)
    app.command(name.rstrip("_"), epilog=module.EPILOG, cls=PointCommand)(getattr(module, name))
app.add_typer(groups.app, name="groups", epilog=groups.EPILOG)
app.add_typer(parked.app, name="parked")
plugins.add_to(app)


def run() -> None:
    """Run on the process's own arguments."""
    # A person at a terminal wants an answer or one line of error, not the library's log lines.
    logging.getLogger().addHandler(logging.NullHandler())
    if code := ended(output.prepare):
        sys.exit(code)
    app(prog_name="session-log")
