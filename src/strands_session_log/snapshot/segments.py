"""Messages as stored segments, and back.

A segment is columns: whoever resumes an agent makes Strands' objects of five of them in one go, and never a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from operator import lt
from typing import Any, NamedTuple

import orjson

from ..codec import MARK, from_json
from ..ids import EventId
from ..state import Columns, MessageRecord, is_message, is_shallow
from .blobs import DamagedError

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


def text_of(records: Sequence[MessageRecord]) -> bytes:
    """Records as the text of a segment."""
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
    return b"[" + has_marks + b"," + text[1:]


def records_of(text: bytes) -> Sequence[MessageRecord]:
    """The records of a segment's text, with plain JSON values.

    Raises:
        DamagedError: When it is no such text.
        TypeError, ValueError: Likewise.
    """
    stored, new = _stored(text), tuple.__new__
    count = len(stored.messages)
    shown = map(_shown, stored.messages, stored.redactions or [None] * count)
    if not all(map(is_message, shown)) or not is_shallow(stored.messages) or not is_shallow(stored.redactions):
        raise DamagedError("one of its messages is none")
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
    """The columns of a segment's text, with Python values in containers nobody else has.

    Raises:
        DamagedError: When it is no such text.
        TypeError, ValueError: Likewise.
    """
    stored = _stored(text)
    messages, redactions = stored.messages, stored.redactions or [None] * len(stored.messages)
    if stored.has_marks:
        messages, redactions = [*map(from_json, messages)], [*map(from_json, redactions)]
    return Columns(messages, stored.indices, redactions, stored.created, stored.updated or stored.created)


def _stored(text: bytes) -> _Stored:
    """What can be told of all messages at once; each by itself would take as long as to parse it."""
    stored = _Stored(*orjson.loads(text))
    count, others = len(stored.messages), (stored.indices, stored.created, stored.ms, stored.revisions)
    optional = [column for column in (stored.updated, stored.redactions, stored.erased) if column is not None]
    if (
        type(stored.messages) is not list
        or not count
        or any(type(one) is not list or len(one) != count for one in (*others, *optional))
    ):
        raise DamagedError("its columns are empty, or not equally long")
    kinds = ((stored.messages, {dict}), (stored.indices, {int}), (stored.created, {str}), (stored.ms, {int}))
    more = ((stored.revisions, {int}), (stored.updated or (), {str}), (stored.erased or (), {bool}))
    if any(
        set(map(type, column)) - kind for column, kind in (*kinds, *more, (stored.redactions or (), {dict, type(None)}))
    ):
        raise DamagedError("its columns hold something else")
    if not all(map(lt, stored.indices, stored.indices[1:])):
        raise DamagedError("its messages are not in order")
    return stored


def _shown(message: Any, redaction: Any) -> Any:
    return message if redaction is None else redaction
