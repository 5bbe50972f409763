"""A viewer that is served over HTTP, and its stream of events as a page would take it."""

from __future__ import annotations

import http.client
import json
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from strands_session_log import SessionLog
from strands_session_log_consumers.viewer import ViewerSettings, app
from strands_session_log_consumers.viewer.serving import ViewerServer, server
from support.following import SOON
from support.processes import HOST, free_port


class ServedViewer:
    """`with ServedViewer(log) as viewer: ask(viewer.url)`; it can be stopped, and started again at the same port."""

    def __init__(self, log: SessionLog, settings: ViewerSettings | None = None) -> None:
        self._log, self._settings, self.port = log, settings, free_port()
        self._server: ViewerServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        listens = queue.SimpleQueue[str]()
        self._server = server(app(self._log, settings=self._settings), HOST, self.port, started=listens.put)
        self._thread = Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert listens.get(timeout=SOON) == self.url

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(SOON)
            assert not self._thread.is_alive()
            self._server = self._thread = None

    def __enter__(self) -> ServedViewer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Sent(NamedTuple):
    """A server-sent event."""

    event: str
    data: Any
    id: str


class Stream:
    """What the viewer sends to one page."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._found = queue.SimpleQueue[Sent]()
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields = dict[str, str]()
        with suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while line := self._response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    data = json.loads(fields["data"]) if fields.get("data") else None
                    self._found.put(Sent(fields["event"], data, fields.get("id", "")))
                    fields = {}

    def next(self, event: str, wanted: Callable[[Any], bool] = lambda data: True) -> Sent:
        """The next one of a kind; what else comes is passed over."""
        while True:
            found = self._found.get(timeout=SOON)
            if found.event == event and wanted(found.data):
                return found

    def text(self, until: str) -> str:
        """The HTML of all that happens, until it has something."""
        text = ""
        while until not in text:
            text += "".join(item["html"] for item in self.next("items").data["items"])
        return text

    def join(self) -> None:
        self._thread.join(SOON)
        assert not self._thread.is_alive()


@contextmanager
def streaming(viewer: ServedViewer, query: str, last: str = "", path: str = "") -> Iterator[Stream]:
    """Open the stream of a page, or the one at a path."""
    connection = http.client.HTTPConnection(urlsplit(viewer.url).netloc, timeout=SOON)
    connection.request("GET", path or f"/f/live?{query}", headers={"Last-Event-ID": last} if last else {})
    response = connection.getresponse()
    assert response.status == 200, response.status
    raw = connection.sock
    stream = Stream(response)
    try:
        yield stream
    finally:
        with suppress(OSError):
            # Whoever reads in the other thread is woken, too.
            raw.shutdown(2)
        stream.join()
        connection.close()
