"""Standard output that says when it cannot be written, whoever writes: this program, Rich, or the help of Typer."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class OutputError(Exception):
    """Standard output cannot be written.

    Not an `OSError`: what catches those means files and sockets, and Rich and Typer end with 1 at a broken pipe.

    Attributes:
        reason: Why, in the words of the system.
        is_gone: Whether its reader has gone, which is no trouble: it had enough.
    """

    def __init__(self, error: OSError) -> None:
        self.reason, self.is_gone = os.strerror(error.errno or errno.EIO), error.errno == errno.EPIPE
        super().__init__(self.reason)


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(error) from error


class _StandardOutput(io.TextIOWrapper):
    """Not a raw stream that does so: interrupted after the system had written, it would be asked to write again."""

    def write(self, text: str) -> int:
        with _failures_told():
            return super().write(text)

    def flush(self) -> None:
        with _failures_told():
            super().flush()


def write_bytes(data: bytes) -> None:
    """Write past the encoding of standard output; what was written as text, and not flushed, may come later.

    Raises:
        OutputError: When it cannot be written.
    """
    with _failures_told():
        sys.stdout.buffer.write(data)


def prepare() -> None:
    """Make the streams of this process what commands take them for.

    Raises:
        OutputError: When standard output is closed: the next file or socket would get its number.
    """
    is_closed = sys.stdout is None
    _open_what_is_closed()
    if is_closed:
        raise OutputError(OSError(errno.EBADF, ""))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(_raw(sys.stdout), io.FileIO):
        sys.stdout = _telling(sys.stdout)


def abandon(stream: TextIO) -> None:
    """Point a stream at nothing, so that what is still buffered can be flushed without an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_what_is_closed() -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, io.TextIOWrapper(io.BufferedRandom(io.FileIO(number, "r+", closefd=False))))


def _raw(stream: io.TextIOWrapper) -> Any:
    """What writes for a stream; its buffer itself where Python was told not to buffer."""
    return getattr(stream.buffer, "raw", stream.buffer)


def _telling(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = io.FileIO(stream.fileno(), "w", closefd=False)
    return _StandardOutput(
        raw if _raw(stream) is stream.buffer else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
