"""Images, documents, sounds and films of a conversation: what they really are, and whether a browser may show them.

Their names and formats are what somebody says of them. What is shown inline is known by its first bytes; all else is
offered as a file that no browser opens by itself.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Element: TypeAlias = Literal["img", "video", "audio", ""]

MOST_PIXELS: Final = 40_000_000
MOST_BYTES: Final = 10 * 1024 * 1024
"""Of an image that is shown; a larger one is a file."""
_PREVIEWED: Final = frozenset(("txt", "md", "csv", "html"))
_LINES: Final = 200
_LONGEST_PREVIEW: Final = 64 * 1024
_AS_FILE: Final = "application/octet-stream"

_KINDS: Final[tuple[tuple[int, bytes, str, Element], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png", "img"),
    (0, b"\xff\xd8\xff", "image/jpeg", "img"),
    (0, b"GIF87a", "image/gif", "img"),
    (0, b"GIF89a", "image/gif", "img"),
    (8, b"WEBP", "image/webp", "img"),
    (4, b"ftyp", "video/mp4", "video"),
    (0, b"\x1aE\xdf\xa3", "video/webm", "video"),
    (0, b"ID3", "audio/mpeg", "audio"),
    (0, b"\xff\xfb", "audio/mpeg", "audio"),
    (8, b"WAVE", "audio/wav", "audio"),
    (0, b"OggS", "audio/ogg", "audio"),
)
"""Where a kind of file begins with what; an image of another kind, SVG above all, is a file or text."""


class Media(NamedTuple):
    """A file in a message.

    Attributes:
        number: Which one in its message, from 0; its address has it.
        kind: What the block calls it: `image`, `document`, `video`, `audio`.
        name: As somebody named it; empty without a name.
        format: As somebody called it.
        size: In bytes; None when it stands elsewhere.
        sha256: In hexadecimal; empty when it stands elsewhere.
        element: The HTML element that may show it; empty if it is a file only.
        media_type: As it is served.
        pixels: Width and height of an image, where its header tells.
        preview: The beginning of a text.
        place: Where it stands, if not in the log; never fetched.
    """

    number: int
    kind: str
    name: str = ""
    format: str = ""
    size: int | None = None
    sha256: str = ""
    element: Element = ""
    media_type: str = _AS_FILE
    pixels: tuple[int, int] | None = None
    preview: str = ""
    place: str = ""


def media_of(number: int, kind: str, block: Mapping[str, Any]) -> Media:
    """What a block of a message holds, as far as it can be told without opening it.

    Args:
        number: Which one in its message.
        kind: The key of the block.
        block: What it has, bytes restored.
    """
    name, form = _text(block.get("name")), _text(block.get("format"))
    content = content_of(block)
    if content is None:
        return Media(number, kind, name, form, place=_place(block))
    element, media_type, pixels = shown_as(content)
    preview = _preview(content) if form in _PREVIEWED and not element else ""
    digest = hashlib.sha256(content).hexdigest()
    return Media(number, kind, name, form, len(content), digest, element, media_type, pixels, preview)


def content_of(block: Mapping[str, Any]) -> bytes | None:
    """The bytes of a block, if it has them."""
    source = block.get("source")
    found = source.get("bytes") if isinstance(source, Mapping) else None
    return bytes(found) if isinstance(found, (bytes, bytearray)) else None


def shown_as(content: bytes) -> tuple[Element, str, tuple[int, int] | None]:
    """The element that may show some bytes, their media type, and an image's width and height."""
    for at, begins, media_type, element in _KINDS:
        if content[at : at + len(begins)] == begins:
            pixels = _pixels(content, media_type) if element == "img" else None
            if element == "img" and (len(content) > MOST_BYTES or not _is_sane(pixels)):
                break
            return element, media_type, pixels
    return "", _AS_FILE, None


def _is_sane(pixels: tuple[int, int] | None) -> bool:
    return pixels is not None and 0 < pixels[0] * pixels[1] <= MOST_PIXELS


def _pixels(content: bytes, media_type: str) -> tuple[int, int] | None:
    try:
        return _SIZES[media_type](content)
    except (struct.error, IndexError):
        return None


def _png(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at < len(content) - 8 and content[at] == 0xFF:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        # The markers of a frame; those between them are of tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length
    return None


def _webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


_SIZES: Final[Mapping[str, Callable[[bytes], tuple[int, int] | None]]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}


def _preview(content: bytes) -> str:
    lines = content[:_LONGEST_PREVIEW].decode(errors="replace").splitlines()
    return "\n".join(lines[:_LINES])


def _place(block: Mapping[str, Any]) -> str:
    source = block.get("source")
    location = source.get("location") if isinstance(source, Mapping) else None
    return _text(location.get("uri")) if isinstance(location, Mapping) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
