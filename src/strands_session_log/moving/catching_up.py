"""A snapshot that is newer than what was imported of it, as the same session some turns later.

A snapshot has what its agent holds, and no time of a message but its own; so of a later one every record is another.
What says the same as what the log has is taken as it stands there, and the rest follows: as long as turns were added,
and some of the oldest messages removed, that is a session that has gone on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import events
from ..codec import to_json
from ..lifecycle.records import agent_content
from ..state import removed_count
from .plan import Found, Slot
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
    known = found.newest(Slot(events.SessionCreated.TYPE, "", None))
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
    slot = Slot(events.AgentCreated.TYPE, agent.agent_id, None)
    first, newest = found.oldest(slot), found.newest(slot)
    if first is None or newest is None:
        return agent
    record: Mapping[str, Any] = {**agent.record, "created_at": newest.get("created_at", "")}
    # The log has the messages from the first on that was held when it was imported; some were removed since.
    shift = max(0, removed_count(agent.record[_MANAGER]) - removed_count(first.get(_MANAGER)))
    return StoredAgent(
        agent.agent_id,
        newest if _same(newest, record) else record,
        _messages(agent, found, shift),
        _shifted(agent.window, shift),
    )


def _messages(agent: StoredAgent, found: Found, shift: int) -> Sequence[Mapping[str, Any]]:
    """Those that are removed by now, as the log has them, and those that are held, at the places they have there."""

    def known(index: int) -> Mapping[str, Any] | None:
        return found.newest(Slot(events.MessageAdded.TYPE, agent.agent_id, index))

    removed = [known(index) for index in range(shift)]
    if None in removed:
        raise MessagesMissingError(agent.agent_id, removed.index(None), shift - 1)
    held = [{**message, "message_id": index} for index, message in enumerate(agent.messages, shift)]
    there = [(message, known(message["message_id"])) for message in held]
    return [one for one in removed if one] + [old if old and _same(old, new) else new for new, old in there]


def _shifted(window: Mapping[str, Any] | None, shift: int) -> Mapping[str, Any] | None:
    if window is None:
        return None
    items = [[first + shift, last + shift] for first, last in window["items"]]
    return {"items": items, "removed": window["removed"], "next": window["next"] + shift}


def _same(known: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether they say the same, whenever they were written."""
    return bool(agent_content(known) == to_json(agent_content(given)))
