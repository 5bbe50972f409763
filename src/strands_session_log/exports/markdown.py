"""`session-log export --to markdown`: what was said and done, for people, whatever anybody has said.

All that a session holds stands in blocks or spans of code, behind a fence that is longer than any in it. There,
Markdown knows no links, no pictures, no HTML and no headings: nothing of it can pass for a part of this page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ..event_log import Progress
from ..events import Event, MessageAdded, MessageRedacted, MessageUpdated, Recorded
from ..session_log import SessionLog
from ..unseen import escaped
from .messages import blocks_of, instant, message_of

_MESSAGES = {MessageAdded.TYPE: "", MessageUpdated.TYPE: ", updated", MessageRedacted.TYPE: ", redacted"}
_ENDS = re.compile(r"\r\n?|\n")
_GIST = ("name", "node", "status", "stop_reason", "error", "reason", "by")
"""What of other events stands in their line."""
_MOST = 200


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The page of a session, piece by piece.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    last = log.head(session_id)
    yield f"# Session {span(session_id)}\n\n".encode()
    yield f"{last.revision:,} events up to {instant(last)}. Times are the server's, in UTC.\n".encode()
    for one in log.read(session_id, until=last):
        yield "".join(_section(one)).encode()
        progress(one.id.revision, last.revision)


def span(text: str) -> str:
    """Any text as code within a line."""
    shown = escaped(_ENDS.sub("⏎", text).replace("\t", " ").replace("\n", "⏎"))
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}"


def fenced(text: str, kind: str = "text") -> str:
    """Any text as a block of code."""
    lines = "\n".join(map(escaped, _ENDS.split(text)))
    fence = "`" * max(3, max(map(len, re.findall("`+", lines)), default=0) + 1)
    return f"\n{fence}{kind}\n{lines}\n{fence}\n"


def _section(one: Recorded) -> Iterator[str]:
    event = one.event
    if event.type not in _MESSAGES:
        yield f"\n- {one.id.revision} · {instant(one.id)} · {span(event.type)}{_of(event.agent)}{_gist(one)}\n"
        return
    message = message_of(one)
    role = message.get("role") or event.data.get("role")
    title = {"user": "User", "assistant": "Assistant"}.get(role if isinstance(role, str) else "", "Message")
    yield f"\n## {one.id.revision} · {title}{_of(event.agent)}{_MESSAGES[event.type]}\n\n{instant(one.id)}\n"
    if not message:
        yield "\n*There is no message.*\n" if event.has_content else f"\n*The content {_why_not(event)}.*\n"
    for block in blocks_of(message):
        for kind, value in block.items():
            yield _part(kind, value)


def _part(kind: Any, value: Any) -> str:
    match kind, value:
        case "text", str():
            return fenced(value)
        case "toolUse", {"name": name, "input": given}:
            return f"\nCalls the tool {span(str(name))} with\n{_as_json(given)}"
        case "toolResult", {"content": list(results)}:
            parts = (_part(*one) for block in results if isinstance(block, Mapping) for one in block.items())
            return f"\nA tool answers: {span(str(value.get('status', '')))}\n{''.join(parts)}"
        case "reasoningContent", {"reasoningText": {"text": str(thought)}}:
            return f"\nReasoning:\n{fenced(thought)}"
        case "image" | "document" | "video", Mapping():
            return f"\n*A file:* {span(str(kind))} {span(str(value.get('name') or value.get('format') or ''))}\n"
    return f"\n{span(str(kind))}\n{_as_json(value)}"


def _as_json(value: Any) -> str:
    return fenced(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), "json")


def _of(agent: str) -> str:
    return f" · {span(agent)}" if agent else ""


def _gist(one: Recorded) -> str:
    if not one.event.has_content:
        return f" · *the content {_why_not(one.event)}*"
    found = {name: one.event.data.get(name) for name in _GIST}
    told = [f"{name} {span(value[:_MOST])}" for name, value in found.items() if isinstance(value, str) and value]
    return f" · {', '.join(told)}" if told else ""


def _why_not(event: Event) -> str:
    return "is encrypted" if event.is_sealed else "was erased"
