"""A session as another store holds it, and what a store must offer for its sessions to be imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """One agent in another store.

    Attributes:
        agent_id: The agent.
        record: Its `SessionAgent` dict.
        messages: Its `SessionMessage` dicts in order of their index.
        window: What it holds, as the data of `events.WindowChanged`; None where messages and record tell it.
    """

    agent_id: str
    record: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]] = ()
    window: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One session in another store.

    Attributes:
        session_id: The session.
        origin: The kind of store, for the record.
        record: Its `Session` dict.
        agents: Its agents.
        multi_agents: Serialized graphs and swarms by id.
        grows: Whether messages keep their index and times in that store; one that does not is caught up with by what
            its messages say.
        warnings: What the store holds that a session of the log has no place for.
    """

    session_id: str
    origin: str
    record: Mapping[str, Any]
    agents: Sequence[StoredAgent] = ()
    multi_agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grows: bool = True
    warnings: Sequence[str] = ()


class Source(Protocol):
    """A store whose sessions can be imported."""

    def session_ids(self) -> Sequence[str]:
        """The sessions it has.

        Raises:
            SourceUnavailableError: When the store cannot be asked.
        """

    def read(self, session_id: str) -> StoredSession:
        """One of them.

        Raises:
            SourceError: When it cannot be read; names the file or key.
            SourceUnavailableError: When the store cannot be asked.
        """
