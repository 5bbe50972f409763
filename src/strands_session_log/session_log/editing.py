"""A fork in which one message says something else: made in one step, so that no other can be mistaken for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..codec import from_json
from ..errors import MessageNotEditableError, check_log
from ..event_log import Progress
from ..events import Event, MessageAdded, MessageUpdated
from ..ids import EventId, Point
from ..replay import unanswered
from ..state import MessageRecord
from .points import sketch_at

if TYPE_CHECKING:
    from .log import SessionLog


@dataclass(frozen=True, slots=True)
class EditedFork:
    """A fork that was made with another text.

    Attributes:
        id: The `SessionForked` event, the first that is the new session's own.
        edited: The event after it, which changes the message.
    """

    id: EventId
    edited: EventId


def fork_edited(
    log: SessionLog,
    session_id: str,
    at: Point | None,
    into: str,
    *,
    message: Point,
    text: str,
    allow_unanswered: bool = False,
    progress: Progress = lambda done, total: None,
    by: str = "",
) -> EditedFork:
    """Begin a new session as a copy of another in which a message says something else.

    The copy and the change are one step: whatever breaks off, there is no fork that lacks the change. What the message
    said before stands in the history of both.

    Args:
        log: The log.
        session_id: The session to copy.
        at: The last event to copy, or the time up to which; None for all there is.
        into: The id of the new session.
        message: The event of the message, one of those that are copied.
        text: What it says, or what the one tool that answers there returned; pictures and files in it stay.
        allow_unanswered: As for `SessionLog.fork`.
        progress: As for `SessionLog.fork`.
        by: Who forks, for the event that records it.

    Raises:
        MessageNotEditableError: When that is no message that can say something else; nothing is made.
        SessionExistsError: When there is a session of that id already; and other errors of `SessionLog.fork`.
    """
    check_log(log)
    there = sketch_at(log._events, log._replay, session_id, at)
    if not allow_unanswered:
        unanswered.check(log._events, session_id, there)

    def change() -> Sequence[Event]:
        return [_changed(log, session_id, there.position, message, text)]

    made = log._events.fork(session_id, there.position, into, progress, by, change)
    return EditedFork(made, EventId(made.ms, made.revision + 1))


def _changed(log: SessionLog, session_id: str, at: EventId, point: Point, text: str) -> Event:
    event = log.event(session_id, point).event
    record = _record(log, session_id, at, event)
    if record is None:
        raise MessageNotEditableError(session_id, point, "give the event of a message that is copied")
    if record.erased or record.redact_message is not None:
        raise MessageNotEditableError(session_id, point, "it was redacted or erased")
    # Bytes are stored encoded, and would be encoded again.
    message = from_json(record.message)
    return MessageUpdated(
        {
            "message": {**message, "content": _content(session_id, message, point, text)},
            "message_id": record.message_id,
            "redact_message": None,
            "created_at": record.created_at,
            "updated_at": datetime.now(timezone.utc).isoformat(),
        },
        event.agent,
    )


def _record(log: SessionLog, session_id: str, at: EventId, event: Event) -> MessageRecord | None:
    """The message of an event, as it is at a point; None where it is none, or not there yet."""
    index = event.data.get("message_id") if isinstance(event, (MessageAdded, MessageUpdated)) else None
    agent = log.state(session_id, at).agents.get(event.agent)
    messages = () if agent is None or type(index) is not int else agent.messages
    return next((one for one in messages if one.message_id == index), None)


def _content(session_id: str, message: Mapping[str, Any], point: Point, text: str) -> list[Any]:
    """The text in place of the text there was, or of what the one tool returned."""
    blocks, said = message["content"], {"text": text}
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if len(results) > 1:
        raise MessageNotEditableError(
            session_id, point, f"{len(results)} tools answer there, and one text cannot stand for all"
        )
    if results:
        answered = {"toolResult": {**results[0], "content": [said]}}
        return [answered if "toolResult" in block else block for block in blocks]
    # Reasoning led to what was said before.
    return [said, *(block for block in blocks if "text" not in block and "reasoningContent" not in block)]
