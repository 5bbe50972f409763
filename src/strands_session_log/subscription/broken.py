"""Keys that somebody else has put something else into: they take down what they are part of, and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from valkey.exceptions import ResponseError

from ..errors import ServerRefusedError

_WRONG_TYPE = "WRONGTYPE"


def told_apart(replies: Iterable[Any]) -> list[Any]:
    """The replies to several commands; in place of one about a key of another type, a `ServerRefusedError`.

    Raises:
        ValkeyError: Any other error among them.
    """
    return [_told(reply) for reply in replies]


def _told(reply: Any) -> Any:
    if isinstance(reply, ResponseError) and _WRONG_TYPE in str(reply):
        return ServerRefusedError(str(reply))
    if isinstance(reply, Exception):
        raise reply
    return reply
