"""The HTTP side: `/metrics`, and whether the process is alive and does its work."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from types import TracebackType
from typing import Any, TypeAlias
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

App: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_READ_ONLY = [*_TEXT, ("Allow", "GET, HEAD")]


def application(registry: CollectorRegistry, trouble: Callable[[], str]) -> App:
    """A WSGI application.

    Args:
        registry: What `/metrics` shows.
        trouble: What keeps the service from working, for `/readyz`; empty when nothing does.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", "only GET and HEAD", _READ_ONLY)
        match environ["PATH_INFO"]:
            case "/metrics":
                shown: Iterable[bytes] = metrics(environ, start_response)
                return shown
            case "/healthz":
                return _answer(start_response, "200 OK", "alive")
            case "/readyz":
                ill = trouble()
                return _answer(start_response, "503 Service Unavailable" if ill else "200 OK", ill or "ready")
        return _answer(start_response, "404 Not Found", "there are /metrics, /healthz and /readyz")

    return app


def _answer(start_response: Any, status: str, text: str, headers: list[tuple[str, str]] = _TEXT) -> list[bytes]:
    start_response(status, list(headers))  # the server adds to what it is given
    return [f"{text}\n".encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = 30  # a client that connects and says nothing must not keep a thread forever

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no news."""


class Endpoint:
    """Serves an application in threads; use it as a context manager.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.

    Raises:
        OSError: When it cannot listen there.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        kind = _Server6 if ":" in host else _Server
        self._server = make_server(host, port, app, server_class=kind, handler_class=_Quiet)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"

    def __enter__(self) -> Endpoint:
        Thread(target=self._server.serve_forever, args=(0.1,), name="session-log-http", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
