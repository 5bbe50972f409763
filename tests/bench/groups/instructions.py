"""What an append makes the server compute: instructions counted by callgrind, which no noise disturbs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from strands_session_log import SessionLog, ValkeySessionManager
from support.clients import Client, open_client
from support.processes import HOST, end, free_port, spawn
from support.servers import ValkeyliteServer
from support.waiting import wait_until

from ..measuring import Run
from ..rows import Call, Row
from ..sessions import agent
from ..text import message
from .append import body

_APPENDS, _WARM_UP = 300, 30
_MOST = 240_000
_OURS = "instructions of the server to append a message through the manager"
_TOOLS = ("valgrind", "callgrind_control")


def rows(run: Run) -> Iterator[Row]:
    """An append and an XADD of the same body, with the append-only file on, and without what snapshots take."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        yield Row(f"{_OURS} ÷ 240,000", [], [], 1, unit="instructions", note=f"{missing[0]} is not installed.")
        return
    with _counted() as (server, client):
        log = SessionLog(client, snapshots=None)
        manager = ValkeySessionManager("s", log=log)
        living, said = agent(manager), count()
        bodies = [body(index) for index in range(_WARM_UP + _APPENDS)]

        def append() -> None:
            manager.append_message(message(next(said)), living)

        def xadd() -> None:
            log.client.execute_command("XADD", "plain", "*", "body", bodies.pop())

        ours, plain = (server.each(run, call) for call in (append, xadd))
    yield Row(f"{_OURS} ÷ 240,000", [ours], [_MOST], 1, unit="instructions")
    yield Row(f"{_OURS} ÷ for XADD of the same body", [ours], [plain], unit="instructions")


class _Counted:
    """A server under callgrind."""

    def __init__(self, pid: int, directory: Path, client: Client) -> None:
        self._pid, self._directory, self._client = pid, directory, client

    def each(self, run: Run, call: Call) -> float:
        """How many instructions a call takes on average."""
        for _ in range(_WARM_UP):
            call()
        self._dumped()
        times = min(_APPENDS, run.size(_APPENDS))
        for _ in run.track(range(times), "counting instructions"):
            call()
        return self._dumped() / times

    def _dumped(self) -> int:
        """The instructions since it was asked for the last time."""
        before = set(self._directory.glob("callgrind.*"))
        # It looks for the wish to dump when it is awake.
        self._client.ping()
        subprocess.run(["callgrind_control", "--dump", str(self._pid)], check=True, capture_output=True)
        self._client.ping()
        dumped = set(self._directory.glob("callgrind.*")) - before
        found = [re.search(r"^(?:totals|summary): (\d+)", one.read_text(), re.MULTILINE) for one in dumped]
        return sum(int(one[1]) for one in found if one)


@contextmanager
def _counted() -> Iterator[tuple[_Counted, Client]]:
    with tempfile.TemporaryDirectory() as directory:
        port, at = free_port(), Path(directory)
        settings = {"port": port, "bind": HOST, "dir": at, "save": "", "appendonly": "yes", "hz": 1}
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={at}/callgrind"]
        options = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
        process = spawn([*valgrind, ValkeyliteServer.binary(), *options], at / "server.log")
        client = open_client(f"valkey://{HOST}:{port}", socket_timeout=60)
        try:
            wait_until(lambda: _answers(client), "a server under valgrind to answer PING", 60)
            yield _Counted(process.pid, at, client), client
        finally:
            client.close()
            end(process)


def _answers(client: Client) -> bool:
    try:
        return bool(client.ping())
    except Exception:
        return False
