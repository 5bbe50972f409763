"""The page `man session-log`: `make man` writes it anew from what the commands say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from rich.text import Text
from typer.main import get_command

from strands_session_log.cli.app import app
from support.command_line import commands_in

MANUAL = Path(__file__).parents[2] / "docs" / "man" / "session-log.1"
_EVERYWHERE = {"--url", "--namespace", "--encryption-keys", "--color", "--help"}
"""Options of every command, which stand once, at the top."""
_SEE = "https://github.com/strands-session-log/strands-session-log/tree/main/docs"


def manual() -> str:
    """The page, in the macros of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    program: Any = get_command(app)
    yield r".\" Written by `make man` from the help of the commands."
    yield '.TH SESSION-LOG 1 "" strands-session-log "User Commands"'
    yield from (".SH NAME", r"session-log \- look at the sessions of Strands agents in a Valkey session log")
    yield from (".SH SYNOPSIS", r".B session-log", r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENTS\fR]")
    yield from (".SH DESCRIPTION", *_paragraphs(program.help))
    yield from (".SH OPTIONS", *_options(program, set()))
    yield ".SH COMMANDS"
    for name, command in commands_in(program):
        yield from _command(name, command)
    yield from (".SH EXIT STATUS", *_exit_codes(_plain(program.epilog)))
    yield from (".SH SEE ALSO", _escaped(_SEE))


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield f'.SS "session\\-log {_escaped(name)}{"".join(f" {_escaped(_metavar(one))}" for one in arguments)}"'
    yield from _paragraphs(command.help)
    yield from _options(command, _EVERYWHERE)
    if command.epilog:
        yield from _examples(_plain(command.epilog))


def _options(command: Any, without: set[str]) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name == "option" and not one.hidden and not without & set(one.opts):
            names = ", ".join(rf"\fB{_escaped(name)}\fR" for name in (*one.opts, *one.secondary_opts))
            value = "" if one.is_flag else rf" \fI{_escaped(_metavar(one))}\fR"
            yield from (".TP", names + value, *_paragraphs(one.help or "", between=".IP"))
            if one.envvar:
                yield _escaped(f"From the environment: {one.envvar}.")


def _metavar(parameter: Any) -> str:
    """What stands for a value: as it was named, its choices, or else the name of the option."""
    choices = [str(one.value) for one in type(parameter.default)] if isinstance(parameter.default, Enum) else []
    return parameter.metavar or "|".join(choices) or str(parameter.name).upper()


def _examples(epilog: str) -> Iterator[str]:
    """What stands under "Examples:" as it is typed, and all else as it is."""
    before, _, examples = epilog.partition("Examples:")
    yield from (".PP", *_paragraphs(before)) if before.strip() else ()
    if examples:
        yield from (".PP", "Examples:", ".RS 4", ".nf")
        yield from (_escaped(line.strip()) for line in examples.splitlines() if line.strip())
        yield from (".fi", ".RE")


def _exit_codes(epilog: str) -> Iterator[str]:
    for one in epilog.removeprefix("Exit codes: ").rstrip(".").split("; "):
        number, _, meaning = one.partition(" ")
        yield from (".TP", rf"\fB{number}\fR", _escaped(meaning))


def _paragraphs(help_: str, between: str = ".PP") -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", _plain(help_).strip())):
        yield from (between,) if number else ()
        yield _escaped(" ".join(paragraph.split()))


def _plain(markup: str) -> str:
    return Text.from_markup(markup).plain


def _escaped(text: str) -> str:
    """Text that no macro or escape begins in."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    MANUAL.write_text(manual())
