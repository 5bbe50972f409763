"""Bidirectional agents: placeholders that are filled in later, tools, and a session that resumes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

bidi = pytest.importorskip("strands.bidi", reason="this version of Strands has no bidirectional agents")

from strands.bidi.models import BidiModel  # noqa: E402
from strands.bidi.types import events as out  # noqa: E402

from strands_session_log import SessionLog, ValkeySessionManager  # noqa: E402
from support.strands_agents import add, happened  # noqa: E402


class ScriptedBidiModel(BidiModel):
    """Answers every message with the next list of output events."""

    def __init__(self, *turns: list[Any]) -> None:
        self._turns = iter(turns)
        self._output: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self, *_: Any, **__: Any) -> None:
        await self._output.put(out.BidiConnectionStartEvent("c", "scripted"))

    async def stop(self) -> None:
        pass

    async def send(self, content: Any) -> None:
        for event in next(self._turns, []):
            await self._output.put(event)

    async def receive(self) -> AsyncIterator[Any]:
        while True:
            yield await self._output.get()

    def update_config(self, **_: Any) -> None:
        pass

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "scripted"}


def text(content: str, id_: str) -> list[Any]:
    return [
        out.BidiResponseStartEvent(id_),
        out.BidiTextStartEvent(id_),
        *(out.BidiTextDeltaEvent(part, id_) for part in (content[:3], content[3:])),
        out.BidiTextStopEvent(id_),
        out.BidiResponseStopEvent(id_),
    ]


def make_agent(log: SessionLog, *turns: list[Any]) -> Any:
    manager = ValkeySessionManager("s", log=log)
    return bidi.BidiAgent(model=ScriptedBidiModel(*turns), tools=[add], session_manager=manager)


async def say(agent: Any, content: str, responses: int = 1) -> None:
    await agent.send(content)
    async for event in agent.receive():
        if isinstance(event, out.BidiResponseStopEvent):
            responses -= 1
        if not responses:
            return


def test_a_conversation_is_resumed_with_its_placeholders_filled_in(session_log: SessionLog) -> None:
    async def run() -> Any:
        agent = make_agent(session_log, text("Hello, Ada.", "r1"), text("Goodbye.", "r2"))
        agent.state.set("mood", "good")
        await agent.start()
        await say(agent, "I am Ada.")
        await say(agent, "Bye.")
        await agent.stop()
        return agent

    agent = asyncio.run(run())
    resumed = make_agent(session_log)
    assert resumed.messages == agent.messages
    assert [message["content"] for message in resumed.messages][1] == [{"text": "Hello, Ada."}]
    assert resumed.state.get() == {"mood": "good"}
    assert session_log.verify("s").ok


def test_an_update_keeps_the_index_of_the_placeholder_also_when_others_came_between(session_log: SessionLog) -> None:
    interleaved = [
        out.BidiResponseStartEvent("r"),
        out.BidiTranscriptStartEvent("user", "u"),
        out.BidiTranscriptStartEvent("assistant", "a"),
        out.BidiTranscriptDeltaEvent("Hi.", "assistant", "a"),
        out.BidiTranscriptDeltaEvent("Hello?", "user", "u"),
        out.BidiTranscriptStopEvent("assistant", "a"),
        out.BidiTranscriptStopEvent("user", "u"),
        out.BidiResponseStopEvent("r"),
    ]

    async def run() -> Any:
        agent = make_agent(session_log, interleaved)
        await agent.start()
        await say(agent, "(audio)")
        await agent.stop()
        return agent

    agent = asyncio.run(run())
    assert [message["role"] for message in agent.messages] == ["user", "user", "assistant"]
    assert make_agent(session_log).messages == agent.messages
    assert [event.data["message_id"] for event in happened(session_log, types="message.updated")] == [2, 1]


def test_tools_of_a_bidirectional_agent_are_recorded(session_log: SessionLog) -> None:
    tool_uses: Any = [{"toolUseId": "t1", "name": "add", "input": {"a": 1, "b": 2}}]
    first = [out.BidiResponseStartEvent("r1"), out.BidiToolUseBlocksEvent(tool_uses), out.BidiResponseStopEvent("r1")]

    async def run() -> Any:
        agent = make_agent(session_log, first, text("It is 3.", "r2"))
        await agent.start()
        await say(agent, "What is 1 + 2?", responses=2)
        await agent.stop()
        return agent

    agent = asyncio.run(run())
    assert make_agent(session_log).messages == agent.messages
    tools = happened(session_log, types="tool.*")
    assert [(event.type, event.data["name"]) for event in tools] == [("tool.started", "add"), ("tool.completed", "add")]


def test_an_agent_killed_while_it_speaks_resumes_with_the_placeholder(session_log: SessionLog) -> None:
    async def run() -> Any:
        agent = make_agent(
            session_log, [out.BidiResponseStartEvent("r"), out.BidiTextStartEvent("r"), out.BidiResponseStopEvent("r")]
        )
        await agent.start()
        await say(agent, "Hello")
        return agent

    agent = asyncio.run(run())
    assert make_agent(session_log).messages == agent.messages
