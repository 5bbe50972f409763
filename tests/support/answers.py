"""An application that takes persons' answers, as far as a viewer knows one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class TakenAnswer(NamedTuple):
    """What came.

    Attributes:
        headers: Of the request, in lower case.
        body: As it came.
    """

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.body)


class Application:
    """Takes answers at `url`; with another `status` it refuses them, or sends who asks elsewhere.

    Attributes:
        url: Where it is.
        taken: What came, in order.
        status: How it answers.
        location: Where it sends who asks, if its status says so.
    """

    def __init__(self, url: str) -> None:
        self.url, self.status, self.location = url, 204, ""
        self.taken = list[TakenAnswer]()


@contextmanager
def application() -> Iterator[Application]:
    """One that runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.taken.append(TakenAnswer({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.status)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            found.taken.append(TakenAnswer({}, b"{}"))
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    found = Application(f"http://127.0.0.1:{server.server_port}/answers")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
