"""Names of a package that are loaded when they are asked for: a command pays for what it uses, not for all there is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_demand(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package; type checkers are shown the imports instead.

    Args:
        package: Its name.
        homes: By module, relative to the package, the names it has, separated by blanks; under `""`, modules that are
            public themselves.
    """
    modules = homes.get("", "").split()
    home = {name: f".{module or name}" for module, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(home[name], package)
        found = module if name in modules else getattr(module, name)
        # From now on it is one like all others.
        setattr(sys.modules[package], name, found)
        return found

    return load, lambda: sorted(home)
