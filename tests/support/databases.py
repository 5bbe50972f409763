"""A PostgreSQL of one's own, where it is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.processes import HOST, end, free_port, spawn
from support.servers import ServerUnavailable
from support.waiting import wait_until

_PLACES = "/usr/lib/postgresql/*/bin/postgres"
_USER = "postgres"
_SETTINGS = (
    "fsync=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=30",
    "autovacuum=off",
)


class PostgresServer:
    """`with PostgresServer() as server: ask(server.url)`; whoever is root runs it as the user that its package made.

    Attributes:
        directory: Where its data are.
    """

    def __init__(self) -> None:
        found = sorted(Path("/").glob(_PLACES[1:])) or [Path(shutil.which("postgres") or "")]
        self._bin = found[-1].parent
        if not (self._bin / "initdb").exists():
            raise ServerUnavailable("PostgreSQL is not installed")
        self.directory = Path(tempfile.mkdtemp(prefix="session-log-postgresql-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"] if os.getuid() == 0 else []
        if self._as_user:
            os.chown(self.directory, pwd.getpwnam(_USER).pw_uid, -1)

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}:s3cret@{HOST}:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def start(self) -> None:
        """Start it again, where it was stopped."""
        options = [option for setting in _SETTINGS for option in ("-c", setting)]
        command = [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        self._process = spawn([*self._as_user, *command], self.directory / "log")
        wait_until(self._is_ready, "PostgreSQL to start")

    def _is_ready(self) -> bool:
        asked = [str(self._bin / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self) -> None:
        """Cut all connections, and end."""
        if self._process is not None:
            # Without waiting for those who are connected.
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            end(self._process)
            self._process = None

    def bytes_of_tables(self) -> bytes:
        """All that stands in tables and indexes, once it is on the disk; the write-ahead log is none."""
        psql = [str(self._bin / "psql"), "-q", self.url, "-c", "CHECKPOINT"]
        subprocess.run(psql, check=True)
        return b"".join(path.read_bytes() for path in (self.data / "base").rglob("*") if path.is_file())

    def __enter__(self) -> PostgresServer:
        initdb = [str(self._bin / "initdb"), "-D", str(self.data), "-U", _USER, "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run([*self._as_user, *initdb, "--locale=C"], check=True, stdout=subprocess.DEVNULL)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
