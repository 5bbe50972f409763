"""A web server that has agents run, as a process of its own: `python -m support.agui_program URL NAMESPACE PORT`."""

from __future__ import annotations

import sys
from functools import partial
from subprocess import PIPE

import uvicorn
from starlette.middleware.cors import CORSMiddleware

from strands_session_log import SessionLog
from strands_session_log_consumers.agui import AguiSettings, app

from .processes import HOST, free_port
from .programs import Program
from .served_agui import FOR_ALL, AguiServer, make_adder

PAUSE = 0.02
LEASE = 1.0


class AguiReplica:
    """One of the processes that serve a log, which is killed and started again at the same address.

    Args:
        server_url: Where the log is.
        namespace: Of it.
    """

    def __init__(self, server_url: str, namespace: str) -> None:
        self._port = free_port()
        self._arguments = ["-m", "support.agui_program", server_url, namespace, str(self._port)]
        self.url = f"http://{HOST}:{self._port}/"

    def start(self) -> None:
        """Begin to serve."""
        self._program = Program(self._arguments, stdout=PIPE, text=True)
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == "listening\n"

    def kill(self) -> None:
        """End it as a power cut does."""
        self._program.kill()
        self._program.wait()

    def restart(self) -> None:
        """Kill it, and start it again."""
        self.kill()
        self.start()


class _Serving(AguiServer):
    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("listening\n")
        sys.stdout.flush()


def main(server_url: str, namespace: str, port: str) -> None:
    """Serve until the process is killed."""
    with SessionLog.connect(server_url, namespace) as log:
        served = app(log, partial(make_adder, pause=PAUSE), settings=AguiSettings(lease=LEASE))
        served.add_middleware(CORSMiddleware, **FOR_ALL)
        _Serving(uvicorn.Config(served, HOST, int(port), log_level="error")).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
