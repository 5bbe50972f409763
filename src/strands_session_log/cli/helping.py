"""Commands whose help names no types: `--json` takes no value, and what SESSION is, its text says."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _WithoutTypes:
    def get_params(self, ctx: Any) -> list[Any]:
        """What the command takes; help asks for it, too."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for one in params:
            if one.param_type_name == "argument" or getattr(one, "is_flag", False):
                one.display_type_rich = _no_type
        return params


def _no_type(ctx: Any) -> None:
    """In place of Typer's own."""


class Command(_WithoutTypes, TyperCommand):
    """A command."""


class CommandGroup(_WithoutTypes, TyperGroup):
    """Commands under one name."""
