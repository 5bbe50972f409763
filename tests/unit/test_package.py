"""What PyPI, pip and `import` tell of the package: links that lead somewhere, extras that are used, one version."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import strands_session_log

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(
    (ROOT / "pyproject.toml").read_text()
)
FILES = f"{PROJECT['project']['urls']['Repository']}/blob/v{strands_session_log.__version__}/"
SOURCES = "\n".join(path.read_text() for folder in ("src", "consumers") for path in (ROOT / folder).rglob("*.py"))
FOR_DEVELOPERS = {"dev", "bench"}


def readme_on_pypi() -> str:
    """As hatch-fancy-pypi-readme makes it when the package is built."""
    text = (ROOT / "README.md").read_text()
    for one in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    return text.replace("$HFPR_VERSION", strands_session_log.__version__)


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_of_the_readme_leads_somewhere_from_pypi() -> None:
    links = re.findall(r"\]\(([^)]*)\)", readme_on_pypi())
    ours = [link.removeprefix(FILES) for link in links if link.startswith(FILES)]
    assert len(ours) > 20
    assert {link for link in links if not link.startswith(FILES)} <= {"https://strandsagents.com", "https://valkey.io"}
    for path, _, anchor in (link.partition("#") for link in ours):
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in headings(ROOT / path), f"{path} has no heading {anchor}"


def test_every_page_of_the_project_lies_in_its_repository() -> None:
    urls = PROJECT["project"]["urls"]
    assert set(urls) == {"Repository", "Documentation", "Changelog", "Issues"}
    assert all(url.startswith(urls["Repository"]) for url in urls.values())


def test_the_version_is_the_one_that_is_installed() -> None:
    assert strands_session_log.__version__ == version("strands-session-log")


@pytest.mark.parametrize("extra", sorted(set(PROJECT["project"]["optional-dependencies"]) - FOR_DEVELOPERS))
def test_what_an_extra_installs_is_used(extra: str) -> None:
    for requirement in PROJECT["project"]["optional-dependencies"][extra]:
        name = re.sub(r"-(py|protocol|agents)$", "", re.split(r"[^\w-]", requirement)[0]).replace("-", "_")
        name = {"pyyaml": "yaml"}.get(name, name)
        assert re.search(rf"(import|from) {name}\b|find_spec\(\"{name}\"\)", SOURCES), requirement
