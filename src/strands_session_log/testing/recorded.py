"""What was said in a session, for a test that plays it again: what the model answered, and what it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..codec import from_json
from .standing import standing_messages

if TYPE_CHECKING:
    from ..ids import Point
    from ..session_log import SessionLog

Blocks = list[Mapping[str, Any]]


def recorded_replies(log: SessionLog, session_id: str, agent: str = "default", at: Point | None = None) -> list[Blocks]:
    """What the model of an agent answered, in order: `ScriptedModel(*recorded_replies(log, "s-42"))` says it again.

    What a rewind has undone is left out.

    Args:
        log: The log.
        session_id: The session.
        agent: The agent.
        at: As it was then; now for None.

    Raises:
        SessionNotFoundError: When there is no such session.
        KeyError: When it has no such agent.
    """
    return [content for role, content in _said(log, session_id, agent, at) if role == "assistant"]


def recorded_prompts(log: SessionLog, session_id: str, agent: str = "default", at: Point | None = None) -> list[Blocks]:
    """What an agent was asked, in order, without the results of its tools; arguments and errors as above."""
    asked = [content for role, content in _said(log, session_id, agent, at) if role == "user"]
    return [content for content in asked if not any("toolResult" in block for block in content)]


def recorded_messages(
    log: SessionLog, session_id: str, agent: str = "default", at: Point | None = None
) -> list[dict[str, Any]]:
    """The whole transcript of an agent, for `play_again`; arguments and errors as above."""
    return [{"role": role, "content": from_json(content)} for role, content in _said(log, session_id, agent, at)]


def _said(log: SessionLog, session_id: str, agent: str, at: Point | None) -> Iterator[tuple[str, Blocks]]:
    for record in standing_messages(log, session_id, log.state(session_id, at), agent):
        yield record.shown["role"], list(record.shown["content"])
