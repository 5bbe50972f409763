"""The messages of a session as rows of a table: one row each, of the same columns, read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from ..event_log import Progress
from ..events import MessageAdded, MessageRedacted, MessageUpdated, Recorded
from ..ids import EventId
from ..session_log import SessionLog

_MEDIA = frozenset(("image", "document", "video"))


class MessageRow(NamedTuple):
    """A message of an agent's transcript, as it counts now. docs/exports.md tells what is in each column."""

    session_id: str
    agent: str
    message_index: int | None
    revision: int
    id: str
    event_id: str
    ms: int
    written_at: str
    role: str | None
    text: str | None
    reasoning: str | None
    tool_calls: str | None
    tool_results: str | None
    media: int
    content: str | None
    status: str

    @property
    def time(self) -> str:
        """The server's time, RFC 3339."""
        return instant(EventId(self.ms, self.revision))


def message_rows(log: SessionLog, session_id: str, progress: Progress) -> Iterator[MessageRow]:
    """The messages of a session in the order in which they were said, up to where it stands now.

    A message that was updated or redacted later is given as it is now, where it was said: only these are in memory.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how many events were passed, and of how many.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    last = log.head(session_id)
    changes = log.read(session_id, until=last, types=(MessageUpdated.TYPE, MessageRedacted.TYPE))
    newest = {(one.event.agent, _index(one)): one for one in changes}
    for one in log.read(session_id, until=last, types=MessageAdded.TYPE):
        yield _row(session_id, one, newest.get((one.event.agent, _index(one)), one))
        progress(one.id.revision, last.revision)
    progress(last.revision, last.revision)


def instant(id_: EventId) -> str:
    """The server's time of an event: RFC 3339, UTC, milliseconds."""
    return f"{id_.time:%Y-%m-%dT%H:%M:%S}.{id_.ms % 1000:03}Z"


def message_of(one: Recorded) -> Mapping[str, Any]:
    """The message that an event holds, its redaction if there is one; empty where it holds none."""
    data = one.event.data
    found = data.get("redact_message") or data.get("message") if one.event.has_content else None
    return found if isinstance(found, Mapping) else {}


def blocks_of(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The content blocks of a message; what is none is left out."""
    content = message.get("content")
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []


def _index(one: Recorded) -> int | None:
    index = one.event.data.get("message_id")
    return index if type(index) is int else None


def _row(session_id: str, said: Recorded, now: Recorded) -> MessageRow:
    message = message_of(now)
    blocks = blocks_of(message)
    role = message.get("role") or said.event.data.get("role")
    return MessageRow(
        session_id=session_id,
        agent=said.event.agent,
        message_index=_index(said),
        revision=said.id.revision,
        id=str(said.id),
        event_id=said.event.event_id,
        ms=said.id.ms,
        written_at=said.event.time,
        role=role if isinstance(role, str) else None,
        text=_joined(block.get("text") for block in blocks),
        reasoning=_joined(_thought(block) for block in blocks),
        tool_calls=_listed(block["toolUse"] for block in blocks if "toolUse" in block),
        tool_results=_listed(block["toolResult"] for block in blocks if "toolResult" in block),
        media=sum(bool(_MEDIA & block.keys()) for block in blocks),
        content=_listed(blocks) if message else None,
        status=_status(said, now),
    )


def _status(said: Recorded, now: Recorded) -> str:
    if not now.event.has_content:
        return "sealed" if now.event.is_sealed else "erased"
    if now.event.data.get("redact_message"):
        return "redacted"
    return "said" if now is said else "updated"


def _thought(block: Mapping[str, Any]) -> Any:
    reasoning = block.get("reasoningContent")
    thought = reasoning.get("reasoningText") if isinstance(reasoning, Mapping) else None
    return thought.get("text") if isinstance(thought, Mapping) else None


def _joined(texts: Iterator[Any]) -> str | None:
    found = [text for text in texts if isinstance(text, str)]
    return "\n\n".join(found) if found else None


def _listed(values: Any) -> str | None:
    found = list(values)
    return orjson.dumps(found).decode() if found else None
