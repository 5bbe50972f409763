"""A receiver of webhooks, and the ways in which one may fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

from support.processes import HOST


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def number(self) -> int:
        return int(self.event["data"]["number"])

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Way = Callable[["Handling", Received], bool]
"""Answers a request, and tells whether that is all that is said."""


class Handling(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    receiver: WebhookReceiver

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Whoever sent it gave up on the way: it waits no longer than it was told, however busy the machine.
            self.close_connection = True
            return
        received = Received({name.lower(): value for name, value in self.headers.items()}, body)
        self.receiver.take(self, received)

    def answer(self, status: int, **headers: str) -> bool:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", "0")
        self.end_headers()
        return True

    def log_message(self, *_: Any) -> None:
        """Nothing is to be printed."""


class WebhookReceiver:
    """`with WebhookReceiver() as receiver: forward_to(receiver.url)`.

    Attributes:
        way: What it does with a request; it takes everything unless told otherwise.
        asked: All requests there were.
        taken: Those that it has taken.
    """

    def __init__(self, way: Way | None = None, port: int = 0) -> None:
        self.way, self.asked, self.taken = way, list[Received](), list[Received]()
        self.closing, self._lock = Event(), Lock()
        handling = type("Handling", (Handling,), {"receiver": self})
        self._server = ThreadingHTTPServer((HOST, port), handling)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    def take(self, handling: Handling, received: Received) -> None:
        with self._lock:
            self.asked.append(received)
            way = self.way
        if way is None or not way(handling, received):
            with self._lock:
                self.taken.append(received)
            handling.answer(204)

    def __enter__(self) -> WebhookReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def failing(times: int, way: Way) -> Way:
    """Fail so often, and take all from then on."""
    left = [times]

    def fail(handling: Handling, received: Received) -> bool:
        if left[0] <= 0:
            return False
        left[0] -= 1
        return way(handling, received)

    return fail


def _cut(handling: Handling, _: Received) -> bool:
    handling.close_connection = True
    handling.connection.shutdown(socket.SHUT_RDWR)
    return True


def _nonsense(handling: Handling, _: Received) -> bool:
    handling.wfile.write(b"what?\r\n\r\n")
    return _cut(handling, _)


def _half(handling: Handling, _: Received) -> bool:
    handling.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    handling.wfile.flush()
    return _cut(handling, _)


def _silent(handling: Handling, _: Received) -> bool:
    handling.receiver.closing.wait(30)
    handling.close_connection = True
    return True


def _dripping(handling: Handling, _: Received) -> bool:
    handling.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    try:
        while not handling.receiver.closing.wait(0.05):
            handling.wfile.write(b".")
            handling.wfile.flush()
    except OSError:
        pass
    handling.close_connection = True
    return True


WAYS: dict[str, Way] = {
    "an error of its own": lambda handling, _: handling.answer(500),
    "it is not ready": lambda handling, _: handling.answer(503, retry_after="0"),
    "too many": lambda handling, _: handling.answer(429, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"),
    "it does not know the sender": lambda handling, _: handling.answer(401),
    "it was moved": lambda handling, _: handling.answer(302, location="http://127.0.0.1:1/"),
    "it refuses": lambda handling, _: handling.answer(400),
    "it cuts the connection": _cut,
    "it talks nonsense": _nonsense,
    "it cuts the answer": _half,
    "it says nothing": _silent,
    "it never comes to an end": _dripping,
}
"""All that end well once it is itself again."""
