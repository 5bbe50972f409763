"""Pieces of what is being said, encrypted: their text, and the id of the call that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from ..codec import RawEntry
from ..codec.delta import FIELDS, Line
from ..codec.sealed import is_sealed
from ..errors import CiphertextError
from .cipher import Cipher

_PURPOSE = b"live"
_TEXT, _CALL = (2 * FIELDS.index(name) + 1 for name in (b"text", b"tool_use_id"))
_BOUND = [2 * FIELDS.index(name) + 1 for name in (b"kind", b"agent", b"message", b"sequence", b"block")]


def sealed_piece(cipher: Cipher, session_id: str, line: Line) -> Sequence[Any]:
    """A piece as it is published; as it is, where nothing is encrypted."""
    if not cipher.is_active:
        return line
    bound = (line.kind, line.agent, line.message, str(line.sequence), str(line.block))
    content = orjson.dumps([line.tool_use_id, line.text])
    sealed = cipher.seal(session_id, _PURPOSE, [one.encode() for one in bound], content)
    return (*line[:-2], "", sealed)


def opened_piece(cipher: Cipher, session_id: str, entry: RawEntry) -> RawEntry:
    """An entry of the live stream with its text opened.

    Raises:
        EncryptionError: When it is encrypted, and the key is not at hand, or it was written for another place.
    """
    entry_id, flat = entry
    if not is_encrypted_piece(entry):
        return entry
    content = cipher.open(session_id, _PURPOSE, [flat[at] for at in _BOUND], flat[_TEXT])
    try:
        call, text = orjson.loads(content)
        return entry_id, _with(flat, call.encode(), text.encode())
    except (ValueError, AttributeError) as error:
        raise CiphertextError(entry_id.decode(), "what is encrypted is no piece of a message") from error


def without_text(entry: RawEntry) -> RawEntry:
    """An entry of the live stream as it is without its text, if that is encrypted."""
    return (entry[0], _with(entry[1], b"", b"")) if is_encrypted_piece(entry) else entry


def is_encrypted_piece(entry: RawEntry) -> bool:
    """Whether the text of a piece is encrypted."""
    flat = entry[1]
    return len(flat) == 2 * len(FIELDS) and is_sealed(flat[_TEXT])


def _with(flat: Sequence[bytes], call: bytes, text: bytes) -> list[bytes]:
    found = list(flat)
    found[_CALL], found[_TEXT] = call, text
    return found
