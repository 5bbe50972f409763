"""What of an event may be told beside it, where nothing can be erased: names, numbers, never text of any length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LONGEST_NAME = 256
_INT64 = 1 << 63


def is_short(value: object) -> bool:
    """Whether it is a number, a name, or nothing, as JSON has them: what else somebody has put there may be content."""
    if isinstance(value, str):
        return len(value) <= LONGEST_NAME and (value.isascii() or _is_unicode(value))
    return value is None or _is_number(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    return isinstance(value, float) and math.isfinite(value)


def counts(usage: Mapping[Any, Any]) -> dict[str, Any]:
    """What is counted, by name, of tokens that a model reports."""
    return {
        name: value
        for name, value in usage.items()
        if isinstance(name, str) and is_short(name) and _is_number(value) and not isinstance(value, bool)
    }
