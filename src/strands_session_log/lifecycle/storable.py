"""What the log can keep of a value that anybody may have put anywhere: as much as can be stored, and no error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import from_json, to_json
from ..errors.quoting import text_of

_DEEPEST, _MOST = 8, 1_000
"""Levels, and objects in all, that are looked into for what cannot be stored; of what is beyond, only its type is."""


def storable(value: Any) -> Any:
    """A copy of a value; what of it cannot be stored is there as its text."""
    return _Copy().of(value, 0)


class _Copy:
    def __init__(self) -> None:
        self._left = _MOST

    def of(self, value: Any, depth: int) -> Any:
        has_parts = isinstance(value, (Mapping, list, tuple))
        if has_parts and not (self._left and depth <= _DEEPEST):
            return f"({type(value).__name__})"
        try:
            # With room for what it is put into.
            return from_json(to_json([[value]]))[0][0]
        except Exception:
            return self._in_part(value, depth + 1) if has_parts else text_of(value)

    def _in_part(self, value: Any, depth: int) -> Any:
        self._left -= 1
        try:
            if isinstance(value, Mapping):
                return {text_of(name): self.of(one, depth) for name, one in value.items()}
            return [self.of(one, depth) for one in value]
        except Exception:
            # Whatever it is made of runs code of its own.
            return text_of(value)
