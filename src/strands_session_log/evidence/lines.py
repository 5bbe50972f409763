"""An event as a line of `events.jsonl`, see docs/bundle.md: each field the text that stands in its entry."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

import orjson

from .. import chain
from ..codec import FIELDS, RawEntry
from ..errors import CorruptEntryError

_NAMES = list(FIELDS)
_KEYS = tuple(name.decode() for name in FIELDS[:-1])


def line_of(entry: RawEntry, is_withheld: bool) -> bytes:
    """The line of an entry.

    Args:
        entry: As the server sends it.
        is_withheld: Whether its commitment is to stand in place of its body.

    Raises:
        CorruptEntryError: When it is no entry that a line can hold: it has other fields, or one that is no text.
    """
    entry_id, flat = entry
    if flat[::2] != _NAMES:
        raise CorruptEntryError(entry_id.decode(errors="replace"), "it has other fields than an entry has")
    *clear, salt, link, body = flat[1::2]
    if is_withheld and salt:
        salt, body = b"", commitment_of(entry_id, salt, body)
    line = {"id": _text(entry_id, entry_id)}
    line.update(zip(_KEYS, _texts(entry_id, (*clear, salt, link)), strict=True))
    try:
        line["body"] = body.decode()
    except UnicodeDecodeError:
        line["body_base64"] = b64encode(body).decode()
    if is_withheld:
        return orjson.dumps({**line, "withheld": True}, option=orjson.OPT_APPEND_NEWLINE)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def commitment_of(entry_id: bytes, salt: bytes, body: bytes) -> bytes:
    """What stands for a body in the chain, as it stands in an entry whose content was erased.

    Raises:
        CorruptEntryError: When the salt is none.
    """
    raw = chain.exactly(salt, chain.SALT_BYTES)
    if not raw:
        raise CorruptEntryError(entry_id.decode(errors="replace"), "its salt is none")
    return chain.to_text(sha256(raw + body).digest())


def _texts(entry_id: bytes, values: Sequence[bytes]) -> list[str]:
    return [_text(entry_id, value) for value in values]


def _text(entry_id: bytes, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise CorruptEntryError(entry_id.decode(errors="replace"), "one of its fields is no text") from error
