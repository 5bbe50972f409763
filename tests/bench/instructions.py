"""How many instructions the server needs for a call: the same on a busy machine and on a quiet one.

`valgrind --tool=callgrind` runs the server and counts them. A call is made some hundred times between two dumps of its
counters, so what a start takes is not in it; what the server does by the clock is, and is little.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from support.servers import ServerUnavailable, ValkeyDebianServer, ValkeyliteServer
from support.waiting import wait_until

_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def can_count() -> bool:
    """Whether this machine has what it takes."""
    return all(map(shutil.which, ("valgrind", "callgrind_control")))


class CountedServer(ValkeyliteServer):
    """The current Valkey, its instructions counted; some fifty times slower.

    It writes nothing to disk, and does as little as it can by the clock.
    """

    def __init__(self, **config: str) -> None:
        super().__init__(**{"appendonly": "no", "hz": "1", "dynamic_hz": "no", "activerehashing": "no", **config})
        self._dumps = 0

    def instructions(self, call: Callable[[], object], times: int = 100, spells: int = 4) -> float:
        """How many the server needs for one such call, in the mean of the spell in which it did least beside."""
        for _ in range(times // 4):
            call()
        self._dump()
        return min(self._spell(call, times) for _ in range(spells))

    def _spell(self, call: Callable[[], object], times: int) -> float:
        for _ in range(times):
            call()
        return self._dump() / times

    def _command(self) -> list[str | Path]:
        if not can_count():
            raise ServerUnavailable("valgrind is not installed")
        where = f"--callgrind-out-file={self.directory / 'callgrind.out'}"
        return ["valgrind", "--tool=callgrind", where, *super()._command()]

    def _dump(self) -> int:
        """Begin to count anew; how many there were since it last began."""
        self._dumps += 1
        subprocess.run(["callgrind_control", "--dump", str(self.pid)], check=True, capture_output=True)
        dump = self.directory / f"callgrind.out.{self._dumps}"
        wait_until(lambda: dump.exists() and _TOTAL.search(dump.read_text()), f"{dump.name} to be written")
        found = _TOTAL.search(dump.read_text())
        assert found is not None
        return int(found[1])


class CountedDebianServer(CountedServer, ValkeyDebianServer):
    """The same with the `valkey-server` on PATH."""

    binary = ValkeyDebianServer.binary
