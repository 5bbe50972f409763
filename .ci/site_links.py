"""Links of the site: the README is its first page, and what lies outside `docs/` is shown by the repository."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
log = logging.getLogger("mkdocs.hooks")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Make the README the first page."""
    content = _relinked((ROOT / "README.md").read_text(), "README.md", "index.md", config.repo_url)
    files.append(File.generated(config, "index.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Lead each link to a page of the site, or into the repository."""
    if page.file.src_uri == "index.md":
        return markdown
    return _relinked(markdown, f"docs/{page.file.src_uri}", page.file.src_uri, config.repo_url)


def _relinked(markdown: str, source: str, page: str, repository: str) -> str:
    def to(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        return f"]({_address(target, source, page, repository)}{match[2] or ''})"

    return LINK.sub(to, markdown)


def _address(target: str, source: str, page: str, repository: str) -> str:
    path = ROOT / target
    if not path.exists():
        log.warning("%s links to %s, which is not there", source, target)
    inside = "index.md" if target == "README.md" else target.removeprefix("docs/")
    if path.is_dir() and (path / "README.md").exists():
        inside += "/README.md"
    if (target.startswith("docs/") and (ROOT / "docs" / inside).is_file()) or inside == "index.md":
        return posixpath.relpath(inside, posixpath.dirname(page) or ".")
    return f"{repository}/{'tree' if path.is_dir() else 'blob'}/main/{target}"
