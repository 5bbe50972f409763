"""The reference pages of the site, made from docstrings and from what the commands say of themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = "strands_session_log"
CONSUMERS = "strands_session_log_consumers"
TITLES = {
    "session_log": "The log",
    "session_manager": "Session manager",
    "recorder": "Recorder",
    "live": "Word by word",
    "storage": "Storage",
    "subscription": "Subscriptions",
    "tail": "Tails",
    "state": "What a session amounts to",
    "audit": "Verifying",
    "evidence": "Evidence",
    "encryption": "Encryption",
    "server": "The server",
}
"""Pages of what `strands_session_log` has, by the package it comes from; the rest is on a page of its own."""
MODULES = {
    "events": (f"{PACKAGE}.events",),
    "errors": (f"{PACKAGE}.errors",),
    "instrumentation": (f"{PACKAGE}.instrumentation",),
    "moving": (f"{PACKAGE}.moving",),
    "seals": (f"{PACKAGE}.seals",),
    "testing": (f"{PACKAGE}.testing",),
    "exports.cloudevents": (f"{PACKAGE}.exports.cloudevents",),
    "consumers": tuple(
        f"{CONSUMERS}.{path.parent.name}" for path in sorted((ROOT / "consumers").glob("*/*/__init__.py"))
    ),
}
"""Pages of modules that are public themselves, whole."""


def on_config(config: Any) -> Any:
    """Put the pages under Reference."""
    section = next(one["Reference"] for one in config.nav if "Reference" in one)
    section.append({"Commands": "reference/commands.md"})
    if config.plugins["mkdocstrings"].config.enabled:
        section.append({"Python": [{title: f"reference/{page}.md"} for page, title, _ in pages()]})
    return config


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Make the pages."""
    for page, title, objects in pages() if config.plugins["mkdocstrings"].config.enabled else ():
        blocks = "\n\n".join(f"::: {one}" for one in objects)
        files.append(File.generated(config, f"reference/{page}.md", content=f"# {title}\n\n{blocks}\n"))
    files.append(File.generated(config, "reference/commands.md", content=_commands()))
    return files


def pages() -> Iterator[tuple[str, str, list[str]]]:
    """Name, title and objects of each page."""
    names = _homes()
    for home, title in TITLES.items():
        yield home, title, [f"{PACKAGE}.{name}" for name, of in names.items() if of == home]
    others = [f"{PACKAGE}.{name}" for name, of in names.items() if of not in TITLES]
    yield "more", "More names", others
    for page, modules in MODULES.items():
        objects = [f"{module}.{name}" for module in modules for name in _exported(module)]
        yield page, modules[0] if len(modules) == 1 else CONSUMERS, objects


def _homes() -> dict[str, str]:
    """By each public name of the package that is no module, the package in it that it comes from."""
    tree = _parsed(PACKAGE)
    imported = {
        alias.asname or alias.name: (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for alias in node.names
    }
    return {name: imported[name] for name in _exported(PACKAGE) if name in imported}


def _exported(module: str) -> list[str]:
    """What a module names in `__all__`, in its order."""
    for node in _parsed(module).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets
        ):
            return [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
    return []


def _parsed(module: str) -> ast.Module:
    path = ROOT / ("consumers" if module.startswith(CONSUMERS) else "src") / module.replace(".", "/")
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())


def _commands() -> str:
    """Every command with its arguments and options, as Typer writes it."""
    import typer
    from typer.cli import get_docs_for_click
    from typer.core import MARKUP_MODE_KEY
    from typer.main import get_command

    from strands_session_log.cli.app import app

    group: Any = get_command(app)
    context = typer.Context(group, info_name="session-log", obj={MARKUP_MODE_KEY: "rich"})
    return get_docs_for_click(obj=group, ctx=context, name="session-log", title="Commands")
