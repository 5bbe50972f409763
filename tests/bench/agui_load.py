"""A web server that has agents run, and a client that follows them, as processes of their own.

`python -m tests.bench.agui_load serve URL PORT RATE` and `python -m tests.bench.agui_load follow PORT OTHER THREADS
FOLLOWERS SECONDS`. What an agent says is the time at which it says it, so whoever hears it knows how long that took.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import uvicorn
from strands import Agent

from strands_session_log import SessionLog
from strands_session_log.testing import ScriptedModel
from strands_session_log_consumers.agui import AguiRun, AguiSettings, app

HOST = "127.0.0.1"
_SAID = re.compile(rb'"delta":"(\d+\.\d+) "')
_LONGEST = 600.0
_ALL_ARE_THERE = 120.0


class TimeTeller(ScriptedModel):
    """Says what time it is, so often a second, until it is stopped."""

    def __init__(self, rate: float) -> None:
        super().__init__("")
        self._every = 1 / rate

    async def stream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Yield one delta after the other."""
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        until = time.monotonic() + _LONGEST
        while time.monotonic() < until:
            await asyncio.sleep(self._every)
            yield {"contentBlockDelta": {"delta": {"text": f"{time.time():.6f} "}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


def serve(url: str, port: str, rate: str) -> None:
    """Serve until the process is ended."""

    def make(run: AguiRun) -> Agent:
        model = TimeTeller(float(rate))
        return Agent(model=model, session_manager=run.session_manager, hooks=[run.live_tokens], callback_handler=None)

    with SessionLog.connect(url) as log:
        served = app(log, make, settings=AguiSettings(most_followers=5000, most_runs=1000, grace=0.1))
        uvicorn.Server(uvicorn.Config(served, HOST, int(port), log_level="error")).run()


class _Follower(asyncio.Protocol):
    """A connection that notes how late it hears what is said."""

    def __init__(self, request: bytes, late: list[float]) -> None:
        self._request, self._late, self._rest = request, late, b""
        self.heard = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now, whole = time.time(), self._rest + data
        for said in _SAID.findall(whole):
            self._late.append(now - float(said))
            self.heard.set()
        self._rest = whole[whole.rfind(b"\n") + 1 :]


def _post(thread: str) -> bytes:
    message = {"id": "asked", "role": "user", "content": "What time is it?"}
    body = json.dumps({"threadId": thread, "runId": f"run-{thread}", "messages": [message], "tools": [], "context": []})
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def _get(thread: str) -> bytes:
    return f"GET /threads/{thread} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def follow(port: str, other: str, threads: str, followers: str, seconds: str) -> None:
    """Begin runs at one port, follow them through another, and write how late what was heard came."""
    loop, late, connected = asyncio.get_running_loop(), list[float](), list[_Follower]()
    names = [f"t{number}" for number in range(int(threads))]
    more = [_get(names[number % len(names)]) for number in range(int(followers) - len(names))]
    for request, at in [*((_post(name), port) for name in names), *((one, other) for one in more)]:
        _, protocol = await loop.create_connection(partial(_Follower, request, late), HOST, int(at))
        connected.append(protocol)
        if len(connected) == len(names):
            # Whoever follows a thread follows one that is there.
            await _have_heard(connected)
    await _have_heard(connected)
    late.clear()
    _write("followed")
    await asyncio.sleep(float(seconds))
    _write(json.dumps({"late": late, "cpu": time.process_time()}))


async def _have_heard(followers: list[_Follower]) -> None:
    await asyncio.wait_for(asyncio.gather(*(one.heard.wait() for one in followers)), _ALL_ARE_THERE)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "serve":
        serve(*given)
    else:
        asyncio.run(follow(*given))
