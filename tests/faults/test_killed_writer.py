"""kill -9 of the process that runs the agent, between any two events."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.processes import forks
from support.servers import Server

pytestmark = pytest.mark.faults

ADD = {"toolUse": {"name": "add", "input": {"a": 1, "b": 2}}}
SCRIPT: list[Any] = ["Hello.", [{"text": "Let me see."}, ADD], "It is 3."]
APPENDS = 11
"""The session, the agent, three for a plain turn, six for one with a tool."""


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def converse(url: str, namespace: str, pipe: Connection) -> None:
    """Talk; after every acknowledged append, tell how many events there are and wait for leave to go on."""
    log = SessionLog.connect(url, namespace)
    append = log._events.append

    def acknowledged(*arguments: Any, **options: Any) -> Any:
        ids = append(*arguments, **options)
        pipe.send(ids[-1].revision)
        pipe.recv()
        return ids

    log._events.append = acknowledged  # type: ignore[method-assign]
    manager = ValkeySessionManager("s", log=log)
    agent = Agent(model=ScriptedModel(SCRIPT), tools=[add], session_manager=manager, callback_handler=None)
    agent("Hi!")
    agent("What is 1 + 2?")


@pytest.fixture(scope="module")
def processes() -> Any:
    return forks()


@pytest.mark.parametrize("survived", range(1, APPENDS + 1))
def test_no_acknowledged_event_is_lost_and_the_session_resumes(
    survived: int, processes: Any, server_url: str, session_log: SessionLog
) -> None:
    ours, theirs = processes.Pipe()
    process = processes.Process(target=converse, args=(server_url, session_log.namespace, theirs))
    process.start()
    theirs.close()
    acknowledged = [ours.recv()]
    with suppress(EOFError):  # Old versions of Strands have fewer hooks, and end earlier.
        while len(acknowledged) < survived:
            ours.send("go on")
            acknowledged.append(ours.recv())
    process.kill()
    process.join(timeout=10)

    before = list(session_log.read("s"))
    assert len(before) == acknowledged[-1]
    manager = ValkeySessionManager("s", log=session_log)
    agent = Agent(model=ScriptedModel(["I am back."]), tools=[add], session_manager=manager, callback_handler=None)
    agent("Are you there?")
    after = list(session_log.read("s"))
    assert after[: len(before)] == before
    assert session_log.verify("s").ok
    if hasattr(manager, "_fix_broken_tool_use"):  # Old versions of Strands leave that to whoever resumes.
        assert unanswered(agent.messages) == set()
    assert ValkeySessionManager("s", log=session_log).list_messages("s", "default")[-1].message == agent.messages[-1]


def test_an_event_whose_writer_died_before_it_heard_of_it_is_there_once(
    processes: Any, tcp_server: Server, proxy: FaultProxy
) -> None:
    ours, theirs = processes.Pipe()
    process = processes.Process(target=converse, args=(proxy.url, "strands", theirs))
    process.start()
    for _ in range(2):
        ours.recv()
        ours.send("go on")
    assert ours.recv() == 4
    proxy.hold_replies()
    ours.send("go on")
    proxy.wait_until_held()
    process.kill()
    process.join(timeout=10)

    log = SessionLog.connect(tcp_server.url)
    assert [one.event.type for one in log.read("s", after=4)] == ["message.added", "invocation.completed"]
    assert len(ValkeySessionManager("s", log=log).list_messages("s", "default")) == 2
    assert log.verify("s").ok


def unanswered(messages: Any) -> set[str]:
    """The ids of tool calls without a result."""
    blocks = [block for message in messages for block in message["content"]]
    asked = {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}
    return asked - {block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block}
