"""`session-log view` as a process of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .programs import COMMAND_LINE, Program
from .waiting import wait_until


class ViewerProcess:
    """A viewer; a context manager.

    Args:
        environment: In which it finds the log.
        directory: Where its log goes.
        options: More for its command line.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path, *options: str) -> None:
        self._environment = environment
        self._arguments = [*COMMAND_LINE, "view", "--port", "0", "--no-browser", *options]
        self._log = directory / f"viewer-{id(self)}.log"

    def __enter__(self) -> ViewerProcess:
        with self._log.open("ab") as log:
            self.process = Program(
                self._arguments, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: self.address or self.process.poll() is not None, "the viewer's address", timeout=30)
        assert self.address, self.output
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    @property
    def output(self) -> str:
        """What it wrote."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def address(self) -> str:
        """What it printed, with the token."""
        found = re.search(r"Serving (http://\S+)", self.output)
        return found[1] if found else ""

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.address).port or 0

    @property
    def url(self) -> str:
        """Where its pages are, without a slash at the end."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"
