"""The viewer as a server of its own: a socket, signals, and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_GOODBYE_SECONDS: Final = 1
"""So long an answer may take that is under way when the viewer ends; a page that follows asks the next one."""


class ViewerServer(uvicorn.Server):
    """Ends in good order at a signal, where uvicorn would let the signal end the process once it is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to what is to end it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens.

    Args:
        host: Its address.
        port: Its port; 0 for any that is free.

    Raises:
        OSError: When that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listener:
        yield listener


async def serve(
    application: ASGIApp, listener: socket.socket, ready: Callable[[int], None], *, trust_proxy: bool = False
) -> None:
    """Serve until a signal ends it.

    Args:
        application: What is served.
        listener: Where.
        ready: Called with the port once it answers.
        trust_proxy: Believe what a proxy says of who asks, and by which scheme.
    """
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=trust_proxy,
        forwarded_allow_ips="*" if trust_proxy else None,
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
    )
    # It listens already: who asks before it answers waits for as long as that takes.
    asyncio.get_running_loop().call_soon(ready, listener.getsockname()[1])
    await ViewerServer(config).serve(sockets=[listener])
