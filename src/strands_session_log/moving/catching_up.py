"""A snapshot that is newer than what was imported of it, as the same session some turns later.

A snapshot has what its agent holds, and no time of a message but its own; so of a later one every record is another.
What says the same as what the log has is taken as it stands there, and the rest follows: as long as turns were added,
and some of the oldest messages removed, or summarised, that is a session that has gone on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import events
from ..codec import to_json
from ..lifecycle.records import agent_content
from ..state import removed_count
from .plan import Found, PlannedMessage
from .records import summary_in
from .stored import StoredAgent, StoredSession

_MANAGER = "conversation_manager_state"


def rebased(stored: StoredSession, found: Found) -> StoredSession:
    """A session as a snapshot has it, with what the log has of it in place of what says the same.

    Args:
        stored: The session, of a store that keeps no indices and times of messages.
        found: What the log has.

    Raises:
        MessagesMissingError: When messages were removed in that store that were never imported.
    """
    known = found.newest(PlannedMessage(events.SessionCreated.TYPE, "", None))
    record = known if known is not None and _same(known, stored.record) else stored.record
    return replace(stored, record=record, agents=[_rebased(agent, found) for agent in stored.agents])


class MessagesMissingError(Exception):
    """A store has removed messages that were never imported.

    Attributes:
        agent_id: Whose.
        first: The index of the first of them.
        last: That of the last.
    """

    def __init__(self, agent_id: str, first: int, last: int) -> None:
        self.agent_id, self.first, self.last = agent_id, first, last
        super().__init__(
            f"the source has removed messages {first} to {last} of {agent_id!r}, which were never imported: import "
            "more often than its conversation manager removes, or delete the session from the log and import what is "
            "left"
        )


def _rebased(agent: StoredAgent, found: Found) -> StoredAgent:
    slot = PlannedMessage(events.AgentCreated.TYPE, agent.agent_id, None)
    first, newest = found.oldest(slot), found.newest(slot)
    if first is None or newest is None:
        return agent
    record: Mapping[str, Any] = {**agent.record, "created_at": newest.get("created_at", "")}
    messages, window = _held(agent, found, first)
    return StoredAgent(agent.agent_id, newest if _same(newest, record) else record, messages, window)


def _held(
    agent: StoredAgent, found: Found, first: Mapping[str, Any]
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any] | None]:
    """The messages, at the places the log has them, and which of them the agent holds."""

    def known(index: int) -> Mapping[str, Any] | None:
        return found.newest(PlannedMessage(events.MessageAdded.TYPE, agent.agent_id, index))

    removed, summary = removed_count(agent.record[_MANAGER]), _summary(agent.record, agent.messages[:1])
    # The log has the messages from the first on that was held when it was imported, behind a summary if there was one.
    before = _summary(first, [one for one in [known(0)] if one])
    start = max(0, removed - removed_count(first.get(_MANAGER)) + (before is not None))
    gone = [known(index) for index in range(start)]
    if None in gone:
        raise MessagesMissingError(agent.agent_id, gone.index(None), start - 1)
    said = [{**one, "message_id": index} for index, one in enumerate(agent.messages[summary is not None :], start)]
    pairs = [(known(one["message_id"]), one) for one in said]
    messages = [*filter(None, gone), *(old if old and _same(old, new) else new for old, new in pairs)]
    if not removed and summary is None:
        return messages, agent.window
    held = range(start, start + len(said))
    return messages, {"items": _items(summary, before, held), "removed": removed, "next": held.stop}


def _summary(record: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> Any:
    """What a conversation manager made of the messages it removed; the agent holds it before the others."""
    summary = summary_in(record)
    return summary if messages and to_json(messages[0]["message"]) == to_json(summary) else None


def _items(summary: Any, before: Any, held: range) -> list[Any]:
    """A summary stands in no transcript, unless the first import found it where its first message would be."""
    span = [[held.start, held.stop - 1]] if held else []
    if summary is None:
        return span
    if to_json(summary) != before:
        return [{"message": summary}, *span]
    return [[0, held.stop - 1]] if held.start == 1 else [[0, 0], *span]


def _same(known: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether they say the same, whenever they were written."""
    return bool(agent_content(known) == to_json(agent_content(given)))
