"""Strands' session objects as the data of events, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from typing import Any

from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage

from ..codec import from_json
from ..errors import shown
from ..events.facts import is_index
from ..ids import MESSAGE_INDEX_LIMIT, check_id
from ..state import MANAGER, REMOVED_COUNT, MessageRecord, Messages

_SESSION_FIELDS = frozenset(field.name for field in fields(Session))
_AGENT_FIELDS = frozenset(field.name for field in fields(SessionAgent))
_TIMES = ("created_at", "updated_at")
HAS_USUAL_MEMBERS = [field.name for field in fields(SessionMessage)] == [
    "message",
    "message_id",
    "redact_message",
    *_TIMES,
]
"""Whether this version of Strands stores of a message what an entry that leaves them out stands for."""


@lru_cache(maxsize=1024)
def check_ids(session_id: str, agent_id: str | None = None) -> None:
    """Refuse what Strands' `FileSessionManager` refuses, with its words, and what no key can hold.

    Raises:
        ValueError: When an id contains a path separator, is empty, too long, or has characters nobody can see.
    """
    for kind, value in (("session_id", session_id), ("agent_id", agent_id)):
        if value is None:
            continue
        if os.path.basename(value) != value:  # noqa: PTH119 - the very test of strands._identifier
            raise ValueError(f"{kind}={value} | id cannot contain path separators")
        check_id(kind, value)


class MessageIdError(ValueError, TypeError):
    """What is no message index; a `ValueError` for Strands, a `TypeError` for `strands-valkey-session-manager`."""


def check_message_id(message_id: object) -> int:
    """Refuse what is not a message index.

    Raises:
        MessageIdError: When it is not an integer, or not one the log can hold.
    """
    if type(message_id) is not int:
        raise MessageIdError(f"message_id=<{message_id}> | message id must be an integer")
    if abs(message_id) >= MESSAGE_INDEX_LIMIT:
        raise MessageIdError(f"message_id=<{shown(message_id)}> | message id must be below 10**14")
    return message_id


def data_of(record: Session | SessionAgent | SessionMessage) -> dict[str, Any]:
    """The dict Strands itself would store, without its deep copy: the codec makes one anyway."""
    held = vars(record)
    # Whoever hung something else on it gets its fields only; asking for them one by one takes longer.
    names = record.__dataclass_fields__
    return dict(held) if held.keys() == names.keys() else {name: getattr(record, name) for name in names}


def redacted(message: SessionMessage) -> dict[str, Any]:
    """The data of a redacted message: nothing of the original stands in either of its fields."""
    return {**data_of(message), "message": message.redact_message}


def agent_content(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of an agent's record counts when asking whether it changed."""
    return {name: value for name, value in data.items() if name not in _TIMES}


def count_alone(content: Mapping[str, Any], told: Mapping[str, Any]) -> int | None:
    """How many messages a conversation manager has removed, if nothing else of an agent's record is new."""
    now, before = content.get(MANAGER), told.get(MANAGER)
    if not isinstance(now, Mapping) or not isinstance(before, Mapping) or REMOVED_COUNT not in before:
        return None
    removed = now.get(REMOVED_COUNT)
    if not is_index(removed) or removed == before[REMOVED_COUNT]:
        return None
    # What cannot be compared, or is not JSON, is something else that is new.
    with suppress(Exception):
        return removed if with_count(content, before[REMOVED_COUNT]) == told else None
    return None


def with_count(content: Mapping[str, Any], removed: Any) -> dict[str, Any]:
    """An agent's record that says so many messages have been removed."""
    return {**content, MANAGER: {**content[MANAGER], REMOVED_COUNT: removed}}


def to_session(data: Mapping[str, Any]) -> Session:
    """Restore a `Session`; unknown fields are passed over, as Strands does."""
    return Session(**{name: value for name, value in from_json(dict(data)).items() if name in _SESSION_FIELDS})


def to_agent(data: Mapping[str, Any]) -> SessionAgent:
    """Restore a `SessionAgent`; unknown fields are passed over, as Strands does."""
    return SessionAgent(**{name: value for name, value in from_json(dict(data)).items() if name in _AGENT_FIELDS})


def to_message(record: MessageRecord) -> SessionMessage:
    """Restore a `SessionMessage`, with containers of its own."""
    message, redaction = from_json(record.message), from_json(record.redact_message)
    return SessionMessage(message, record.message_id, redaction, record.created_at, record.updated_at)


def find_message(messages: Messages, index: int) -> SessionMessage | None:
    """The message of an index, restored; None where there is none."""
    position = messages.find(index)
    return None if position is None else to_message(messages[position])


def to_messages(messages: Messages, start: int, end: int | None) -> list[SessionMessage]:
    """Restore the messages of a slice, with containers of their own."""
    first, last, _ = slice(start, end).indices(len(messages))
    return messages.made(first, last, SessionMessage, from_json)


def answers_tools(message: Any) -> bool:
    """Whether a message brings results of tools."""
    return any("toolResult" in block for block in message["content"])


def is_prompt(message: Any) -> bool:
    """Whether somebody says something in a message; else it is the agent's own, or only what its tools answer."""
    content = message["content"]
    return message["role"] == "user" and not (content and all("toolResult" in block for block in content))


def missing(what: str) -> SessionException:
    """The error of Strands' own repositories for something that is not there."""
    return SessionException(f"{what} does not exist")
