"""How replies are laid out differs with the protocol of a connection, RESP2 or RESP3, and with the client's options.

Here it is made one. Ask with `NEVER_DECODE` and the command's name as bytes, so that the driver leaves a reply as it
came; then a map is a dict (RESP3) or names and values in turn (RESP2), and pairs with scores are nested or flat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NUMBER = re.compile(rb"[0-9]{1,18}")


def text(value: bytes | str) -> str:
    """A reply as text, whether or not the client decodes."""
    return value.decode() if isinstance(value, bytes) else value


def number(value: bytes | str | None) -> int:
    """A count or a time that anybody may have written; 0 for what is none."""
    held = value.encode(errors="replace") if isinstance(value, str) else value
    return int(held) if held and _NUMBER.fullmatch(held) else 0


def pairs(reply: Any) -> list[tuple[Any, Any]]:
    """Names and values of a map, members and scores of a sorted set, keys and entries of streams; none for a null."""
    if not reply:
        return []
    if isinstance(reply, Mapping):
        return list(reply.items())
    if isinstance(reply[0], (list, tuple)):
        return [(first, second) for first, second in reply]
    return list(zip(reply[::2], reply[1::2], strict=True))


def record(reply: Any) -> dict[str, Any]:
    """A map whose names are text."""
    return {text(name): value for name, value in pairs(reply)}
