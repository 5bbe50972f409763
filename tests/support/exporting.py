"""`session-log serve-metrics` as a process of its own."""

from __future__ import annotations

import http.client
import re
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from .programs import COMMAND_LINE, Program
from .waiting import wait_until


class ExporterProcess:
    """An exporter; a context manager.

    Args:
        url: The log's server.
        namespace: The log's namespace.
        directory: Where its log goes.
        options: More for its command line.
    """

    def __init__(self, url: str, namespace: str, directory: Path, *options: str) -> None:
        serve = ["serve-metrics", "--port", "0", "--url", url, "--namespace", namespace, *options]
        self._arguments = [*COMMAND_LINE, *serve]
        self._log = directory / f"exporter-{id(self)}.log"

    def __enter__(self) -> ExporterProcess:
        with self._log.open("ab") as log:
            self.process = Program(self._arguments, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self._found() or self.process.poll() is not None, "the exporter's address", timeout=30)
        assert self.process.poll() is None, self.output
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(20)

    @property
    def output(self) -> str:
        """What it wrote."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def address(self) -> str:
        """Host and port."""
        found = self._found()
        assert found, self.output
        return found[1]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def wait_until_ready(self) -> None:
        """Wait until it counts."""
        wait_until(lambda: self.get("/readyz")[0] == 200, "the exporter to be ready", timeout=30)

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"strands_session_log_{name}" and labels.items() <= sample.labels.items()
        )

    def _found(self) -> re.Match[str] | None:
        return re.search(r"Serving http://(\S+)/metrics", self.output)
