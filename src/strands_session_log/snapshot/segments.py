"""Messages as stored segments, and back.

A segment is columns: whoever resumes an agent makes Strands' objects of five of them in one go, and never a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any, NamedTuple

import orjson

from ..codec import MARK, from_json
from ..ids import EventId
from ..state import Columns, MessageRecord
from .blobs import compress

_MARK = MARK.encode()


class _Stored(NamedTuple):
    """The columns as they are stored; those of most segments where nothing differs are null."""

    has_marks: bool
    messages: list[Any]
    indices: list[int]
    created: list[str]
    updated: list[str] | None
    redactions: list[Any] | None
    erased: list[bool] | None
    ms: list[int]
    revisions: list[int]


def packed(records: Sequence[MessageRecord]) -> bytes:
    """Records as a blob."""
    created, updated = [one.created_at for one in records], [one.updated_at for one in records]
    redactions, erased = [one.redact_message for one in records], [one.erased for one in records]
    columns = [
        [one.message for one in records],
        [one.message_id for one in records],
        created,
        None if updated == created else updated,
        redactions if any(one is not None for one in redactions) else None,
        erased if any(erased) else None,
        [one.id.ms for one in records],
        [one.id.revision for one in records],
    ]
    text = orjson.dumps(columns)
    # To look for it when it is read, in all that is said, would take as long as parsing half of it.
    has_marks = b"true" if _MARK in text else b"false"
    return compress(b"[" + has_marks + b"," + text[1:])


def records_of(text: bytes) -> Sequence[MessageRecord]:
    """The records of what was packed, with plain JSON values."""
    stored, new = _Stored(*orjson.loads(text)), tuple.__new__
    count = len(stored.messages)
    return [
        new(MessageRecord, columns)
        for columns in zip(
            stored.messages,
            stored.indices,
            stored.redactions or [None] * count,
            stored.created,
            stored.updated or stored.created,
            starmap(EventId, zip(stored.ms, stored.revisions, strict=True)),
            stored.erased or [False] * count,
            strict=True,
        )
    ]


def columns_of(text: bytes) -> Columns:
    """The columns of what was packed, with Python values in containers nobody else has."""
    stored = _Stored(*orjson.loads(text))
    messages, redactions = stored.messages, stored.redactions or [None] * len(stored.messages)
    if stored.has_marks:
        messages, redactions = [*map(from_json, messages)], [*map(from_json, redactions)]
    return Columns(messages, stored.indices, redactions, stored.created, stored.updated or stored.created)
