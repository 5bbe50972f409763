"""The command line: `session-log`. It parses, wires and prints; everything else is the library's."""

from __future__ import annotations

import sys

from ..errors import MissingExtraError

__all__ = ["main"]

_EXTRA = ("typer", "rich", "click", "shellingham")


def main() -> None:
    """Run `session-log`, or say what to install when the extra is missing."""
    try:
        from .app import run

        run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(f"session-log: {MissingExtraError('cli', 'the command line')}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        # So early that no command had begun.
        sys.exit(130)
