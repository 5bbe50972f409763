"""Terminals of any size with `session-log` in them."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Mapping

from support.programs import COMMAND_LINE, Program

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07)|\r")


class Terminal:
    """A terminal with `session-log` in it."""

    def __init__(self, environment: Mapping[str, str], *arguments: str, width: int = 80, height: int = 24) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._shown, self._decoder = "", codecs.getincrementaldecoder("utf-8")()
        self.process = Program(
            [*COMMAND_LINE, *arguments], stdin=far, stdout=far, stderr=far, env=environment, start_new_session=True
        )
        os.close(far)

    def until(self, text: str) -> str:
        """What it shows, read until the text is there."""
        while text not in self._shown and (more := self._read()):
            self._shown += more
        assert text in self._shown
        return self._shown

    def to_the_end(self) -> str:
        """All it shows, read until the process has ended."""
        while more := self._read():
            self._shown += more
        return self._shown

    def type(self, text: str) -> None:
        os.write(self._near, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._near)

    def _read(self) -> str:
        try:
            read = os.read(self._near, 65_536)
            return self._decoder.decode(read) or (self._read() if read else "")
        except OSError:  # Linux says EIO where others say end of file
            return ""


def words_in(shown: str) -> str:
    """What a terminal shows, without colours and movements."""
    return _CONTROL.sub("", shown)
