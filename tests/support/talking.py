"""Real agents at work, so that there is something of everything a metric counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from strands import Agent, tool
from strands.types.exceptions import SessionException

from strands_session_log import SessionLog, ValkeySessionManager, events
from strands_session_log.feed import Envelope, envelope
from strands_session_log.keys import Keyspace
from strands_session_log.server.routing import connection_to
from strands_session_log.testing.model import ScriptedModel


class CachingModel(ScriptedModel):
    """A scripted model whose provider caches prompts, and says so."""

    name = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

    def get_config(self) -> dict[str, Any]:
        return {"model_id": self.name}

    async def stream(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for event in super().stream(*arguments, **options):
            if "metadata" in event:
                cached = {"cacheReadInputTokens": 7, "cacheWriteInputTokens": 5}
                event = {"metadata": {**event["metadata"], "usage": {**event["metadata"]["usage"], **cached}}}
            yield event


@tool
def look_up(city: str) -> str:
    """Say what the weather is like."""
    return f"19 degrees in {city}"


@tool
def book(city: str) -> str:
    """Fail to book a room."""
    raise ValueError(f"no room in {city}")


def call(name: str) -> dict[str, Any]:
    return {"toolUse": {"name": name, "input": {"city": "Lisbon"}}}


def agent_of(log: SessionLog, session_id: str, script: Any, agent_id: str = "guide") -> Agent:
    """An agent with two tools, one of which never works."""
    return Agent(
        model=CachingModel(script),
        agent_id=agent_id,
        session_manager=ValkeySessionManager(session_id, log=log),
        tools=[look_up, book],
        callback_handler=None,
    )


def travel(log: SessionLog, session_id: str) -> Agent:
    """A turn with two tool calls, of which one fails: three model calls, five messages."""
    agent = agent_of(log, session_id, [[call("look_up")], [call("book")], "Take a tent."])
    agent("Where shall I go?")
    return agent


def fail(log: SessionLog, session_id: str) -> None:
    """A model that cannot be reached."""
    with suppress(RuntimeError):
        agent_of(log, session_id, [RuntimeError("no such model")])("Hello?")


def be_redacted(log: SessionLog, session_id: str) -> None:
    """A guardrail takes offence at what the user said."""
    redaction = {"redactContent": {"redactUserContentMessage": "[redacted]"}}
    agent_of(log, session_id, [[redaction, {"text": "I must not hear that."}]])("My password is 4711.")


def conflict(log: SessionLog, session_id: str) -> None:
    """Two processes run the same agent in the same session: the second is refused."""
    first, second = agent_of(log, session_id, ["One."]), agent_of(log, session_id, ["Two."])
    first("Hello")
    with suppress(SessionException):
        second("Hello")


def lose(log: SessionLog, session_id: str) -> None:
    """A recorder tells what it had to give up."""
    log.append(
        session_id, events.RecordingGap({"lost": 3, "since": events.now(), "error": "the buffer is full"}, "guide")
    )


def everything(log: SessionLog, prefix: str = "s") -> None:
    """Something of everything."""
    for number, work in enumerate((travel, fail, be_redacted, conflict, lose)):
        work(log, f"{prefix}-{number}")


def feed_of(log: SessionLog) -> list[Envelope]:
    """All that stands in the feed, as a subscriber gets it."""
    keyspace = log._events.keyspace
    return [one for partition in range(keyspace.partitions) for one in _feed(log.client, partition, keyspace)]


def _feed(client: Any, partition: int, keyspace: Keyspace) -> Iterator[Envelope]:
    key = keyspace.feed(partition)
    with connection_to(client, key) as node:
        for entry_id, fields in node.execute_command(b"XRANGE", key, "-", "+", NEVER_DECODE=True):
            yield envelope(keyspace, partition, entry_id, fields)
