"""Commands for people to type or paste: whatever stands in an id, a shell and the command line take it for that id."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .terminal import plain


def word(text: str) -> str:
    """Text as one word of a shell; what would not be seen is an escape that Bash and Zsh know."""
    if plain(text) == text:
        return shlex.quote(text)
    return "$'" + plain(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def typed(name: str, *arguments: str, options: str = "") -> str:
    """A command of `session-log`; an argument that begins with a dash is no option.

    Args:
        name: Of the command.
        arguments: What it is about.
        options: As they are typed, each with a blank before it.
    """
    return command_line(f"session-log {name}", arguments, options)


def command_line(command: str, arguments: Sequence[str], options: str) -> str:
    """The same of a command with the name of its program."""
    words = "".join(f" {word(one)}" for one in arguments)
    is_like_option = any(one.startswith("-") for one in arguments)
    return f"{command}{options} --{words}" if is_like_option else f"{command}{words}{options}"
