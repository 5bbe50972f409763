"""What Strands' session managers write as JSON, checked and made the data of events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from strands.types.session import decode_bytes_values

from ..lifecycle.records import check_ids, check_message_id
from ..state import removed_count
from .errors import SourceError
from .stored import StoredAgent

SUMMARIZING = "SummarizingConversationManager"
"""The manager that puts a message of its own before those of the transcript when it is restored."""

_TIMES = ("created_at", "updated_at")
_MESSAGE_FIELDS = ("message", "message_id", "redact_message", *_TIMES)
_AGENT_FIELDS = ("agent_id", "state", "conversation_manager_state", "_internal_state", *_TIMES)
_SESSION_FIELDS = ("session_id", "session_type", *_TIMES)


def load(text: str | bytes, where: object) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        SourceError: When it is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(where, f"not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(where, f"not a JSON object, but {type(value).__name__}")
    return value


def decoded(data: Mapping[str, Any], where: object) -> dict[str, Any]:
    """The same with the bytes Strands encoded.

    Raises:
        SourceError: When they are not base64.
    """
    try:
        restored: dict[str, Any] = decode_bytes_values(dict(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(where, f"encoded bytes cannot be decoded: {error}") from error
    return restored


def checked_ids(where: object, session_id: str, agent_id: str | None = None) -> None:
    """Refuse ids no session or agent of the log can have.

    Raises:
        SourceError: When one is.
    """
    try:
        check_ids(session_id, agent_id)
    except ValueError as error:
        raise SourceError(where, str(error)) from error


def session_record(data: Mapping[str, Any], session_id: str, where: object) -> dict[str, Any]:
    """The data of `session.created`; a directory that was renamed is the session it is called."""
    checked_ids(where, session_id)
    return {"session_type": "AGENT", **_fields(data, _SESSION_FIELDS, where), "session_id": session_id}


def agent_record(data: Mapping[str, Any], session_id: str, agent_id: str, where: object) -> dict[str, Any]:
    """The data of `agent.created`.

    Raises:
        SourceError: When it is not that of an agent.
    """
    checked_ids(where, session_id, agent_id)
    record = {**_fields(decoded(data, where), _AGENT_FIELDS, where), "agent_id": agent_id}
    for name in ("state", "conversation_manager_state"):
        if not isinstance(record.get(name), dict):
            raise SourceError(where, f"not an agent: {name} is missing or no object")
    return record


def message_record(data: Mapping[str, Any], index: int, where: object) -> dict[str, Any]:
    """The data of `message.added`; of a redacted message nothing but the redaction.

    Raises:
        SourceError: When it is not that of a message, or of another message.
    """
    record = _fields(decoded(data, where), _MESSAGE_FIELDS, where)
    if record.get("message_id") != index:
        raise SourceError(where, f"it should hold message {index}, but holds message {record.get('message_id')!r}")
    redaction = record.get("redact_message")
    if not isinstance(record.get("message"), dict) or not isinstance(redaction, (dict, type(None))):
        raise SourceError(where, "not a message: message or redact_message is no object")
    try:
        check_message_id(index)
    except ValueError as error:
        raise SourceError(where, str(error)) from error
    return {**record, "message": record["message"] if redaction is None else redaction, "redact_message": redaction}


def repository_agent(record: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> StoredAgent:
    """An agent of a store that keeps every message; a summary is put before what is left of them."""
    summary = summary_in(record)
    if summary is None:
        return StoredAgent(record["agent_id"], record, messages)
    removed = removed_count(record["conversation_manager_state"])
    left = [message["message_id"] for message in messages[removed:]]
    items: list[Any] = [{"message": summary}, *([[left[0], left[-1]]] if left else [])]
    following = messages[-1]["message_id"] + 1 if messages else 0
    window = {"items": items, "removed": removed, "next": following}
    return StoredAgent(record["agent_id"], record, messages, window)


def summary_in(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The summary that stands before an agent's messages, in its conversation manager's state."""
    state = record.get("conversation_manager_state")
    if not isinstance(state, Mapping) or state.get("__name__") != SUMMARIZING:
        return None
    summary = state.get("summary_message")
    return summary if isinstance(summary, Mapping) and summary else None


def _fields(data: Mapping[str, Any], names: Sequence[str], where: object) -> dict[str, Any]:
    """What Strands would read of it, in its order; a time that is missing stays unknown."""
    known = {name: data[name] for name in names if name in data}
    for name in _TIMES:
        if not isinstance(known.setdefault(name, ""), str):
            raise SourceError(where, f"{name} is no text")
    return known
