"""What a session manager knows of one live agent, and what it still has to write for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from strands.types.session import SessionAgent, SessionMessage

from .. import codec, events
from ..errors import EncodingError
from ..event_log import AgentAt, EventLog
from ..state import AgentState
from .records import agent_content, data_of


@dataclass(slots=True)
class TrackedAgent:
    """One agent of this process.

    Attributes:
        agent_id: The agent.
        revision: The session revision at which it last moved, as far as this process knows: the fence of its appends.
        content: Its record as last handed to the log, as JSON values without timestamps.
        created_at: When its record was created, ISO text.
        next_index: The index of its next message.
        batches: What is not known to be in the log yet, oldest first. A batch is repeated as it was, never merged
            with another: the log recognises a batch that has landed by its events.
        refused: Whether the oldest batch holds a value that cannot be stored.
    """

    agent_id: str
    revision: int
    content: Any
    created_at: str
    next_index: int
    batches: deque[list[events.Event]] = field(default_factory=deque)
    refused: bool = False

    @classmethod
    def resumed(cls, agent: AgentState) -> TrackedAgent:
        """Go on from what the log holds."""
        record = agent.record or {}
        next_index = agent.messages[-1].message_id + 1 if agent.messages else 0
        return cls(agent.agent_id, agent.revision, agent_content(record), str(record.get("created_at", "")), next_index)

    def adopt(self, batch: list[events.Event]) -> list[events.Event]:
        """Take note of what is about to be written by other means than `message` and `change`; returns it."""
        for event in batch:
            if isinstance(event, (events.AgentCreated, events.AgentUpdated)):
                self.content = codec.to_json(agent_content(event.data))
                self.created_at = str(event.data["created_at"])
            elif event.message_index is not None:
                self.next_index = max(self.next_index, event.message_index + 1)
        return batch

    def message(self, message: SessionMessage) -> events.Event:
        """The event of a message said now."""
        self.next_index = message.message_id + 1
        return events.MessageAdded(data_of(message), self.agent_id)

    def change(self, agent: SessionAgent) -> list[events.Event]:
        """The event of a changed record; none when its content is what was handed over last.

        Content is compared, not Strands' version counters: those start anew when `agent.state` is replaced.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        agent.created_at = self.created_at or agent.created_at
        data = data_of(agent)
        content = codec.to_json(agent_content(data))
        if content == self.content:
            return []
        self.content = content
        return [events.AgentUpdated(data, self.agent_id)]

    def flush(self, log: EventLog, session_id: str, held: Collection[int]) -> None:
        """Write what is waiting, oldest first.

        Args:
            log: Where to.
            session_id: The session.
            held: The identities of the messages the agent holds: one that cannot be stored, and that was taken out
                of the agent, is let go.

        Raises:
            SessionLogError: What could not be written stays, for the next time.
        """
        while self.batches:
            if self.refused:
                self.batches[0] = [event for event in self.batches[0] if id(event.data.get("message")) in held]
                self.refused = False
            if self.batches[0]:
                self.append(log, session_id, self.batches[0])
            self.batches.popleft()

    def append(self, log: EventLog, session_id: str, batch: list[events.Event]) -> None:
        """Write a batch, unless someone else has moved the agent.

        Raises:
            SessionLogError: When it cannot be written.
        """
        try:
            ids = log.append(session_id, batch, AgentAt(self.agent_id, self.revision))
        except EncodingError:
            self.refused = True
            raise
        moved = [id_.revision for id_, event in zip(ids, batch, strict=True) if event.moves_agent]
        self.revision = moved[-1] if moved else self.revision
