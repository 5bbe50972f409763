"""What messages say, remembered so that only what has changed is encoded and hashed again.

Of a message is kept a replica: its containers copied, the texts in it shared with it. As long as nothing in the message
has changed the two are equal, and to ask that of all that an agent holds takes one comparison of lists, which looks at
no text that is still the same object. A fingerprint is made only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from ..codec import from_json, to_json

_NAME = "tracking_id"
_LIKE_NO_OTHER = (str, type(None))
_IMMUTABLE = frozenset((int, float, bool, bytes, Decimal, datetime, date, time, UUID))


class _Exactly:
    """Equal to one value, and to none that Python takes for the same: 1, 1.0 and True, or 0.0 and -0.0."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        value = self.value
        return other is value or (type(other) is type(value) and repr(other) == repr(value))


class _MayChangeUnseen(Exception):
    """A value is of a kind that could say something else later, and still be equal to its copy."""


_NO_REPLICA = (_MayChangeUnseen, RecursionError, RuntimeError)


class MessageContent:
    """What a message says at one time; equal to another that says the same, whatever its tracking id.

    Attributes:
        replica: Equal to the message, with its tracking id, as long as nothing in it has changed; None where that
            cannot be told.
    """

    __slots__ = ("_print", "replica")

    def __init__(self, message: Any) -> None:
        """Look at a message.

        Raises:
            EncodingError: When a value in it cannot be stored, and that is found out at once.
        """
        self._print: bytes | None = None
        self.replica = _replica_of(message)
        if self.replica is None:
            self._print = fingerprint(message)

    @classmethod
    def of_text(cls, role: str, text: str) -> MessageContent:
        """What a message says that is this and nothing else, see `codec.text_alone`."""
        content = object.__new__(cls)
        content._print, content.replica = None, {"role": role, "content": [{"text": text}]}
        return content

    @property
    def print(self) -> bytes:
        """The fingerprint.

        Raises:
            EncodingError: When a value in the message cannot be stored.
        """
        if self._print is None:
            self._print = fingerprint(_restored(self.replica))
        return self._print

    def is_exactly(self, message: Any) -> bool:
        """Whether a message says this under the same tracking id; no where that is open."""
        return _are_equal(self.replica, message)

    def is_of(self, message: Any) -> bool:
        """Whether a message says this, without encoding it; its tracking id is taken over. No where that is open."""
        if self.is_exactly(message):
            return True
        if not isinstance(self.replica, dict) or not _are_equal(_unnamed(self.replica), _unnamed(message)):
            return False
        named = _replica_of(message)
        if named is None:
            # It says the same in values of other kinds, of which there is no replica: an `OrderedDict`, say.
            return False
        self.replica = named
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageContent) and self.print == other.print

    def __hash__(self) -> int:
        return hash(self.print)


class HeldCopies:
    """Copies of what an agent holds, for whoever looks at it later; what has not changed is not copied again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[MessageContent, Any]] = {}

    def of(self, messages: Sequence[Any]) -> list[Any]:
        """The messages as they are now.

        Raises:
            EncodingError: When one cannot be stored.
        """
        known, self._known = self._known, {}
        return [self._copy(message, known.get(id(message))) for message in messages]

    def _copy(self, message: Any, known: tuple[MessageContent, Any] | None) -> Any:
        # Another message may have the id of one that is gone: if it says the same, its copy is the same.
        if known is None or not known[0].is_exactly(message):
            known = MessageContent(message), snapshot(message)
        self._known[id(message)] = known
        return known[1]


def snapshot(value: Any) -> Any:
    """The value as it is now: agents go on changing their messages.

    Raises:
        EncodingError: When it cannot be stored.
    """
    return from_json(to_json(value, "message"))


def contents_of(messages: Sequence[Any], expected: Sequence[MessageContent]) -> list[MessageContent]:
    """What messages say; those that say what is expected, seen from either end, are not looked into.

    Args:
        messages: The messages.
        expected: What most of them are known to say.

    Raises:
        EncodingError: See `MessageContent`.
    """
    first = _agreeing(expected, messages)
    last = _agreeing(expected[first:][::-1], messages[first:][::-1])
    news = map(MessageContent, messages[first : len(messages) - last])
    return [*expected[:first], *news, *expected[len(expected) - last :]]


def _agreeing(contents: Sequence[MessageContent], messages: Sequence[Any]) -> int:
    count = 0
    for content, message in zip(contents, messages, strict=False):
        if not content.is_of(message):
            break
        count += 1
    return count


def _are_equal(replica: Any, message: Any) -> bool:
    """Whether a message is what it was when it was replicated; no where something in it refuses to say."""
    with suppress(Exception):
        return bool(replica == message)
    return False


def fingerprint(message: Any) -> bytes:
    """What tells two contents of a message apart.

    Raises:
        EncodingError: When a value in it cannot be stored.
    """
    told = _unnamed(to_json(message, "message"))
    return blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _unnamed(message: Any) -> Any:
    """A message without its tracking id, which is no content: Strands names every message that has none."""
    if not isinstance(message, Mapping) or _NAME not in message:
        return message
    return {key: value for key, value in message.items() if key != _NAME}


def _replica_of(message: Any) -> Any:
    try:
        return _replica(message)
    except _NO_REPLICA:
        return None


def _replica(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        made = value.copy()
        for key, item in made.items():
            if type(key) is not str:
                raise _MayChangeUnseen
            if type(item) not in _LIKE_NO_OTHER:
                made[key] = _replica(item)
        return made
    if kind is list:
        return [item if type(item) in _LIKE_NO_OTHER else _replica(item) for item in value]
    if kind in _IMMUTABLE:
        return _Exactly(value)
    if kind in _LIKE_NO_OTHER:
        return value
    raise _MayChangeUnseen


def _restored(replica: Any) -> Any:
    """What a replica was made of."""
    match replica:
        case dict():
            return {key: _restored(item) for key, item in replica.items()}
        case list():
            return [_restored(item) for item in replica]
        case _Exactly():
            return replica.value
    return replica
