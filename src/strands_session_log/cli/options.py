"""The arguments and options that commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from .. import DEFAULT_NAMESPACE
from .completion import group_names, parked_ids, session_ids
from .context import DEFAULT_URL, KEYS_VARIABLE, NAMESPACE_VARIABLE, URL_VARIABLE, CommandCall
from .terminal import Colors, choose_colors, one_line

PANEL = "Server"
_LONGEST = 30


def argument(metavar: str, help_: str, completed_by: Callable[..., list[str]] | None = None, **more: Any) -> Any:
    """An argument that has no default worth showing."""
    return typer.Argument(metavar=metavar, help=help_, autocompletion=completed_by, show_default=False, **more)


def option(name: str, metavar: str | None, help_: str, **more: Any) -> Any:
    """An option that has no default worth showing."""
    return typer.Option(name, metavar=metavar, help=help_, show_default=False, **more)


def whole(least: int, most: int) -> Callable[[Any], int]:
    """Understands whole numbers within bounds, and names them in its errors."""

    def parsed(given: Any) -> int:
        text = str(given).strip()
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
            raise typer.BadParameter(f"{one_line(text, _LONGEST)!r} is no whole number from {least} to {most:,}")
        return int(text)

    return parsed


SessionArgument = Annotated[str, argument("SESSION", "The session's id.", session_ids)]
GroupArgument = Annotated[str, argument("GROUP", "The group's name.", group_names)]
ParkedArgument = Annotated[str, argument("PARKED_ID", "Its name, as `list` prints it.", parked_ids)]
ManyParkedArgument = Annotated[
    list[str] | None, argument("PARKED_ID", "Their names, as `list` prints them.", parked_ids)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing; tell what would change.")]
UnansweredOption = Annotated[
    bool,
    typer.Option(
        "--allow-unanswered", help="Even if an agent would wait for the result of a tool call, which no model takes."
    ),
]
ByOption = Annotated[str, option("--by", "NAME", "Who does it, for the record.")]
ReasonOption = Annotated[str, option("--reason", "TEXT", "Why, for the record.")]
SaidByOption = Annotated[str, option("--by", "NAME", "Who does it, for the record.")]
SaidReasonOption = Annotated[str, option("--reason", "TEXT", "Why, for the record.")]
AfterOption = Annotated[str | None, option("--after", "POINT", "Only what follows this point.")]
UntilOption = Annotated[str | None, option("--until", "POINT", "Only up to and with this point.")]
AtOption = Annotated[str | None, option("--at", "POINT", "Only up to and with this point; else all of it.")]
AgentOption = Annotated[str | None, option("--agent", "AGENT", "Only this agent's.")]
TypesOption = Annotated[
    list[str] | None, option("--type", "TYPE", "Only this type, or message.* for a family; repeatable.")
]
UrlOption = Annotated[
    str | None,
    option("--url", "URL", f"Where the server is; else {URL_VARIABLE}, else {DEFAULT_URL}.", rich_help_panel=PANEL),
]
NamespaceOption = Annotated[
    str | None,
    option(
        "--namespace",
        "NAME",
        f"First part of every key; else {NAMESPACE_VARIABLE}, else {DEFAULT_NAMESPACE}.",
        rich_help_panel=PANEL,
    ),
]
KeysOption = Annotated[
    str | None,
    option(
        "--encryption-keys",
        "DIR",
        f"Key store for encrypted content; else {KEYS_VARIABLE}, else none.",
        rich_help_panel=PANEL,
    ),
]
ColorOption = Annotated[
    Colors | None,
    option(
        "--color",
        "WHEN",
        "Colours: always, never, or auto: on a terminal, or as NO_COLOR and FORCE_COLOR say.",
        parser=choose_colors,
    ),
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--color`, `--json`, and what says which log it is about: the options of `Server`."""
    _, *own = signature(function, eval_str=True).parameters.values()

    @wraps(function)
    def called(
        ctx: typer.Context,
        as_json: bool,
        color: object,
        url: str | None,
        namespace: str | None,
        encryption_keys: str | None,
        **given: Any,
    ) -> None:
        function(CommandCall(ctx, url, namespace, as_json), **given)

    shared = (
        *(("as_json", JsonOption, False), ("color", ColorOption, None)),
        *(("url", UrlOption, None), ("namespace", NamespaceOption, None), ("encryption_keys", KeysOption, None)),
    )
    kind = Parameter.POSITIONAL_OR_KEYWORD
    last = [Parameter(name, kind, default=default, annotation=of) for name, of, default in shared]
    parameters = [Parameter("ctx", kind, annotation=typer.Context), *own, *last]
    called.__signature__ = signature(function).replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
