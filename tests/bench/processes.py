"""Work in a process of its own, that is asked for one round after the other and takes its own time.

The other process may be of another environment: this module wants nothing but Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


class ProcessEnded(RuntimeError):
    """The other process did not do what it was asked for.

    Args:
        command: How it was started.
        said: The last it said.
    """

    def __init__(self, command: Sequence[str], said: str) -> None:
        super().__init__(f"{' '.join(command)}\n{said.strip() or 'ended without an answer'}")


class Apart:
    """A process that serves works by name; it ends with the `with` block.

    Args:
        python: Which Python.
        module: What it runs, which calls `serve`.
        arguments: And with what.
        environment: The variables it has.

    Attributes:
        names: Of the works it has.
    """

    def __init__(self, python: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._command = [python, "-m", module, *arguments]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115, it is closed with the process
        self._process = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            self.names: list[str] = self._answer()["names"]
        except BaseException:
            self.__exit__()
            raise

    def work(self, name: str) -> RemoteWork:
        """One of its works, to be measured."""
        return RemoteWork(self, name)

    def seconds(self, name: str) -> float:
        """Have a work done once.

        Raises:
            ProcessEnded: It failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise ProcessEnded(self._command, self._said.read())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ProcessEnded(self._command, answer["error"])
        return answer


@dataclass(eq=False)
class RemoteWork:
    """A work of another process, as something to measure.

    Attributes:
        process: Whose.
        name: Which.
    """

    process: Apart
    name: str

    def __call__(self) -> float:
        """Have it done."""
        return self.seconds()

    def seconds(self) -> float:
        """Have it done; how long it says it took."""
        return self.process.seconds(self.name)


def serve(works: Mapping[str, Callable[[], float | None]]) -> None:
    """Do works as they are asked for on standard input, until it ends.

    Args:
        works: What there is, by name. A work that returns a number has taken its own time.
    """
    # What others print is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(given: Mapping[str, object]) -> None:
        answers.write(json.dumps(given) + "\n")
        answers.flush()

    answer({"names": list(works)})
    for line in sys.stdin:
        try:
            started = time.perf_counter()
            taken = works[line.strip()]()
            answer({"seconds": time.perf_counter() - started if taken is None else taken})
        except Exception:
            answer({"error": traceback.format_exc(limit=-3)})
