"""What `session-log export` can write besides its own: what installed packages add.

An entry point in `strands_session_log.exports` is what follows `--to`, and names a module: its `export(log, session_id,
progress)` returns the content of a file, piece by piece, or raises a `ValueError` that says why it cannot. The module
is imported when it is asked for; what is heavy, or may not be installed, belongs into the function.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from .. import Progress, SessionLog
from ..files import sync_directory

GROUP = "strands_session_log.exports"
Exporter = Callable[[SessionLog, str, Progress], Iterable[bytes]]


def kinds() -> list[str]:
    """What can follow `--to`."""
    return sorted(one.name for one in entry_points(group=GROUP))


def exporter(kind: str) -> Exporter | None:
    """What writes a kind; None if nothing does."""
    found: list[Any] = [one.load() for one in entry_points(group=GROUP) if one.name == kind]
    return found[0].export if found else None


def write_all(chunks: Iterable[bytes], path: Path) -> None:
    """Write a file that is there whole or not at all; only its owner may read what was said.

    Raises:
        OSError: When it cannot be written.
    """
    with whole_file(path) as file:
        for chunk in chunks:
            file.write(chunk)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file being written that is there whole, once the block has ended, or not at all; see `write_all`."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
        try:
            yield file  # type: ignore[misc]
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    # What was exported may be deleted next.
    sync_directory(path.absolute().parent)
