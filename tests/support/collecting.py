"""Workers of pytest-xdist that collect everything, each of them, and compile it only once between them."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def import_share(config: pytest.Config) -> None:
    """In a worker that is about to collect all tests, import those that the others begin with later.

    Rewriting the assertions of a module takes several times as long as all else, and is found by the others on the
    disk when it is done. In one order, all workers would do it for the same module at the same time.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or config.args != config.getini("testpaths"):
        return
    number = int(worker["workerid"].removeprefix("gw"))
    for path in sorted(TESTS.rglob("test_*.py"))[number :: worker["workercount"]]:
        # What cannot be imported is told of where it is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            _import(path)


def _import(path: Path) -> None:
    """By the name by which pytest will ask for it."""
    root, name = path.parent, path.stem
    while (root / "__init__.py").exists():
        root, name = root.parent, f"{root.name}.{name}"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.import_module(name)
