"""The scripts of a page that is kept as a file: in the page itself, each named by its hash in what the page may do.

Browsers load no module from a file, and one inside a page cannot be imported. So the modules of the viewer become one
script, in which the one that asks the server is another: that which reads what stands in the page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Final

from ..settings import STATIC

_MODULES: Final = {
    "columns.js": "columns.js",
    "drawing.js": "drawing.js",
    "shown.js": "shown.js",
    "source.js": "single_page.js",
    "turns.js": "turns.js",
    "finding.js": "finding.js",
    "folding.js": "folding.js",
    "playing.js": "playing.js",
    "timeline.js": "timeline.js",
}
"""What the page of a session imports, in order, and which file that is here."""
_PAGE: Final = "commands.js"
_NAMED: Final = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_WHOLE: Final = re.compile(r'^import \* as (\w+) from "\./([\w.]+)";$', re.MULTILINE)
_DECLARED: Final = re.compile(r"^export ((?:async )?(?:const|class|function)) (\w+)", re.MULTILINE)
_LISTED: Final = re.compile(r"^export \{([^}]*)\};$", re.MULTILINE)
_LEFT: Final = re.compile(r"^(?:import|export)\b|</script|<!--", re.MULTILINE | re.IGNORECASE)
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src {scripts}",
        "style-src {style}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types session-log",
    )
)


@cache
def scripts() -> tuple[str, ...]:
    """What runs before anything is drawn, what every page does, and the page of a session."""
    return (_text("theme.js"), _text("keys.js"), _together())


@cache
def style() -> str:
    """How it looks."""
    return _text("viewer.css")


@cache
def policy() -> str:
    """What a browser may do with the page: run these scripts, and ask nobody for anything."""
    return _POLICY.format(scripts=" ".join(map(_hash, scripts())), style=_hash(style()))


@cache
def icon() -> str:
    """The icon, as an address that has all of it."""
    return "data:image/svg+xml;base64," + base64.b64encode((STATIC / "icon.svg").read_bytes()).decode()


def _text(name: str) -> str:
    return _checked(name, (STATIC / name).read_text(encoding="utf-8"))


def _together() -> str:
    inside = [f'modules["{name}"] = {_function(file)}' for name, file in _MODULES.items()]
    found = "\n".join(['"use strict";', "(() => {", "const modules = {};", *inside, f"{_function(_PAGE)}", "})();\n"])
    return _checked(_PAGE, found)


def _function(name: str) -> str:
    """A module as a function called at once, which returns what the module exports."""
    text = (STATIC / name).read_text(encoding="utf-8")
    exported = [found[2] for found in _DECLARED.finditer(text)]
    exported += [name.strip() for found in _LISTED.finditer(text) for name in found[1].split(",")]
    text = _NAMED.sub(r'const \1 = modules["\2"];', _WHOLE.sub(r'const \1 = modules["\2"];', text))
    text = _LISTED.sub("", _DECLARED.sub(r"\1 \2", text))
    return f"(() => {{\n{text}return {{ {', '.join(exported)} }};\n}})();"


def _checked(name: str, text: str) -> str:
    """A script that stands in a page as it is.

    Raises:
        ValueError: When it would end the element that it stands in, or is still a module.
    """
    if found := _LEFT.search(text):
        raise ValueError(f"{name} cannot stand in a page: it has {found[0]!r}")
    return text


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
