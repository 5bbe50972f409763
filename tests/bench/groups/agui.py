"""Following runs of agents: how late what is said is heard, with client and server on the same cores."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
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
        memory: Bytes that the web server with the most had, when all followed and at the end.
        readers: How many connections waited for what is new.
        busy: How many cores the web servers, the client and Valkey used.
    """

    late: list[float]
    memory: tuple[int, int]
    readers: int
    busy: tuple[float, float, float]


def rows(run: Run) -> Iterator[Row]:
    """All threads run in one web server, which everybody follows; or most follow them through another one."""
    threads, followers = (20, 100) if run.quick else (_THREADS, _FOLLOWERS)
    seconds = 5.0 if run.quick else _SECONDS
    name = f"{followers:,} followers of {threads} runs, {_RATE:g} deltas a second each"
    for servers, where in ((1, name), (2, f"{name}, through two web servers")):
        with ValkeyliteServer() as server:
            yield from _rows(where, _loaded(server, threads, followers, seconds, servers), followers, seconds, servers)


def _rows(name: str, found: Load, followers: int, seconds: float, servers: int) -> Iterator[Row]:
    heard, due = len(found.late) / seconds, followers * _RATE
    late, busy = quantiles(found.late, n=100), "{:.2f}, {:.2f} and {:.2f} cores".format(*found.busy)
    note = f"95 of 100 within {late[94] * 1000:.0f} ms; web servers, client and Valkey used {busy}"
    yield Row(f"{name}: a delta is heard ÷ 50 ms", found.late, [_MOST_LATE] * len(found.late), 1, note=note)
    yield Row(f"{name}: said a second ÷ heard", [due], [heard], 1.05, unit="times")
    yield Row(f"{name}: memory of a web server ÷ 500 MB", [found.memory[1]], [_MOST_MEMORY], 1, unit="bytes")
    grown = f"memory at the end ÷ {seconds:g} s before"
    yield Row(f"{name}: {grown}", [found.memory[1]], [found.memory[0]], 1.1, unit="bytes")
    yield Row(f"{name}: connections that wait for news ÷ servers", [found.readers], [servers], 1, unit="connections")


def _loaded(server: ValkeyliteServer, threads: int, followers: int, seconds: float, servers: int) -> Load:
    ports = [free_port() for _ in range(servers)]
    serving = [_started("serve", server.url, port, _RATE) for port in ports]
    try:
        for process, port in zip(serving, ports, strict=True):
            _listens(process, port)
        with _started("follow", ports[0], ports[-1], threads, followers, seconds) as client:
            _line(client)
            pids, memory = [*(one.pid for one in serving), client.pid, server.pid], _most_memory(serving)
            used, began = [_seconds(pid) for pid in pids], time.monotonic()
            time.sleep(seconds / 2)
            readers = _readers(server)
            time.sleep(seconds / 2 - 0.2)
            took = time.monotonic() - began
            *web, follower, valkey = [(_seconds(pid) - before) / took for pid, before in zip(pids, used, strict=True)]
            after = _most_memory(serving)
            late: list[float] = json.loads(_line(client))["late"]
    finally:
        for process in serving:
            process.kill()
            process.wait()
    return Load(late, (memory, after), readers, (sum(web), follower, valkey))


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


def _most_memory(processes: Sequence[subprocess.Popen[str]]) -> int:
    pages = max(int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) for one in processes)
    return pages * os.sysconf("SC_PAGESIZE")


def _seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _readers(server: ValkeyliteServer) -> int:
    with SessionLog.connect(server.url) as log:
        return sum(one["cmd"].startswith("xread") for one in client_of(log).client_list())
