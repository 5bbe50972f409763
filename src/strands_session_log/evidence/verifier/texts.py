"""What a bundle spells out: JSON, base64 and the lines of events. Each value has one spelling only that counts."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from .archive import MIB, UnreadableBundleError

MOST_LINE, MOST_VALUES, MOST_DEPTH, MOST_NUMBER = 128 * MIB, 2_000_000, 8, 2**53 - 1
FIELDS = ("id", "type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link")
CONTENT, ERASED, WITHHELD, EXPLAINED = 1, 2, 3, 4
"""What is there of the content of an event; `EXPLAINED`: it was erased, and another event says so."""
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
EVENT_ID = re.compile(r"(0|[1-9][0-9]{0,14})-([1-9][0-9]{0,14})")
# Most lines begin so: without escapes, up to the field that is JSON itself.
_PLAIN = re.compile(r"\{" + ",".join(rf'"{name}":"(?P<{name}>[^"\\\x00-\x1f]*)"' for name in FIELDS[:8]))
_TIME = re.compile(r"([0-9T:-]{19})(?:\.([0-9]{1,6}))?(?:Z|\+00:00)")
_LAST_MS = 253_402_300_799_999


def json_of(raw: bytes) -> Any:
    """JSON whose members stand once, with whole numbers that every language can hold, and nothing deep in it.

    Raises:
        ValueError: When it is anything else.
    """
    text = raw.decode()
    if sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_refuse, parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        raise ValueError from None
    _check_depth(found, MOST_DEPTH)
    json.dumps(found, ensure_ascii=False).encode()  # It has no surrogates.
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse(text: str) -> Any:
    raise ValueError(text[:20])


def _whole(text: str) -> int:
    if len(text) > 17 or text == "-0" or abs(int(text)) > MOST_NUMBER:
        raise ValueError
    return int(text)


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if not depth:
            raise ValueError
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, depth - 1)


def bytes_of(text: str, size: int) -> bytes:
    """The bytes that base64url without padding spells as this very text, if they are so many; else none."""
    try:
        found = a2b_base64(text.encode("ascii").translate(_FROM_URL) + b"==")
    except ValueError:
        return b""
    return found if len(found) == size and text_of(found) == text else b""


def text_of(raw: bytes) -> str:
    """Base64url without padding."""
    return b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()


def padded_bytes_of(text: str) -> bytes:
    """The bytes that base64 with padding spells as this very text.

    Raises:
        ValueError: When it is no such text.
    """
    found = b64decode(text.encode("ascii"), validate=True)
    if b64encode(found).decode() != text:
        raise ValueError
    return found


def quoted(value: Any) -> str:
    """What somebody else wrote, for a message: a text, or any other JSON value."""
    if isinstance(value, (dict, list)):
        return "(not one value)"
    if isinstance(value, str) and len(value) > 80:
        value = value[:80] + "…"
    return json.dumps(value, ensure_ascii=False)


def is_instant(text: Any, ms: int) -> bool:
    """Whether a text is a time in UTC, and so many milliseconds since the epoch."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None or ms > _LAST_MS:
        return False
    at = (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).isoformat(timespec="microseconds")
    return f"{found[1]}.{(found[2] or '').ljust(6, '0')}" == at


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file, without their ends; what stands behind the last one, if anything does, comes last.

    Raises:
        UnreadableBundleError: When one is too long to be held in memory.
    """
    held, length = list[bytes](), 0
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            _check_length(length + len(line))
            yield b"".join((*held, line)) if held else line
            held, length = [], 0
        held.append(rest)
        length += len(rest)
        _check_length(length)
    if length:
        yield b"".join(held)


def _check_length(length: int) -> None:
    if length > MOST_LINE:
        raise UnreadableBundleError("line", f"a line of events is longer than {MOST_LINE // MIB} MiB")


def event_of(line: bytes) -> tuple[dict[str, str], bytes, int]:
    """An event as a line has it: its fields, the body as it stood in the entry, and what is there of its content.

    Raises:
        ValueError: When it is no such line: all members, in their order, and nothing between them.
    """
    text, place = line.decode(), 0
    fields: dict[str, str] = {}
    if plain := _PLAIN.match(text):
        fields, place = plain.groupdict(), plain.end()
    for name in FIELDS[len(fields) :]:
        fields[name], place = _member(text, place, name)
    is_encoded = text.startswith(',"body_base64":', place)
    value, place = _member(text, place, "body_base64" if is_encoded else "body")
    body, rest = padded_bytes_of(value) if is_encoded else value.encode(), text[place:]
    is_withheld = rest == ',"withheld":true}'
    if (rest != "}" and not is_withheld) or ((is_encoded or is_withheld) and bool(fields["salt"]) != is_encoded):
        raise ValueError
    return fields, body, WITHHELD if is_withheld else CONTENT if fields["salt"] else ERASED


def _member(text: str, place: int, name: str) -> tuple[str, int]:
    """The text that a member of an object has, and where it ends."""
    begin = f'{"," if place else "{"}"{name}":"'
    if not text.startswith(begin, place):
        raise ValueError
    value, place = scanstring(text, place + len(begin))
    if not value.isascii():
        value.encode()  # It has no surrogates.
    return value, place
