"""A PostgreSQL of a test's own; skips it where none is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.processes import HOST, free_port

_NOBODY = 65534


class PostgresServer:
    """`with PostgresServer(tmp_path) as server: psycopg.connect(server.url)`.

    Args:
        place: A directory for its data.
    """

    def __init__(self, place: Path) -> None:
        self._programs, self._data, self._port = _programs(), place / "postgres", free_port()
        # It does not run as root, and directories of pytest are its user's alone.
        is_root = os.getuid() == 0
        self._user = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if is_root else []
        self._data.mkdir()
        if is_root:
            os.chown(self._data, _NOBODY, _NOBODY)
            for parent in (place, *place.parents):
                if not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o001)

    @property
    def url(self) -> str:
        return f"postgresql://audit@{HOST}:{self._port}/postgres"

    def _call(self, program: str, *arguments: object) -> None:
        words = [*self._user, self._programs / program, "-D", self._data, *arguments]
        # What it starts would keep a pipe open.
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def __enter__(self) -> PostgresServer:
        self._call("initdb", "-U", "audit", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = f"-p {self._port} -k {self._data} -h {HOST} -F"
        self._call("pg_ctl", "-w", "-l", self._data / "log", "-o", options, "start")
        return self

    def __exit__(self, *_: Any) -> None:
        self._call("pg_ctl", "-m", "immediate", "stop")


def _programs() -> Path:
    found = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")
    if not found:
        pytest.skip("PostgreSQL is not installed")
    return Path(found).resolve().parent
