"""The documentation site: it builds without a warning, and what its pages list is what there is."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import yaml
from typer.main import get_command

import strands_session_log
from strands_session_log import errors
from strands_session_log.cli.app import app
from support.command_line import commands_in

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.exhaustive
def test_the_site_builds_and_every_link_in_it_leads_somewhere(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "-f",
        ".ci/mkdocs.yml",
        "--site-dir",
        str(tmp_path),
    ]
    # `make docs` has the pages made from docstrings, too; they take several times as long as all others.
    environment = {**os.environ, "DOCS_REFERENCE": "false"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "An agent that remembers" in (tmp_path / "index.html").read_text(), "the README is the first page"
    commands = (tmp_path / "reference" / "commands" / "index.html").read_text()
    names = [name.replace(" ", "-") for name, _ in commands_in(get_command(app))]
    assert [name for name in names if f'id="session-log-{name}"' not in commands] == []


def test_the_reference_has_every_public_name_once() -> None:
    listed = [one for _, _, objects in runpy.run_path(str(ROOT / ".ci" / "reference.py"))["pages"]() for one in objects]
    public = {f"strands_session_log.{name}" for name in strands_session_log.__all__}
    modules = {f"strands_session_log.{name}" for name in ("errors", "events", "instrumentation")}
    assert public - modules <= set(listed)
    assert {f"strands_session_log.errors.{name}" for name in errors.__all__} <= set(listed)
    assert "strands_session_log_consumers.otel.session_spans" in listed
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("name", ["demo", "tail-live"])
def test_a_recording_is_a_small_picture_that_loads_nothing(name: str) -> None:
    picture = (DOCS / "recordings" / f"{name}.svg").read_text()
    shown = "".join(ElementTree.fromstring(picture).itertext())
    assert {"demo": "✓ the hash chain of all events verifies", "tail-live": "A light rain jacket"}[name] in shown
    assert len(picture) < 100_000
    assert re.findall(r"https?://[^\"]*|href|<script|@import|url\(", picture) == ["http://www.w3.org/2000/svg"]
    assert f"recordings/{name}.svg" in (ROOT / "README.md").read_text()


def test_the_page_about_troubles_has_every_error_there_is() -> None:
    named = re.findall(r"^\| `(\w+)`", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    every = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    raised = {name for name in every if issubclass(getattr(errors, name), Exception)} - {"SessionLogError"}
    assert sorted(named) == sorted(raised)


def test_every_alert_has_a_runbook() -> None:
    groups = yaml.safe_load((ROOT / "dashboards/prometheus/rules/alerts.yml").read_text())["groups"]
    rules = {rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    books = re.findall(r"^### (SessionLog\w+)\n\n(\w+)\.", (DOCS / "operations.md").read_text(), re.MULTILINE)
    assert {name: severity.lower() for name, severity in books} == rules


def started() -> dict[str, list[str]]:
    """What the files for systemd and Kubernetes call `session-log` with, by where that stands."""
    units = {path.name: path.read_text() for path in (DOCS / "deploy").glob("*.service")}
    found = {
        name: shlex.split(re.findall(r"^ExecStart=\S+/session-log (.+)$", unit, re.MULTILINE)[0])
        for name, unit in units.items()
    }
    for manifest in yaml.safe_load_all((DOCS / "deploy" / "kubernetes.yaml").read_text()):
        template = manifest["spec"].get("template") or manifest["spec"].get("jobTemplate", {}).get("spec", {}).get(
            "template"
        )
        for container in template["spec"]["containers"] if template else []:
            found[manifest["metadata"]["name"]] = container["args"]
    return found


@pytest.mark.parametrize(("place", "called"), started().items())
def test_a_service_is_started_with_options_that_its_command_has(place: str, called: list[str]) -> None:
    name, *options = called
    group: Any = get_command(app)
    with click.Context(group) as context:
        command = group.get_command(context, name)
        parsed = command.make_context(name, options, parent=context)
    assert parsed.params, place


def test_a_page_explains_each_word_once_in_order() -> None:
    words = re.findall(r"^\| ([\w ]+) \| [A-Z]", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) > 40
    assert words == sorted(set(words))
