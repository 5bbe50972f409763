"""A message of a session with another text, for a fork that goes on as if that had been said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .. import SessionLog, events
from .exit_codes import Code, fail


def edited(log: SessionLog, session_id: str, at: str | None, point: str, text: str) -> events.Event:
    """The event that gives a message another text, where it is one of those up to a point; else the program ends."""
    event = log.event(session_id, point).event
    agent = log.state(session_id, at).agents.get(event.agent)
    records = {} if agent is None else {record.message_id: record for record in agent.messages}
    record = None if event.message_index is None else records.get(event.message_index)
    if record is None:
        fail(Code.USAGE, f"--edit {point}: give the event of a message that is copied; `session-log show` numbers them")
    if record.erased or record.redact_message is not None:
        fail(Code.USAGE, f"--edit {point}: that message was redacted or erased")
    from strands.types.session import decode_bytes_values

    # Bytes are stored as Strands encodes them, and would be encoded again.
    message = decode_bytes_values(dict(record.message))
    return events.MessageUpdated(
        {
            "message": {**message, "content": _content(message, point, text)},
            "message_id": record.message_id,
            "redact_message": None,
            "created_at": record.created_at,
            "updated_at": datetime.now(timezone.utc).isoformat(),
        },
        event.agent,
    )


def _content(message: Mapping[str, Any], point: str, text: str) -> list[Any]:
    """The text in place of the text there was, or of what the one tool returned."""
    blocks, said = message["content"], {"text": text}
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if len(results) > 1:
        fail(Code.USAGE, f"--edit {point}: {len(results)} tools answer there, and one text cannot stand for all")
    if results:
        return [{"toolResult": {**results[0], "content": [said]}}]
    # Reasoning led to what was said before.
    return [said, *(block for block in blocks if "text" not in block and "reasoningContent" not in block)]
