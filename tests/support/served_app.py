"""An application of Starlette that is served over HTTP and WebSockets, as users would serve theirs."""

from __future__ import annotations

from threading import Thread
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from support.following import SOON
from support.processes import HOST
from support.waiting import wait_until


class ServedApp:
    """`with ServedApp(app) as served: ask(served.url)`.

    Attributes:
        open: How many requests and WebSockets are being answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.open = app, 0
        self._server = Server(
            Config(
                self._counted,
                host=HOST,
                port=0,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = Thread(target=self._server.run, daemon=True)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.open -= 1

    @property
    def port(self) -> int:
        found: Any = self._server.servers[0].sockets[0].getsockname()
        return int(found[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> ServedApp:
        self._thread.start()
        wait_until(lambda: self._server.started, "the application to be served")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(SOON)
        assert not self._thread.is_alive()
