"""One proxied connection: client to server, and the replies back, with the proxy's faults in between."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

from support.resp import FrameCounter, first_command

_CHUNK = 1 << 20

# What clients send on a new connection before the first command of their user.
_SETUP = {"HELLO", "AUTH", "CLIENT", "SELECT", "READONLY"}

# A client may send one pipeline in several writes: only this much silence after the last reply ends its burst.
_QUIET = 0.02

_LONGEST_TEXT = 256

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Faults:
    """What the proxy does to bytes at the moment, and what it has counted; belongs to the proxy's event loop."""

    request_delay: float = 0.0
    reply_delay: float = 0.0
    swallow: int = 0
    swallow_of: bytes = b""
    replies_flow: asyncio.Event = field(default_factory=asyncio.Event)
    requests_flow: asyncio.Event = field(default_factory=asyncio.Event)
    reply_held: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    requests: int = 0
    round_trips: int = 0

    def claims(self, data: bytes) -> bool:
        """Whether the next reply to swallow is the one to this request."""
        return self.swallow > 0 and self.swallow_of in data


class Link:
    """Carries bursts: all a client sends before it waits, and then all the replies to that.

    Replies are complete when as many of them came back as commands went out. Pushed messages (pub/sub, client tracking)
    have no place in this model.
    """

    def __init__(self, faults: Faults, client: socket.socket) -> None:
        self._faults = faults
        self._client = client
        self._writers: list[asyncio.StreamWriter] = []
        self._asked = self._answered = 0
        self._request_frames, self._reply_frames = FrameCounter(), FrameCounter()
        self._is_setup = self._is_swallowed = self._is_first_reply = False
        self._tail = b""

    async def run(self, host: str, port: int) -> None:
        """Carry bytes until one side hangs up, or `reset`, a swallowed reply or cancelling ends the connection."""
        try:
            self._from_client, self._to_client = await self._open(sock=self._client)
            self._from_server, self._to_server = await self._open(host=host, port=port)
            await self._carry()
            await self._hang_up()
        except (OSError, asyncio.CancelledError):
            self.reset()

    async def _open(self, **to: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(**to, limit=_CHUNK)
        self._writers.append(writer)
        return reader, writer

    def reset(self) -> None:
        """End the connection at once, as a crashed peer or a firewall would."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    async def _hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            await writer.wait_closed()

    async def _carry(self) -> None:
        pumps = [asyncio.ensure_future(self._carry_requests()), asyncio.ensure_future(self._carry_replies())]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _carry_requests(self) -> None:
        while data := await self._from_client.read(_CHUNK):
            if self._is_complete and not self._is_swallowed:
                await self._begin_burst(data)
            self._claim(data)
            commands = self._request_frames.feed(data)
            self._asked += commands
            self._faults.requests += 0 if self._is_setup else commands
            self._to_server.write(data)
            await self._to_server.drain()

    async def _begin_burst(self, data: bytes) -> None:
        self._is_setup = first_command(data) in _SETUP
        self._is_first_reply = True
        self._tail = b""
        self._faults.round_trips += 0 if self._is_setup else 1
        await asyncio.sleep(self._faults.request_delay)
        if not self._is_setup:
            await self._faults.requests_flow.wait()

    def _claim(self, data: bytes) -> None:
        if self._is_setup or self._is_swallowed:
            return
        if self._faults.claims(self._tail + data):
            self._faults.swallow -= 1
            self._is_swallowed = True
        # The text looked for may lie across two reads.
        self._tail = data[-_LONGEST_TEXT:]

    async def _carry_replies(self) -> None:
        while data := await self._from_server.read(_CHUNK):
            self._answered += self._reply_frames.feed(data)
            if self._is_swallowed:
                self._hang_up_when_complete()
                continue
            await self._obstruct()
            self._to_client.write(data)
            await self._to_client.drain()

    async def _obstruct(self) -> None:
        if self._is_first_reply:
            self._is_first_reply = False
            await asyncio.sleep(self._faults.reply_delay)
        if not self._faults.replies_flow.is_set() and not self._is_setup:
            self._faults.reply_held.set()
        await self._faults.replies_flow.wait()

    def _hang_up_when_complete(self) -> None:
        if self._is_complete:
            asked = self._asked
            asyncio.get_running_loop().call_later(_QUIET, lambda: self._hang_up_unless_more_than(asked))

    def _hang_up_unless_more_than(self, asked: int) -> None:
        if self._asked == asked and self._is_complete:
            self.reset()

    @property
    def _is_complete(self) -> bool:
        return self._request_frames.at_boundary and self._answered >= self._asked
