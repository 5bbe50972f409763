"""Encrypted content as it stands in an entry: a frame that tells by its first bytes what it is.

`magic (4) ‖ version (1) ‖ key id (16) ‖ nonce (12) ‖ ciphertext and tag`: no text in UTF-8 and no frame of zstd begins
with the magic. See docs/format.md and docs/adr/0048.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from ..errors.quoting import MalformedEntryError

MAGIC = b"\x9eSLE"
"""What encrypted content begins with."""
VERSION = b"\x01"
KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16
_BEGINS = MAGIC + VERSION
_NONCE_AT = len(_BEGINS) + KEY_ID_BYTES
_TEXT_AT = _NONCE_AT + NONCE_BYTES
OVERHEAD = _TEXT_AT + TAG_BYTES
"""How many bytes more a frame has than what is in it."""

_TEXTS = frozenset(
    (
        "role",
        "stop_reason",
        "status",
        "error",
        "model_id",
        "invocation",
        "parent",
        "at",
        "from",
        "to",
        "erased",
    )
)
"""Facts that are text and yet no content: ids and ranges of this library, words of a vocabulary, names of classes."""


def is_sealed(content: bytes) -> bool:
    """Whether content is encrypted."""
    return content[:4] == MAGIC


_SEALED, _OF_MESSAGE = b'{"sealed":true', b'{"index":'


class Frame(NamedTuple):
    """Encrypted content, taken apart.

    Attributes:
        key_id: The key it was encrypted with, 16 bytes.
        nonce: 12 bytes.
        ciphertext: What was encrypted, and the tag behind it.
    """

    key_id: bytes
    nonce: bytes
    ciphertext: bytes

    @classmethod
    def of(cls, body: bytes) -> Frame:
        """Take a body apart that begins with the magic.

        Raises:
            ValueError: When it is too short for one, or of a version this library does not know.
        """
        if body[: len(_BEGINS)] != _BEGINS:
            raise MalformedEntryError("it is encrypted in a way that this version does not know")
        if len(body) < OVERHEAD:
            raise MalformedEntryError(f"it is encrypted, but has only {len(body)} bytes")
        return cls(body[len(_BEGINS) : _NONCE_AT], body[_NONCE_AT:_TEXT_AT], body[_TEXT_AT:])


def framed(key_id: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
    """The reverse of `Frame.of`."""
    return b"".join((_BEGINS, key_id, nonce, ciphertext))


def sealed_facts(facts: bytes) -> bytes:
    """What the feed tells of an event whose content is encrypted: that it is, numbers, and texts that are no content.

    Names that a model or a user chose, those of tools and nodes among them, are not told.
    """
    if facts.startswith(_OF_MESSAGE) and b'"tools"' not in facts:
        # All that is told of a message has to do with it.
        return _SEALED + b"," + facts[1:]
    told = {name: value for name, value in orjson.loads(facts).items() if _is_told(name, value)}
    return orjson.dumps({"sealed": True, **told})


def _is_told(name: str, value: object) -> bool:
    if isinstance(value, dict):
        return all(one is None or isinstance(one, (bool, int, float)) for one in value.values())
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and name in _TEXTS)


def nameless(data: Any) -> Any:
    """The data of an event whose content is encrypted, as far as a head may sum it up: without a name."""
    return {**data, "name": None} if isinstance(data, dict) and "name" in data else data
