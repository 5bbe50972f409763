"""A network in between: carries bytes to a local server and back, each after a delay, in a process of its own.

The proxy of the tests looks into what it carries, which costs time of its own; this one does not. Run as a script, it
prints the port it listens on, and ends with its standard input.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue

_HOST = "127.0.0.1"
_CHUNK = 1 << 18


@contextmanager
def relay(port: int, delay: float) -> Iterator[str]:
    """The URL of a server that stands on a local port, so many seconds away."""
    command = [sys.executable, str(Path(__file__)), str(port), str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"valkey://{_HOST}:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def main(port: int, delay: float) -> None:
    """Serve until standard input ends."""
    listener = socket.create_server((_HOST, 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    _in_background(_serve, listener, port, delay)
    sys.stdin.read()


def _serve(listener: socket.socket, port: int, delay: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((_HOST, port))
        for source, sink in ((client, server), (server, client)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            under_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            _in_background(_take, source, under_way, delay)
            _in_background(_deliver, sink, under_way)


def _take(source: socket.socket, under_way: SimpleQueue[tuple[float, bytes]], delay: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        under_way.put((time.monotonic() + delay, data))


def _deliver(sink: socket.socket, under_way: SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, data = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                return sink.shutdown(socket.SHUT_WR)
            sink.sendall(data)


def _in_background(work: Callable[..., object], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
