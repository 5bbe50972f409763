"""How long somebody waits at a prompt: `session-log` until it does something, beside what it cannot do without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from strands_session_log import SessionLog, events

from ..measuring import Run
from ..rows import Call, Pair, Row

_ROUNDS = 60
_LEAST = "import valkey, typer, rich"
_BARE = """
import typer, valkey
from rich.console import Console
app = typer.Typer()
@app.command()
def sessions(url: str, limit: int = 50) -> None:
    found = valkey.Valkey.from_url(url).zrange("sessions", 0, limit)
    Console().print(f"{len(found)} sessions")
app()
"""
_OURS = "from strands_session_log.cli import main; main()"


def rows(run: Run) -> Iterator[Row]:
    """Whole processes, with bytecode that a first one has left."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"embedded://{directory}/sessions"
        with SessionLog.connect(url) as log:
            log.append("s", events.Custom("custom.note", {}))
            environment = _environment(url, directory)
            socket = f"unix://{Path(directory, 'sessions', 'valkey.sock')}"
            version, sessions = (_program(environment, _OURS, word) for word in ("--version", "sessions"))
            least, bare = _program(environment, _LEAST), _program(environment, _BARE, socket)
            pairs = [
                Pair(f"start `session-log` ÷ `python -c '{_LEAST}'`", version, least, 1.3),
                Pair("`session-log sessions` ÷ a bare Typer program that asks the server and prints", sessions, bare),
            ]
            yield from run.measure(pairs, _ROUNDS, "starting programs")


def _environment(url: str, directory: str) -> Mapping[str, str]:
    mine = {"SESSION_LOG_URL": url, "PYTHONPYCACHEPREFIX": f"{directory}/bytecode"}
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, **mine}


def _program(environment: Mapping[str, str], *arguments: str) -> Call:
    def call() -> None:
        subprocess.run([sys.executable, "-c", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)

    return call
