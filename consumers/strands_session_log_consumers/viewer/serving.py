"""Serves the viewer by itself: for people's browsers, which neither dawdle nor come by the hundred."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import h11
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS: Final = 10.0
"""Until then a request has come whole, or its connection is cut, however steadily it sends a byte now and then."""
_IDLE_SECONDS: Final = 30
_GRACE_SECONDS: Final = 3
CONNECTIONS: Final = 1_200
"""How many may be open at once: pages keep theirs open."""
_LONGEST_HEAD: Final = 32 << 10


class PatientlessProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with an end for requests that never become whole, which it would wait for for ever."""

    request_seconds = REQUEST_SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From here on the first request is awaited."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """A request may be whole now, or another one may have begun."""
        super().handle_events()
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._stop_waiting()
        elif self._deadline is None and (self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]):
            self._await_request()

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._cut)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        self._deadline = None
        # Not `close`: that waits until what is to be sent was taken.
        self.transport.abort()


class ViewerServer(Server):
    """Tells when it listens; asked to end, it waits for nobody for long.

    Args:
        config: What it serves, and where.
        started: Called with its address once it listens.
        ending: Called before it waits for its connections to end.
    """

    def __init__(self, config: Config, started: Callable[[str], object], ending: Callable[[], object]) -> None:
        super().__init__(config)
        self._tell_started, self._ending = started, ending

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def startup(self, sockets: Any = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.started:
            self._tell_started(self.address)

    async def shutdown(self, sockets: Any = None) -> None:
        """Listen no more, and let what is being sent end."""
        self._ending()
        await super().shutdown(sockets)


def server(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    started: Callable[[str], object] = lambda address: None,
    trust_proxy: str = "",
) -> ViewerServer:
    """A server of the viewer; `run` or `serve` it.

    Args:
        app: The viewer.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        started: Called with its address once it listens.
        trust_proxy: Whose `X-Forwarded-*` headers are believed; empty for nobody's.
    """
    config = Config(
        app,
        host=host,
        port=port,
        http=PatientlessProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trust_proxy),
        forwarded_allow_ips=trust_proxy or None,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
    )
    return ViewerServer(config, started, getattr(app, "close", lambda: None))
