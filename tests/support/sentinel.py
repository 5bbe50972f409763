"""A real sentinel that watches one primary."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkey

from support.processes import HOST, free_port, kill, spawn
from support.servers import Server, ValkeyliteServer
from support.waiting import wait_until


@contextmanager
def sentinel_of(primary: Server) -> Iterator[int]:
    """The port of a sentinel that knows the primary as `mymaster`."""
    with tempfile.TemporaryDirectory(prefix="session-log-sentinel-") as directory:
        port, configuration = free_port(), Path(directory) / "sentinel.conf"
        configuration.write_text(f"bind {HOST}\nport {port}\nsentinel monitor mymaster {HOST} {primary.port} 1\n")
        process = spawn([ValkeyliteServer.binary(), configuration, "--sentinel"], Path(directory) / "log")
        try:
            with valkey.Valkey(port=port) as probe:
                wait_until(lambda: _knows(probe), "the sentinel to know its primary")
            yield port
        finally:
            kill(process)


def _knows(probe: valkey.Valkey) -> bool:
    try:
        return bool(probe.execute_command("SENTINEL", "get-master-addr-by-name", "mymaster"))
    except valkey.ValkeyError:
        return False
