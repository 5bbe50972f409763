"""A TCP proxy in front of a server that makes the network fail on command.

It runs in a thread of its own; its controls are called from the test and have taken effect when they return.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from support.link import Faults, Link
from support.processes import HOST, free_port
from support.waiting import PATIENCE

_T = TypeVar("_T")


class FaultProxy:
    """`with FaultProxy("127.0.0.1", server.port) as proxy: client = Valkey.from_url(proxy.url)`."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"fault-proxy-{self.port}", daemon=True)
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"valkey://{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections clients have opened."""
        return self._faults.connections

    @property
    def requests(self) -> int:
        """How many commands have passed, without those that set up a connection."""
        return self._faults.requests

    @property
    def round_trips(self) -> int:
        """How often a client has sent something after it had all its replies, connection set-up aside.

        Exact for what a client sends in one write; valkey-py sends pipelines beyond 6 KB in several.
        """
        return self._faults.round_trips

    def delay(self, *, requests: float = 0.0, replies: float = 0.0) -> None:
        """Carry each burst of requests, and each of replies, so many seconds later."""
        self._do(lambda: self._set(request_delay=requests, reply_delay=replies))

    def swallow_replies(self, n: int = 1, of: bytes = b"") -> None:
        """Let the server execute the next `n` requests, but drop their replies and reset the connection.

        A pipeline counts as one. With `of`, only requests with these bytes in them count (`of=b"EVALSHA"`); commands
        that set up a connection never do.
        """
        self._do(lambda: self._set(swallow=n, swallow_of=of))

    def hold_replies(self) -> None:
        """Let requests through, but keep back the replies until `release_replies()`."""
        self._do(self._hold)

    def release_replies(self) -> None:
        self._do(self._faults.replies_flow.set)

    def hold_requests(self) -> None:
        """Keep back requests, as where a process stands still once it has sent them, until `release_requests()`."""
        self._do(self._faults.requests_flow.clear)

    def release_requests(self) -> None:
        self._do(self._faults.requests_flow.set)

    def wait_until_held(self, timeout: float = PATIENCE) -> None:
        """Return when a reply is being held: the server has executed the request, and its client does not know."""
        if not self._faults.reply_held.wait(timeout):
            raise TimeoutError(f"no reply to hold in {timeout:g} s")

    def lead_to(self, host: str, port: int) -> None:
        """Take new connections to another server; open ones stay where they are, as behind a Service or a name."""
        self._target = (host, port)

    def cut(self) -> None:
        """Reset all connections now; whether a request under way was executed is unknown."""
        self._run(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; open ones go on."""
        self._do(self._stop_listening)

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._do(self._listen)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def _do(self, action: Callable[[], None]) -> None:
        async def in_loop() -> None:
            action()

        self._run(in_loop())

    def _set(self, **faults: Any) -> None:
        for name, value in faults.items():
            setattr(self._faults, name, value)

    def _hold(self) -> None:
        self._faults.reply_held.clear()
        self._faults.replies_flow.clear()

    async def _open(self) -> None:
        self._faults = Faults()
        self._faults.replies_flow.set()
        self._faults.requests_flow.set()
        self._listen()

    # asyncio's own server loses a connection that it is accepting while it is closed, and its client would wait.
    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=100)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._serve)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _serve(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the client has given up already
        self._faults.connections += 1
        link = Link(self._faults, connection)
        self._links[link] = task = self._loop.create_task(link.run(*self._target))
        task.add_done_callback(lambda _: self._forget(link, connection))

    def _forget(self, link: Link, connection: socket.socket) -> None:
        del self._links[link]
        # A task that is cancelled before its first step does not get to it.
        connection.close()

    async def _cut(self) -> None:
        for task in self._links.values():
            task.cancel()
        if self._links:
            await asyncio.wait(self._links.values())

    async def _close(self) -> None:
        self._stop_listening()
        await self._cut()
