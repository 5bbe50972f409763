"""What strands-valkey-session-manager 0.1 writes, without depending on it.

Its `ValkeySessionManager` writes `json.dumps(record.to_dict(), ensure_ascii=False)` with JSON.SET. Where there is no
JSON module, forks of it write the same text with SET; so does this one.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from strands.session.repository_session_manager import RepositorySessionManager
from strands.session.session_repository import SessionRepository
from strands.types.session import Session, SessionAgent, SessionMessage

T = TypeVar("T")


class OldSessionManager(RepositorySessionManager, SessionRepository):
    """The old manager on plain strings: the same keys, the same text."""

    def __init__(self, session_id: str, client: Any) -> None:
        self.client = client
        super().__init__(session_id=session_id, session_repository=self)

    def _get(self, kind: type[T], *parts: object) -> T | None:
        value = self.client.get(_key(*parts))
        return None if value is None else cast(Any, kind).from_dict(json.loads(value))

    def _set(self, record: Any, *parts: object) -> None:
        self.client.set(_key(*parts), json.dumps(record.to_dict(), ensure_ascii=False))

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        self._set(session, session.session_id)
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        return self._get(Session, session_id)

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        self._set(session_agent, session_id, "agent", session_agent.agent_id)

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        return self._get(SessionAgent, session_id, "agent", agent_id)

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        previous = self.read_agent(session_id, session_agent.agent_id)
        assert previous is not None
        session_agent.created_at = previous.created_at
        self.create_agent(session_id, session_agent)

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        self._set(session_message, session_id, "agent", agent_id, "message", session_message.message_id)

    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        return self._get(SessionMessage, session_id, "agent", agent_id, "message", message_id)

    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        previous = self.read_message(session_id, agent_id, session_message.message_id)
        assert previous is not None
        session_message.created_at = previous.created_at
        self.create_message(session_id, agent_id, session_message)

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        keys = self.client.scan_iter(match=_key(session_id, "agent", agent_id, "message", "*"))
        indices = sorted(int(key.decode().rpartition(":")[2]) for key in keys)
        messages = (self.read_message(session_id, agent_id, index) for index in indices[offset:])
        return [message for message in messages if message is not None][:limit]


class WithJsonModule:
    """Stands between the importer and a real client: answers as if the strings there were documents of a JSON module.

    No JSON module can be had where these tests run. What one answers is known: `TYPE` says `ReJSON-RL`, `GET` is
    refused, and `JSON.GET key` returns the document as text.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.commands: list[str] = []

    def close(self) -> None:
        self._client.close()

    def execute_command(self, name: Any, *arguments: Any, **options: Any) -> Any:
        assert name == b"SCAN"
        return self._client.execute_command(name, *arguments, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        return _Pipeline(self._client.pipeline(transaction, shard_hint), self.commands)


class _Pipeline:
    def __init__(self, pipeline: Any, commands: list[str]) -> None:
        self._pipeline, self._commands = pipeline, commands

    def execute_command(self, name: str, key: str, **options: Any) -> None:
        self._commands.append(name)
        assert name in ("TYPE", "JSON.GET"), "a document of the JSON module is no string"
        self._pipeline.execute_command("GET" if name == "JSON.GET" else name, key, **options)

    def execute(self, **options: Any) -> list[Any]:
        replies = self._pipeline.execute(**options)
        return [b"ReJSON-RL" if reply in (b"string", "string") else reply for reply in replies]


def _key(*parts: object) -> str:
    return ":".join(["session", *map(str, parts)])
