"""The HTTP side: `/metrics`, and whether the process is alive and does its work."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from threading import Thread
from types import TracebackType
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, make_wsgi_app
from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import WSGITask  # type: ignore[import-untyped]

App: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

CONNECTIONS = 100
"""How many are open at once; more wait in the kernel until one of them ends."""
REQUEST_SECONDS = 10
"""Until then a request has come, and its answer is taken, or the connection is cut: as long as Prometheus waits."""
SILENCE_SECONDS = 5
"""A connection is cut, too, on which the client neither sends nor takes anything for so long."""

THREADS = 2
"""How many answers are made at once."""

_GRACE_SECONDS = 2.0
_NO_VERSION = re.compile(r"version=(?![0-9]{1,9}(?:\.[0-9]{1,9})*\s*(?:[;,]|$))")
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
        match environ["REQUEST_METHOD"]:
            case "HEAD":
                return _head(app, environ, start_response)
            case "GET":
                pass
            case _:
                return _answer(start_response, "405 Method Not Allowed", "only GET and HEAD", _READ_ONLY)
        match environ["PATH_INFO"]:
            case "/metrics":
                shown: Iterable[bytes] = metrics(_understandable(environ), start_response)
                return shown
            case "/healthz":
                return _answer(start_response, "200 OK", "alive")
            case "/readyz":
                ill = trouble()
                return _answer(start_response, "503 Service Unavailable" if ill else "200 OK", ill or "ready")
        return _answer(start_response, "404 Not Found", "there are /metrics, /healthz and /readyz")

    return app


def _understandable(environ: dict[str, Any]) -> dict[str, Any]:
    """Without what the client accepts where prometheus_client would fail on it: it is then answered as ever."""
    if _NO_VERSION.search(environ.get("HTTP_ACCEPT", "")):
        return {name: value for name, value in environ.items() if name != "HTTP_ACCEPT"}
    return environ


def _answer(start_response: Any, status: str, text: str, headers: list[tuple[str, str]] = _TEXT) -> list[bytes]:
    start_response(status, list(headers))  # the server adds to what it is given
    return [f"{text}\n".encode()]


def _head(app: App, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What GET would be answered, but for the body."""
    told: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(app({**environ, "REQUEST_METHOD": "GET"}, lambda *answer: told.append(answer)))
    ((status, headers),) = told
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return []


class _Task(WSGITask):  # type: ignore[misc]
    """One request a connection: who asks every few seconds need not hold one, and nobody can ask for answers ahead."""

    def start(self) -> None:
        super().start()
        self.set_close_on_finish()


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Of a URL that is none, `http://[`, waitress knows no answer: it would log a traceback.

    So it would of a client that is gone before it is told that what it sent is no request: waitress logs the `path`.
    """

    path = ""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError("the URL is none") from error


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class, task_class = _Parser, _Task


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """Waitress, with an end for clients that send or take a byte now and then, and for those that take none."""

    channel_class = _Channel

    def maintenance(self, now: float) -> None:
        for channel in list(self.active_channels.values()):
            is_ours = channel.requests and not channel.total_outbufs_len
            is_silent = now - channel.last_activity > SILENCE_SECONDS and not is_ours
            if is_silent or now - channel.creation_time > REQUEST_SECONDS:
                # Not `will_close`, as waitress does: that waits until something can be sent.
                channel.handle_close()

    def run(self) -> None:
        # The trigger, with which other threads wake this one, is the last that is left.
        while len(self._map) > 1:
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        self.trigger.close()

    def drain(self) -> None:
        """Take no more connections, and end each when its answer is sent."""
        wasyncore.dispatcher.close(self)
        for channel in self.active_channels.values():
            channel.close_when_flushed = True

    def cut(self) -> None:
        """End all connections."""
        for channel in list(self.active_channels.values()):
            channel.handle_close()


class Endpoint:
    """Serves an application; use it as a context manager.

    One thread reads and writes all connections and `THREADS` make the answers, so that a client can hold nothing but
    one of `CONNECTIONS`, and that not for long (ADR 0029).

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.

    Raises:
        OSError: When it cannot listen there.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        listener = _bound(host, port)
        self._server = _Server(
            app,
            _sock=listener,
            sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
            bind_socket=False,
            adj=_adjustments(listener),
        )
        self._thread = Thread(target=self._server.run, name="session-log-http", daemon=True)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.effective_port}"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.task_dispatcher.shutdown()
        for end in (self._server.drain, self._server.cut):
            if self._thread.is_alive():
                self._server.trigger.pull_trigger(end)
                self._thread.join(_GRACE_SECONDS)


def _bound(host: str, port: int) -> socket.socket:
    # Not `socket.create_server`: its errors repeat the address.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _adjustments(listener: socket.socket) -> Any:
    return Adjustments(
        sockets=[listener],
        threads=THREADS,
        ident=None,
        backlog=64,
        # It counts what it holds itself, too: where it listens, and the trigger.
        connection_limit=CONNECTIONS + 2,
        cleanup_interval=1,
        # Nobody has more to say to it.
        max_request_header_size=16 << 10,
        max_request_body_size=64 << 10,
        # A client that goes away in the middle is no news.
        log_socket_errors=False,
    )
