"""Values as compressed, checked bytes."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any
from zlib import crc32

import orjson

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 7
"""Slower to write than the default, which nobody waits for; smaller, and quicker to read, which somebody does."""
DIGEST_BYTES = 16


class DamagedError(Exception):
    """What was read is not what was written; never seen outside the library."""


def pack(value: Any) -> bytes:
    """JSON values as bytes: zstd (RFC 8878)."""
    return compress(orjson.dumps(value))


def compress(text: bytes) -> bytes:
    """JSON text, compressed."""
    return zstd.compress(text, _LEVEL)


def unpack(blob: bytes) -> Any:
    """The reverse of `pack`.

    Raises:
        DamagedError: When it cannot be read.
    """
    try:
        return orjson.loads(decompress(blob))
    except ValueError as error:
        raise DamagedError(str(error)) from error


def decompress(blob: bytes) -> bytes:
    """The reverse of `compress`.

    Raises:
        DamagedError: When it cannot be read.
    """
    try:
        return zstd.decompress(blob)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedError(str(error)) from error


def checksum(blob: bytes) -> int:
    """What a blob that was damaged, or is another, does not have: nobody who can forge a snapshot need forge this."""
    return crc32(blob)


def seal(blob: bytes) -> bytes:
    """A blob preceded by its digest."""
    return _digest(blob) + blob


def unseal(sealed: bytes) -> bytes:
    """The blob that was sealed.

    Raises:
        DamagedError: When it is another.
    """
    found, blob = sealed[:DIGEST_BYTES], sealed[DIGEST_BYTES:]
    if _digest(blob) != found:
        raise DamagedError("the digest differs")
    return blob


def _digest(blob: bytes) -> bytes:
    return sha256(blob).digest()[:DIGEST_BYTES]
