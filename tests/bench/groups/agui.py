"""Following runs of agents: how late what is said is heard, with client and server on the same cores."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from strands_session_log import SessionLog
from support.clients import client_of
from support.processes import free_port
from support.servers import ValkeyliteServer

from ..agui_load import HOST
from ..measuring import Run
from ..rows import Row

_ROOT = Path(__file__).parents[3]
_THREADS, _FOLLOWERS, _RATE, _SECONDS = 100, 1_000, 5.0, 20.0
_MOST_LATE, _MOST_MEMORY = 0.050, 500_000_000


class Load(NamedTuple):
    """What was found.

    Attributes:
        late: How late each delta was heard, in seconds.
        memory: Bytes that the web server had, when all followed and at the end.
        readers: How many connections of it waited for what is new.
        busy: How many cores the web server, the client and Valkey used.
    """

    late: list[float]
    memory: tuple[int, int]
    readers: int
    busy: tuple[float, float, float]


def rows(run: Run) -> Iterator[Row]:
    """All threads run in the one web server, which everybody follows."""
    threads, followers = (20, 100) if run.quick else (_THREADS, _FOLLOWERS)
    seconds = 5.0 if run.quick else _SECONDS
    with ValkeyliteServer() as server:
        found = _loaded(server, threads, followers, seconds)
    name = f"{followers:,} followers of {threads} runs, {_RATE:g} deltas a second each"
    heard, due = len(found.late) / seconds, followers * _RATE
    late, busy = quantiles(found.late, n=100), "{:.2f}, {:.2f} and {:.2f} cores".format(*found.busy)
    note = f"95 of 100 within {late[94] * 1000:.0f} ms; web server, client and Valkey used {busy}"
    yield Row(f"{name}: a delta is heard ÷ 50 ms", found.late, [_MOST_LATE] * len(found.late), 1, note=note)
    yield Row(f"{name}: said a second ÷ heard", [due], [heard], 1.05, unit="times")
    yield Row(f"{name}: memory of the web server ÷ 500 MB", [found.memory[1]], [_MOST_MEMORY], 1, unit="bytes")
    grown = f"memory at the end ÷ {seconds:g} s before"
    yield Row(f"{name}: {grown}", [found.memory[1]], [found.memory[0]], 1.1, unit="bytes")
    yield Row(f"{name}: connections that wait for news ÷ 1", [found.readers], [1], 1, unit="connections")


def _loaded(server: ValkeyliteServer, threads: int, followers: int, seconds: float) -> Load:
    port = free_port()
    serving = _started("serve", server.url, port, _RATE)
    try:
        _listens(serving, port)
        with _started("follow", port, threads, followers, seconds) as client:
            _line(client)
            pids, memory = (serving.pid, client.pid, server.pid), _memory(serving.pid)
            used, began = [_seconds(pid) for pid in pids], time.monotonic()
            time.sleep(seconds / 2)
            readers = _readers(server)
            time.sleep(seconds / 2 - 0.2)
            took = time.monotonic() - began
            busy = [(_seconds(pid) - before) / took for pid, before in zip(pids, used, strict=True)]
            after = _memory(serving.pid)
            late: list[float] = json.loads(_line(client))["late"]
    finally:
        serving.kill()
        serving.wait()
    return Load(late, (memory, after), readers, (busy[0], busy[1], busy[2]))


def _started(*arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.agui_load", *map(str, arguments)]
    paths = os.pathsep.join([str(_ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command, cwd=_ROOT, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True
    )


def _listens(process: subprocess.Popen[str], port: int) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the web server has ended")


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    if line := process.stdout.readline():
        return line
    raise RuntimeError(f"the client has ended with {process.wait()}")


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _readers(server: ValkeyliteServer) -> int:
    with SessionLog.connect(server.url) as log:
        return sum(one["cmd"].startswith("xread") for one in client_of(log).client_list())
