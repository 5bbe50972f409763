"""The official client of AG-UI, as npm has it, in Node and for browsers; and web servers for it that can be killed."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .agui_program import AguiReplica
from .processes import HOST

_CLIENT = Path(__file__).parents[1] / "agui" / "client"


@cache
def installed_client() -> Path:
    """The directory of the programs that use it, built for browsers, too; by one worker of pytest-xdist at a time."""
    made_of = "".join((_CLIENT / name).read_text() for name in ("package.json", "page.mjs", "client.mjs", "agent.mjs"))
    made = _CLIENT / "node_modules" / ".made-of"
    with (_CLIENT / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.read_text() != made_of:
            for command in (["npm", "install", "--silent", "--no-package-lock"], ["npm", "run", "--silent", "build"]):
                subprocess.run(command, cwd=_CLIENT, check=True)
            made.write_text(made_of)
    return _CLIENT


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def served_page() -> Iterator[str]:
    """Where a browser finds the page, whatever becomes of the replicas."""
    server = ThreadingHTTPServer((HOST, 0), partial(_Quiet, directory=str(installed_client())))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{HOST}:{server.server_port}/page.html"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def started_replicas(server_url: str, namespace: str) -> Iterator[Callable[[], AguiReplica]]:
    """Starts web servers of a log; what still runs is killed at the end."""
    started = list[AguiReplica]()

    def start() -> AguiReplica:
        started.append(AguiReplica(server_url, namespace))
        started[-1].start()
        return started[-1]

    yield start
    for replica in started:
        replica.kill()
