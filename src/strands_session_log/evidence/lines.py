"""An event as a line of `events.jsonl`, see docs/bundle.md: each field the text that stands in its entry."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import orjson

from .. import chain
from ..codec import FIELDS, RawEntry
from ..errors import CorruptEntryError

_NAMES = tuple(name.decode() for name in FIELDS[:-1])
_HEAD = ("{" + ",".join(f'"{name}":"%b"' for name in ("id", *_NAMES[:7]))).encode()
_TAIL = b',"retained":%b,"salt":"%b","link":"%b",'
_is_plain = re.compile(rb"[ !#-\[\]-~]*").fullmatch
"""Whether bytes stand in a JSON text as they are."""
_WITHHELD, _END = b',"withheld":true}\n', b"}\n"


def line_of(entry: RawEntry, is_withheld: bool) -> bytes:
    """The line of an entry that has the fields an entry has, in their order.

    Args:
        entry: As the server sends it.
        is_withheld: Whether its commitment is to stand in place of its body.

    Raises:
        CorruptEntryError: When a line cannot hold it: a field is no text.
    """
    entry_id, flat = entry
    *clear, retained, salt, link, body = flat[1::2]
    if is_withheld and salt:
        salt, body = b"", commitment_of(entry_id, salt, body)
    try:
        head = (entry_id, *clear) if _is_plain(b"".join(clear)) else tuple(map(_escaped, (entry_id, *clear)))
        kept = orjson.dumps(retained.decode()) if retained else b'""'
        tail = (kept, salt, link) if _is_plain(salt + link) else (kept, _escaped(salt), _escaped(link))
    except UnicodeDecodeError as error:
        raise CorruptEntryError(entry_id.decode(errors="replace"), "one of its fields is no text") from error
    return b"".join((_HEAD % head, _TAIL % tail, _body(body), _WITHHELD if is_withheld else _END))


def commitment_of(entry_id: bytes, salt: bytes, body: bytes) -> bytes:
    """What stands for a body in the chain, as it stands in an entry whose content was erased.

    Raises:
        CorruptEntryError: When the salt is none.
    """
    raw = chain.exactly(salt, chain.SALT_BYTES)
    if not raw:
        raise CorruptEntryError(entry_id.decode(errors="replace"), "its salt is none")
    return chain.to_text(sha256(raw + body).digest())


def _body(body: bytes) -> bytes:
    try:
        return b'"body":' + orjson.dumps(body.decode())
    except UnicodeDecodeError:
        return b'"body_base64":"%b"' % b64encode(body)


def _escaped(value: bytes) -> bytes:
    return orjson.dumps(value.decode())[1:-1]
