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
from ..state import Columns, MessageRecord, is_message
from .blobs import DamagedError

_MARK = MARK.encode()
_TOOLS = (b'"toolUse"', b'"toolResult"')


class _Stored(NamedTuple):
    """The columns as they are stored; those of most segments where nothing differs are null."""

    has_marks: bool
    has_tools: bool
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
    flags = orjson.dumps([_MARK in text, any(name in text for name in _TOOLS)])
    return flags[:-1] + b"," + text[1:]


def records_of(text: bytes) -> Sequence[MessageRecord]:
    """The records of a segment's text, with plain JSON values.

    Raises:
        DamagedError: When it is no such text.
        TypeError, ValueError: Likewise.
    """
    stored, new = _stored(text), tuple.__new__
    count = len(stored.messages)
    _check_records(stored)
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
    created, updated = stored.created, stored.updated or stored.created
    return Columns(messages, stored.indices, redactions, created, updated, stored.has_tools)


def _stored(text: bytes) -> _Stored:
    """With what every reader relies on. Whoever resumes an agent of it meets what is no message by himself."""
    stored = _Stored(*orjson.loads(text))
    count = len(stored.messages)
    columns = [column for column in stored[2:] if column is not None]
    if not count or any(type(column) is not list or len(column) != count for column in columns):
        raise DamagedError("its columns are empty, or not equally long")
    return stored


def _check_records(stored: _Stored) -> None:
    shown = map(_shown, stored.messages, stored.redactions or [None] * len(stored.messages))
    if not all(map(is_message, shown)):
        raise DamagedError("one of its messages is none")
    if _kinds(stored.indices, stored.ms, stored.revisions) - {int} or _kinds(stored.created, stored.updated) - {str}:
        raise DamagedError("its columns hold something else")
    if _kinds(stored.erased) - {bool} or not all(map(lt, stored.indices, stored.indices[1:])):
        raise DamagedError("its messages are not in order")


def _kinds(*columns: list[Any] | None) -> set[type]:
    return {kind for column in columns for kind in set(map(type, column or ()))}


def _shown(message: Any, redaction: Any) -> Any:
    return message if redaction is None else redaction
