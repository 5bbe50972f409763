"""What a session's head, and the namespace's `config`, say: read strictly, or refused with the key and a cure.

A server may hold anything under these keys. Who reads them must neither go on with junk nor fail without a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import CorruptKeyError, shown
from ..ids import EventId, Ranges
from ..server import text
from .chained_batch import Position

T = TypeVar("T")

CURE = "restore it from a backup, or delete the session"

# Lua writes whole numbers below 10^14 out in full; no script goes on from a larger one.
_WHOLE = re.compile(r"[0-9]{1,14}")
_LINK = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST_SHOWN = 60


def parsed(key: str, field: str, value: Any, parse: Callable[[str], T], cure: str = CURE) -> T:
    """Read a field of a hash.

    Args:
        key: The hash.
        field: The field.
        value: What it holds, decoded or not; None when there is none.
        parse: Reads its text; raises `ValueError` where it is not what it should be.
        cure: What to do about it then.

    Raises:
        CorruptKeyError: When the field is missing or cannot be read.
    """
    if value is None:
        raise CorruptKeyError(key, f"it has no field {field!r}", cure)
    try:
        return parse(text(value))
    except ValueError as error:
        held = shown(value)[:_LONGEST_SHOWN]
        raise CorruptKeyError(key, f"its field {field!r} holds {held} ({error})", cure) from error


def whole(value: str) -> int:
    """A whole number from 0 on.

    Raises:
        ValueError: When it is none, or one that no script could go on from.
    """
    if not _WHOLE.fullmatch(value):
        raise ValueError("not a whole number below 10**14")
    return int(value)


def link(value: str) -> str:
    """A link of the hash chain.

    Raises:
        ValueError: When it is not 32 bytes in base64url.
    """
    if not _LINK.fullmatch(value):
        raise ValueError("not 43 characters of base64url")
    return value


def position_of(key: str, reply: Sequence[Any]) -> Position | None:
    """Where a head stands, from its `revision`, `link` and `ms`; None where there is no head.

    Raises:
        CorruptKeyError: When one of them cannot be read.
    """
    if all(value is None for value in reply):
        return None
    revision, at, ms = reply
    id_ = EventId(parsed(key, "ms", ms, whole), parsed(key, "revision", revision, whole))
    return Position(id_, parsed(key, "link", at, link))


def erased_of(key: str, value: Any) -> str:
    """A head's `erased` field, as it stands there; empty where there is none.

    Raises:
        CorruptKeyError: When it is not what it should be.
    """
    if value is None:
        return ""
    parsed(key, "erased", value, Ranges.parse)
    return text(value)
