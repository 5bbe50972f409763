"""The verifiers as files that go into a bundle: what `evidence.verifier` is in one file, and the same in JavaScript."""

from __future__ import annotations

import ast
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

_HERE = Path(__file__).parent
_MODULES = ("archive", "texts", "seals", "session", "bundle", "command")
"""Each uses those before it only."""
_SCRIPT, _POLICY, _STYLE = "/* verify.mjs */", "/* policy */", "/* verify.css */"


@lru_cache
def verifier_files() -> tuple[tuple[str, bytes], ...]:
    """Name and content of `verify.py`, `verify.mjs` and `verify.html`, the same in every bundle of a release."""
    script = (_HERE / "verify.mjs").read_text(encoding="utf-8")
    return ("verify.py", _one_file().encode()), ("verify.mjs", script.encode()), ("verify.html", _page(script).encode())


def _one_file() -> str:
    """The modules of `verifier` as one file, in which nothing is imported but the standard library."""
    texts = [(_HERE / "verifier" / f"{name}.py").read_text(encoding="utf-8") for name in _MODULES]
    parts = [_Part(text) for text in texts]
    imports = sorted({line for part in parts for line in part.imports}, key=lambda line: (line[:4] == "from", line))
    about = ast.get_docstring(ast.parse(texts[-1]), clean=False)
    head = f'#!/usr/bin/env python3\n"""{about}"""\n\nfrom __future__ import annotations\n'
    return "\n".join((head, "\n".join(imports), *(part.rest for part in parts)))


class _Part:
    """A module taken apart.

    Attributes:
        imports: What it imports of the standard library, a line each.
        rest: What is no import.
    """

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        gone, self.imports = set[int](), list[str]()
        for number, node in enumerate(ast.parse(text).body):
            is_about = number == 0
            if not is_about and not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            gone |= set(range(node.lineno - 1, node.end_lineno or node.lineno))
            is_other = isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__")
            if not is_about and not is_other:
                self.imports.append(ast.unparse(node))
        self.rest = "\n".join(line for number, line in enumerate(lines) if number not in gone).strip("\n") + "\n\n"


def _page(script: str) -> str:
    page = (_HERE / "verify.html").read_text(encoding="utf-8")
    style = page.partition("<style>")[2].partition("</style>")[0]
    # Only a file may begin with the name of its interpreter.
    page = page.replace(_SCRIPT, script.partition("\n")[2])
    script = page.partition('<script type="module">')[2].partition("</script>")[0]
    sources = " ".join(f"{kind}-src {_digest(text)};" for kind, text in (("script", script), ("style", style)))
    return page.replace(_POLICY, f"default-src 'none'; {sources} base-uri 'none'; form-action 'none'")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
