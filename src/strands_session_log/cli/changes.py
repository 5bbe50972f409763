"""Changes of structured values, one line for each value: where it stands, what it was and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from ..state import Change
from .messages import compact

REMOVED, ADDED = "red", "green"
_LONGEST_VALUE = 2_000


def change_lines(changes: Iterable[Change]) -> Iterator[Text]:
    """`- path  what it was` and `+ path  what it is`."""
    for change in changes:
        if change.kind != "added":
            yield _line("-", REMOVED, change.path, change.before)
        if change.kind != "removed":
            yield _line("+", ADDED, change.path, change.after)


def changed_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Text]:
    """What differs between two objects."""
    return change_lines(Change.between(before, after))


def path_of(steps: Sequence[str | int]) -> str:
    """`cart.items[2].count`; a key that would not be recognised in it stands in quotes: `cart["a b"]`."""
    parts = [f".{step}" if _is_plain(step) else f"[{compact(step)}]" for step in steps]
    return "".join(parts).removeprefix(".")


def _is_plain(step: str | int) -> bool:
    return isinstance(step, str) and re.fullmatch(r"[\w-]+", step) is not None


def _line(sign: str, style: str, path: Sequence[str | int], value: object) -> Text:
    return Text.assemble((f"{sign} {path_of(path)}  ", f"bold {style}"), (compact(value, _LONGEST_VALUE), style))
