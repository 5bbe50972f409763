"""A real Prometheus on a loopback port that scrapes every second."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from .processes import HOST, end, free_port, spawn
from .waiting import wait_until


class Prometheus:
    """Prometheus, in a directory of its own; a context manager.

    Args:
        directory: Where it keeps its data and its log.
        jobs: What to scrape: addresses by job.
        rules: Rule files.
    """

    def __init__(self, directory: Path, jobs: Mapping[str, Sequence[str]], rules: Sequence[Path] = ()) -> None:
        self._directory, self.port = directory, free_port()
        scraped = [{"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in jobs.items()]
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": scraped,
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))

    def __enter__(self) -> Prometheus:
        command = [
            "prometheus",
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]
        self._process = spawn(command, self._directory / "prometheus.log")
        wait_until(self._is_ready, "Prometheus", timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples an expression has now, those that are no number left out."""
        found = self._ask("query", query=expression)["result"]
        return [one for one in found if one["value"][1] not in ("NaN", "+Inf", "-Inf")]

    def query_range(self, expression: str, seconds: int = 10) -> list[dict[str, Any]]:
        """The series an expression had lately."""
        now = time.time()
        found: list[dict[str, Any]] = self._ask("query_range", query=expression, start=now - seconds, end=now, step=1)[
            "result"
        ]
        return found

    def value(self, expression: str) -> float | None:
        """The one number an expression has; None if it has none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def rules(self) -> list[dict[str, Any]]:
        """The rules, and how they fare."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def healthy_targets(self) -> set[str]:
        """The jobs of which every target is scraped."""
        targets = self._ask("targets")["activeTargets"]
        ill = {target["labels"]["job"] for target in targets if target["health"] != "up"}
        return {target["labels"]["job"] for target in targets} - ill

    def _ask(self, what: str, **parameters: object) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        connection.request("GET", f"/api/v1/{what}?{urlencode(parameters)}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["status"] == "success", answer
        return answer["data"]

    def _is_ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
