"""A program in a terminal of its own, as a person would see it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Mapping
from pathlib import Path

import strands_session_log
from support.programs import COMMAND_LINE, Program

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")
_SOURCE = str(Path(strands_session_log.__file__).parents[1])
_ALL_LINES = 200
_UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PAGER", "LESS")


def environment_of(url: str, namespace: str) -> Mapping[str, str]:
    """The environment of `session-log` on a terminal that nobody has set up."""
    mine = {"SESSION_LOG_URL": url, "SESSION_LOG_NAMESPACE": namespace, "PYTHONPATH": _SOURCE, "TERM": "xterm"}
    return {**{name: value for name, value in os.environ.items() if name not in _UNSET}, **mine}


def in_terminal(environment: Mapping[str, str], *arguments: str, columns: int = 80) -> str:
    """What `session-log` shows on a terminal so wide, and so high that it turns no page, without colours."""
    return words_in(shown_in_terminal(environment, *arguments, columns=columns))


def words_in(shown: str) -> str:
    """What a terminal shows, without colours and movements."""
    return _CONTROL.sub("", shown)


def shown_in_terminal(environment: Mapping[str, str], *arguments: str, columns: int = 80) -> str:
    """The same, as it reaches the terminal."""
    terminal = Terminal(environment, *arguments, width=columns, height=_ALL_LINES)
    try:
        return terminal.to_the_end()
    finally:
        terminal.close()


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
