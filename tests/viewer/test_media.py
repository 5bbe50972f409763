"""What a file is its bytes tell, whatever it is called; what a browser might run is never shown inline."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log_consumers.viewer.content.media import MOST_BYTES, Media, content_of, media_of, shown_as


def png(width: int = 3, height: int = 2, rest: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"") + rest


GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 2, 3) + b"\0" * 16
WEBP = {
    "VP8X": b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + (2).to_bytes(3, "little") + (1).to_bytes(3, "little"),
    "VP8L": b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + struct.pack("<I", 2 | 1 << 14),
    "VP8 ": b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 3, 2),
}


def media(content: bytes, kind: str = "image", **more: Any) -> Media:
    return media_of(0, kind, {"source": {"bytes": content}, **more})


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(png(), "image/png"), (GIF, "image/gif"), (JPEG, "image/jpeg"), *((one, "image/webp") for one in WEBP.values())],
    ids=["png", "gif", "jpeg", *WEBP],
)
def test_an_image_has_the_size_its_head_tells_so_that_nothing_moves_when_it_comes(
    content: bytes, media_type: str
) -> None:
    assert shown_as(content) == ("img", media_type, (3, 2))


@pytest.mark.parametrize(
    ("content", "element"),
    [
        (b"\0\0\0\x18ftypmp42", "video"),
        (b"\x1aE\xdf\xa3webm", "video"),
        (b"ID3\x04", "audio"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"OggS\0", "audio"),
    ],
)
def test_sounds_and_films_are_played(content: bytes, element: str) -> None:
    assert shown_as(content)[0] == element


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"<html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP????",
        png(100_000, 100_000),
        png(0, 2),
        png(rest=b"\0" * MOST_BYTES),
    ],
    ids=["svg", "html", "pdf", "zip", "nothing", "half", "headless", "odd", "bomb", "flat", "large"],
)
def test_what_is_no_image_or_no_sane_one_is_a_file(content: bytes) -> None:
    found = media(content, format="png", name="holiday.png")
    assert (found.element, found.media_type) == ("", "application/octet-stream")


def test_a_file_tells_its_name_size_and_digest() -> None:
    found = media(b"a,b\n1,2\n", "document", name="numbers", format="csv")
    assert (found.kind, found.name, found.format, found.size) == ("document", "numbers", "csv", 8)
    assert found.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    assert found.preview == "a,b\n1,2"


def test_the_beginning_of_a_text_is_shown_and_not_all_of_it() -> None:
    preview = media(b"line\n" * 100_000, "document", format="txt").preview
    assert 100 < preview.count("\n") < 250
    assert media(b"%PDF", "document", format="pdf").preview == ""


def test_what_stands_elsewhere_is_named_and_never_fetched() -> None:
    found = media_of(1, "video", {"format": "mp4", "source": {"location": {"type": "s3", "uri": "s3://bucket/film"}}})
    assert (found.size, found.element, found.sha256) == (None, "", "")
    assert "s3://bucket/film" in found.place


@given(st.binary(max_size=64))
def test_any_bytes_are_something(content: bytes) -> None:
    element, media_type, pixels = shown_as(content)
    assert (element == "") == (media_type == "application/octet-stream")
    assert element != "img" or pixels


@given(
    st.recursive(st.none() | st.text() | st.binary() | st.integers(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_any_source_is_something(source: object) -> None:
    block = {"source": source, "name": source, "format": source}
    assert media_of(0, "image", block).kind == "image"
    assert content_of(block) is None or isinstance(source, dict)
