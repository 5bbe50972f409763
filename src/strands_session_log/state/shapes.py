"""What data must look like to be folded: the log also holds what no writer of this library would write.

Whoever may append can append anything, so a fold takes nothing for granted: what is nested deeper than a body can be
written, or is no message, is not handed on to readers who would fail on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

MAX_DEPTH = 254
"""Nesting of a body at most, as orjson writes it. It reads four times as much: more than Python's own stack takes."""

_TOOLS = (("toolUse", ("toolUseId", "name")), ("toolResult", ("toolUseId",)))


def is_shallow(value: Any) -> bool:
    """Whether JSON values are nested no deeper than a body can be."""
    try:
        # Ten times as fast as to look in Python.
        orjson.dumps(value)
    except TypeError:
        return not _is_deep(value)
    return True


def is_message(value: Any) -> bool:
    """Whether a model, and all that stands before it, can take a value for a message."""
    if type(value) is not dict:
        return isinstance(value, Mapping) and is_message(dict(value))
    content = value.get("content")
    if type(content) is not list or type(value.get("role")) is not str:
        return False
    for block in content:
        # Most are text, and this is done for each message of a session.
        is_text = type(block) is dict and len(block) == 1 and type(block.get("text")) is str
        if not is_text and not _is_block(block):
            return False
    return len(value) == 2 or (_is_plain(value) and _is_shallow_beside(value, content))


def _is_shallow_beside(value: Mapping[str, Any], content: Any) -> bool:
    return all(map(is_shallow, [item for item in value.values() if type(item) is not str and item is not content]))


def _is_block(block: Any) -> bool:
    has_texts = _is_plain(block) and all(_has_texts(block[kind], names) for kind, names in _TOOLS if kind in block)
    return has_texts and is_shallow(block)


def _has_texts(value: Any, names: Sequence[str]) -> bool:
    return _is_plain(value) and all(type(value.get(name)) is str for name in names)


def _is_plain(value: Any) -> bool:
    """Whether it is an object, and stays one when it is read: not what stands for bytes, for instance."""
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    return "__bytes_encoded__" not in value and "__encoded__" not in value


def _is_deep(value: Any) -> bool:
    """Looks without going deep itself."""
    left = [(value, 1)]
    while left:
        found, depth = left.pop()
        inner = found.values() if isinstance(found, Mapping) else found if isinstance(found, (list, tuple)) else ()
        if inner and depth > MAX_DEPTH:
            return True
        left += [(one, depth + 1) for one in inner]
    return False
