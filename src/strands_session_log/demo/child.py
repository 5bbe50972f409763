"""A process of the demo, as its parent sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from ..errors import SessionLogError

_PACKAGE, _ROOT = __package__, str(Path(__file__).parents[2])
_SECONDS = 30.0
URL_VARIABLE = "SESSION_LOG_DEMO_URL"


class DemoError(SessionLogError):
    """A process of the demo did not do what it was started for.

    Attributes:
        pid: The process.
        reason: What it did instead.
    """

    def __init__(self, pid: int, reason: str) -> None:
        self.pid, self.reason = pid, reason
        super().__init__(f"process {pid} of the demo {reason}")


class Child:
    """One process of the demo; it does not outlive the `with` block.

    Args:
        url: Where the server is; others can see what a process is started with, so it stands in the environment.
        arguments: What it is started with; see `process.main`.
    """

    def __init__(self, url: str, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", _PACKAGE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**_environment(), URL_VARIABLE: url},
        )
        self.pid = self._process.pid
        # Whatever it hangs on, nobody waits for it forever.
        self._watchdog = threading.Timer(_SECONDS, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    def hear(self, word: str) -> int:
        """Wait until it says a word; returns the number that comes with it.

        Raises:
            DemoError: When it ends instead.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said, _, number = line.strip().partition(" ")
            if said == word:
                return int(number)
        raise DemoError(self.pid, f"ended early, exit code {self._process.wait()}: {self._last_words()}")

    def kill(self) -> int:
        """SIGKILL, by its id; returns the negative signal number it died of."""
        self._process.kill()
        return self._process.wait()

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        return self._process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _environment() -> dict[str, str]:
    """The same package as here, and nothing that happens to lie in the current directory."""
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
