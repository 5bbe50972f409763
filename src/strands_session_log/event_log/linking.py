"""The link an entry must have, given the one before it: what whoever reads a session can hold against it."""

from __future__ import annotations

from typing import Any

import orjson

from .. import chain
from ..codec import Entry


def link_after(previous: bytes, entry: Entry) -> bytes:
    """The hash chain up to and including an entry, computed from what stands in it.

    Args:
        previous: The link before it, 32 bytes.
        entry: The entry; of an erased one its commitment counts.

    Returns:
        32 bytes.
    """
    header = [part.encode() for part in entry.header]
    return chain.link(previous, entry.id.revision, header, _commitment(entry))


def raw(text: str) -> bytes:
    """Base64url as bytes; nothing where it is none, which is no link or salt either."""
    try:
        return chain.from_text(text)
    except ValueError:
        return b""


def loaded(body: str) -> dict[str, Any]:
    """A body's JSON; empty where it is no object."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _commitment(entry: Entry) -> bytes:
    if entry.is_erased:
        return raw(str(loaded(entry.body).get("commitment")))
    return chain.commitment(raw(entry.salt), entry.body.encode())
