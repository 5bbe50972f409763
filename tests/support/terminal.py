"""A program in a terminal of its own, as a person would see it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


def in_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str], columns: int = 80, with_errors: bool = False
) -> str:
    """What a program that ends by itself shows on a terminal so wide, without colours; however it ends."""
    return _CONTROL.sub("", shown_in_terminal(command, environment, columns, with_errors))


def shown_in_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str], columns: int = 80, with_errors: bool = False
) -> str:
    """The same, as it reaches the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, columns, 0, 0))
    own = {"TERM": "xterm-256color", **{name: value for name, value in os.environ.items() if name != "COLUMNS"}}
    program = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs if with_errors else subprocess.DEVNULL,
        env={**own, **environment},
    )
    os.close(theirs)
    try:
        return _all_of(ours)
    finally:
        os.close(ours)
        program.wait()


def _all_of(terminal: int) -> str:
    read = bytearray()
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:
            # Linux says so when nobody has the other end any more.
            part = b""
        if not part:
            return read.decode()
        read += part
