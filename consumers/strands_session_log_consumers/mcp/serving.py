"""The same over HTTP, for whoever shows the token."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
_HERE = ("127.0.0.1", "localhost", "[::1]")


class BearerGuard:
    """Lets in who shows a token in `Authorization: Bearer`.

    Args:
        app: What is behind it.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on what shows it."""
        shown = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] == "http" and not secrets.compare_digest(shown, self._expected):
            told = "show the token: Authorization: Bearer …\n"
            await PlainTextResponse(told, 401, {"www-authenticate": "Bearer"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def http_app(server: MCPServer, token: str | None, hosts: Iterable[str] = ()) -> ASGIApp:
    """An application that answers under names it knows only, so that no page in a browser asks it by another.

    Args:
        server: What answers.
        token: What is to be shown; None for nothing.
        hosts: Names, besides those of this machine.
    """
    names = [name for host in (*_HERE, *hosts) for name in (host, f"{host}:*")]
    origins = [f"http://{name}" for name in names]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=names, allowed_origins=origins
    )
    app: Any = server.streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, json_response=True, transport_security=security
    )
    return app if token is None else BearerGuard(app, token)


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
