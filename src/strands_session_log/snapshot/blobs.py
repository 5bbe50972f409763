"""Values as compressed bytes, and back within bounds: what comes back was not necessarily written here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from ..state import is_shallow

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT_BYTES = 16 * 1024 * 1024
"""How long the text of a blob may be. What is larger is not stored, so that a blob which claims to be is none of ours:
28 KB of zstd can expand to 2 GB."""

_SHORT_BYTES = 2048
"""What is no longer is stored as text: to set up a decompressor takes longer than all else that is done with it."""
_FRAME = b"\x28\xb5\x2f\xfd"
"""What a frame of zstd begins with, and no JSON text does."""

_LEVEL = 7
"""Slower to write than the default, which nobody waits for; smaller, and quicker to read, which somebody does."""
_READING: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 24}
"""As much as it may take to decompress, as a power of 2; level 7 needs 2 MB."""


class DamagedError(Exception):
    """What was read is not what was written; never seen outside the library.

    Attributes:
        reason: In a word, for who counts it.
    """

    reason: str = "damaged"


class OutdatedError(DamagedError):
    """It was written all right, but of another history, or before an erasure."""

    reason = "outdated"


class OtherVersionError(OutdatedError):
    """Another version of the library has written it, or will."""


class UnauthenticatedError(DamagedError):
    """Nobody with the key has written it."""

    reason = "unauthenticated"


class TooLargeError(Exception):
    """It is not worth storing; never seen outside the library."""


def pack(value: Any) -> bytes:
    """JSON values as bytes: zstd (RFC 8878), or as they are where that is not long.

    Raises:
        TooLargeError: When the text is longer than `TEXT_BYTES`, or nested too deep.
    """
    text = text_of(value)
    if len(text) > TEXT_BYTES:
        raise TooLargeError(f"{len(text)} bytes")
    return text if len(text) <= _SHORT_BYTES else compress(text)


def text_of(value: Any) -> bytes:
    """JSON values as text.

    Raises:
        TooLargeError: When they are nested too deep, as a body can be that is no deeper than it may.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise TooLargeError(str(error)) from error


def compress(text: bytes) -> bytes:
    """JSON text, compressed."""
    return zstd.compress(text, _LEVEL)


def unpack(blob: bytes) -> Any:
    """The reverse of `pack`.

    Raises:
        DamagedError: When it cannot be read.
    """
    try:
        value = orjson.loads(decompress(blob) if blob.startswith(_FRAME) else _short(blob))
    except ValueError as error:
        raise DamagedError(str(error)) from error
    if not is_shallow(value):
        raise DamagedError("it is nested too deep")
    return value


def _short(text: bytes) -> bytes:
    if len(text) > _SHORT_BYTES:
        raise DamagedError(f"{len(text)} bytes are not compressed")
    return text


def decompress(blob: bytes, most: int = TEXT_BYTES) -> bytes:
    """The reverse of `compress`.

    Args:
        blob: What was compressed.
        most: How many bytes there may be; not many more are ever held.

    Raises:
        DamagedError: When it cannot be read, or holds more.
    """
    reader = zstd.ZstdDecompressor(options=_READING)
    try:
        text: bytes = reader.decompress(blob, most + 1)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedError(str(error)) from error
    if len(text) > most:
        raise DamagedError(f"it holds more than {most} bytes")
    if not reader.eof or reader.unused_data:
        raise DamagedError("it ends too early or too late")
    return text


def digest(blob: bytes) -> str:
    """What no other blob has, whoever made it: SHA-256, in hex."""
    return sha256(blob).hexdigest()
