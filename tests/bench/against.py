"""Two versions of the log in one run: what is here, and a commit, each in a process of its own that take turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .measuring import Run
from .processes import Apart
from .rows import Pair, Row

_ROOT = Path(__file__).parents[2]
_ROUNDS = 100


def measure_against(commit: str, run: Run) -> Iterator[Row]:
    """What `versions.py` has, here ÷ there.

    Args:
        commit: As git knows it.
        run: The run.
    """
    with ExitStack() as stack:
        there = stack.enter_context(_checked_out(commit))
        ours, others = (stack.enter_context(_process(root, run)) for root in (_ROOT, there))
        for name in ours.names:
            pair = Pair(f"{name}: here ÷ at {commit}", ours.work(name), others.work(name))
            yield from run.measure([pair], _ROUNDS, name, seconds=20)


def _process(root: Path, run: Run) -> Apart:
    """What is measured is the package of one version, and what measures is of this one."""
    sources = os.pathsep.join(str(root / name) for name in ("src", "consumers"))
    quick = ["--quick"] if run.quick else []
    return Apart(sys.executable, "tests.bench.versions", *quick, environment={**os.environ, "PYTHONPATH": sources})


@contextmanager
def _checked_out(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(_ROOT), *arguments], check=True)
