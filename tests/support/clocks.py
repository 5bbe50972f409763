"""Servers whose clock goes back: as another clock would have left their data; really, where libfaketime is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.servers import ValkeyliteServer

_DAY_MS = 86_400_000
_POLYNOMIAL = 0x95AC9329AC4BC9B5
_LIBRARIES = sorted(Path("/usr/lib").glob("**/faketime/libfaketime*.so.1"))


def delivered_at(dump: bytes, id_: str, ms: int) -> bytes:
    """A dumped stream in which a pending entry was delivered at another time; no command sets one that is to come.

    The list of what is pending has the id in 16 bytes, the highest first, and then the time in 8, the lowest first.
    """
    first, _, second = id_.partition("-")
    known, at = int(first).to_bytes(8, "big") + int(second).to_bytes(8, "big"), -1
    while abs(int.from_bytes(dump[at : at + 8], "little") - int(first)) > _DAY_MS:
        # It stands in other places, too.
        at = dump.index(known, at + 1) + len(known)
    body = dump[:at] + ms.to_bytes(8, "little") + dump[at + 8 : -8]
    return body + _crc64(body).to_bytes(8, "little")


def _crc64(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


class MovableClockServer(ValkeyliteServer):
    """A server whose clock can be moved while it runs, by libfaketime; skips the test where that is not installed.

    Args:
        place: A directory for what it needs.
    """

    def __init__(self, place: Path) -> None:
        super().__init__()
        if not _LIBRARIES:
            pytest.skip("no clock is really moved, as libfaketime is not installed: apt-get install libfaketime")
        self._offset, self._program = place / "offset", place / "server"
        self._program.write_text(
            f"#!/bin/sh\nexport LD_PRELOAD={_LIBRARIES[0]} FAKETIME_TIMESTAMP_FILE={self._offset} FAKETIME_NO_CACHE=1\n"
            f'export FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1\nexec {super().binary()} "$@"\n'
        )
        self._program.chmod(0o755)
        self.move_clock(0)

    def binary(self) -> Path:  # type: ignore[override]
        return self._program

    def move_clock(self, seconds: int) -> None:
        """Let it be so far from the real one."""
        self._offset.write_text(f"{seconds:+d}\n")
