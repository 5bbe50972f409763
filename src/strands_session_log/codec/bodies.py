"""A body as it stands in an entry: JSON text, or that text compressed, where the log was asked to.

Which of both it is, its first bytes tell: no JSON object begins like a frame of zstd. So a stream may have both, and no
reader has to be told. The chain covers the bytes as they stand there. See docs/format.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from ..errors.quoting import MalformedEntryError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MARK = b"\x28\xb5\x2f\xfd"
"""What a frame of zstd begins with (RFC 8878)."""
MOST_BYTES = 64 * 1024 * 1024
"""How long a text is at most that is compressed, and so one that is read: a few KB may claim to be gigabytes."""
_LEVEL = 3
"""The next ones take twice as long for a fiftieth less."""
_READING: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 27}
"""As much as it may take to decompress, as a power of 2."""


def compressed(text: bytes) -> bytes:
    """A body for an entry: compressed, unless that would be no shorter, or no reader would take it."""
    if len(text) > MOST_BYTES:
        return text
    body = zstd.compress(text, _LEVEL)
    return body if len(body) < len(text) else text


def text_of(body: bytes) -> bytes:
    """The JSON text of a body that stands in an entry.

    Raises:
        ValueError: When it was compressed and cannot be read, or is longer than any that was.
    """
    if body[:4] != MARK:
        return body
    reader = zstd.ZstdDecompressor(options=_READING)
    try:
        text: bytes = reader.decompress(body, MOST_BYTES + 1)
    except (zstd.ZstdError, EOFError) as error:
        raise MalformedEntryError(f"its body cannot be decompressed: {error}") from error
    if len(text) > MOST_BYTES:
        raise MalformedEntryError(f"its body is compressed from more than {MOST_BYTES:,} bytes, which no writer does")
    if not reader.eof or reader.unused_data:
        raise MalformedEntryError("its body is compressed, and ends too early or too late")
    return text
