"""As much of the RESP protocol as it takes to see where a request or a reply ends."""

from __future__ import annotations

import re

_FIRST_NAME = re.compile(rb"\*\d+\r\n\$\d+\r\n(\w+)\r\n")
_BULK = b"$=!"
_AGGREGATE = {b"*": 1, b"~": 1, b">": 1, b"%": 2}


def first_command(request: bytes) -> str:
    """The name of the command that `request` begins with, in capitals."""
    match = _FIRST_NAME.match(request)
    return match[1].decode().upper() if match else ""


class FrameCounter:
    """Counts complete top-level values in a stream of bytes, wherever the network cut it.

    Requests and replies have one grammar, RESP2 and RESP3. Payloads are skipped, not kept: 10 MB cost nothing.
    """

    def __init__(self) -> None:
        self._line = b""
        self._skip = 0
        self._missing: list[int] = []

    @property
    def at_boundary(self) -> bool:
        """Whether everything seen so far is complete."""
        return not (self._line or self._skip or self._missing)

    def feed(self, data: bytes) -> int:
        """Take the next bytes; the answer is how many values they completed."""
        completed = position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                position += step
                self._skip -= step
                completed += 0 if self._skip else self._end_value()
                continue
            end = data.find(b"\n", position) + 1
            self._line += data[position : end or len(data)]
            if not end:
                break
            line, self._line, position = self._line, b"", end
            completed += self._header(line)
        return completed

    def _header(self, line: bytes) -> int:
        kind = line[:1]
        if kind in _BULK and (length := int(line[1:])) >= 0:
            self._skip = length + len(b"\r\n")
            return 0
        if kind in _AGGREGATE and (elements := int(line[1:])) > 0:
            self._missing.append(elements * _AGGREGATE[kind])
            return 0
        return self._end_value()

    def _end_value(self) -> int:
        while self._missing:
            self._missing[-1] -= 1
            if self._missing[-1]:
                return 0
            self._missing.pop()
        return 1
