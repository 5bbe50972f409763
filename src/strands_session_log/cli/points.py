"""Points in time on the command line, where `-5m` is one and no option."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import EventId
from ..errors import InvalidPointError
from .helping import Command

if TYPE_CHECKING:
    from .. import SessionLog


class PointCommand(Command):
    """A command whose arguments may be relative times."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed; what begins with a minus and a digit is no option."""
        return super().parse_args(ctx, self._shielded(args))

    def _shielded(self, args: list[str]) -> list[str]:
        """With a blank before every relative time that no option takes as its value: points may have blanks around."""
        options = args[: args.index("--")] if "--" in args else args
        before = ["", *options]
        shielded = [
            f" {arg}" if arg[:1] == "-" and arg[1:2].isdigit() and last not in self._taking_values() else arg
            for last, arg in zip(before, options, strict=False)
        ]
        return shielded + args[len(options) :]

    def _taking_values(self) -> set[str]:
        options = (found for found in self.params if found.param_type_name == "option")
        return {name for found in options if not getattr(found, "is_flag", False) for name in found.opts}


def checked(log: SessionLog, session_id: str, point: str | None) -> str | None:
    """A point after which to read: an event id that the session does not have would look like replaced history.

    Raises:
        RevisionNotFoundError: When it is such an id.
    """
    with suppress(InvalidPointError):
        if point is not None and EventId.parse(point.strip()).revision:
            log.event(session_id, point)
    return point


def stripped(value: str | None) -> str | None:
    """A point without the blanks that protected it."""
    return None if value is None else value.strip()
