"""Values as compressed, checked bytes."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any

import orjson

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3
DIGEST_BYTES = 16


class DamagedError(Exception):
    """What was read is not what was written; never seen outside the library."""


def pack(value: Any) -> bytes:
    """JSON values as bytes: zstd (RFC 8878)."""
    return zstd.compress(orjson.dumps(value), _LEVEL)


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
    """The JSON text that was packed.

    Raises:
        DamagedError: When it cannot be read.
    """
    try:
        return zstd.decompress(blob)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedError(str(error)) from error


def digest(blob: bytes) -> bytes:
    """What tells a blob from every other: 16 bytes."""
    return sha256(blob).digest()[:DIGEST_BYTES]


def seal(blob: bytes) -> bytes:
    """A blob preceded by its digest."""
    return digest(blob) + blob


def unseal(sealed: bytes) -> bytes:
    """The blob that was sealed.

    Raises:
        DamagedError: When it is another.
    """
    found, blob = sealed[:DIGEST_BYTES], sealed[DIGEST_BYTES:]
    if digest(blob) != found:
        raise DamagedError("the digest differs")
    return blob
