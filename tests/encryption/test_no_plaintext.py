"""What is encrypted stands nowhere in clear: neither on the server nor in the files it writes, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from strands import Agent, tool

from strands_session_log import (
    LiveTokens,
    LocalKeys,
    SessionLog,
    SnapshotSettings,
    Subscriber,
    SyncDelivery,
    ValkeySessionManager,
    events,
)
from strands_session_log.testing.model import ScriptedModel
from support.files import content_of, written_files
from support.servers import Server, ValkeyliteServer
from support.strands_agents import call

CANARY = "kanarienvogel"
"""What no byte of the server's files may say; every piece of content that is written has it in it."""


@tool
def kanarienvogel_tool(wanted: str) -> str:
    """Look something up."""
    return f"{wanted} {CANARY}-result"


@tool
def broken(wanted: str) -> str:
    """Fail."""
    raise ValueError(f"{CANARY}-error {wanted}")


@pytest.fixture
def server() -> Iterator[Server]:
    # Compressed, text would stand in the files as well, and be found by nobody.
    with ValkeyliteServer(rdbcompression="no", appendfsync="always") as server:
        yield server


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys.new(tmp_path / "keys")


@pytest.fixture(params=[None, "zstd"])
def log(request: pytest.FixtureRequest, server: Server, keys: LocalKeys) -> Iterator[SessionLog]:
    settings = SnapshotSettings(threshold=2, segment=2, points=4, spacing=1)
    log = SessionLog(server.client(), encryption=keys, snapshots=settings, compress=request.param)
    yield log
    log.close()


def lived(log: SessionLog) -> None:
    """The whole life of a session: said, called, failed, shown live, snapshotted, parked, forked, erased, rewound."""
    thought = {"reasoningContent": {"reasoningText": {"text": f"{CANARY}-reasoning", "signature": f"{CANARY}-signed"}}}
    script: list[Any] = [
        [thought, call("kanarienvogel_tool", wanted=f"{CANARY}-input")],
        [call("broken", wanted=f"{CANARY}-wanted")],
        [call(f"{CANARY}_hallucinated", wanted="?")],
        f"{CANARY}-answer",
        RuntimeError(f"{CANARY}-model-error"),
        f"{CANARY}-second-answer",
    ]
    live = LiveTokens(log, "s", interval=0.001)
    agent = Agent(
        model=ScriptedModel(script, chunk=4, pause=0.01),
        session_manager=ValkeySessionManager("s", log=log, record_prompts=True),
        hooks=[live],
        tools=[kanarienvogel_tool, broken],
        system_prompt=f"{CANARY}-prompt",
        state={"known": f"{CANARY}-state"},
        callback_handler=None,
    )
    agent(f"{CANARY}-question")
    with pytest.raises(Exception, match="model-error"):
        agent(f"{CANARY}-second-question")
    agent(f"{CANARY}-third-question")
    assert live.flush(5)
    assert live.stats.published > 0
    assert log._replay.settle()
    assert log._replay.saved_bytes > 0
    log.append("s", [events.SessionAnnotated({f"{CANARY}-label": f"{CANARY}-value"})])
    log.append("s", events.Custom("custom.note", {"text": f"{CANARY}-custom"}), once=True)
    log.append("s", [events.InterruptRaised({"id": "i", "name": f"{CANARY}-asks", "reason": f"{CANARY}-reason"}, "a")])
    log.fork("s", None, "fork", allow_unanswered=True, by="me")
    log.append("fork", events.Custom("custom.note", {"text": f"{CANARY}-in-the-fork"}))
    log.erase("s", 2, f"{CANARY}-why", by=f"{CANARY}-whom")
    log.rewind("s", 4, allow_unanswered=True, by=f"{CANARY}-by")
    log.recount("fork")
    assert log._replay.settle()


def give_up(delivery: SyncDelivery) -> None:
    if delivery.envelope.type == "custom.note":
        delivery.park(f"no way to handle {delivery.event and delivery.event.data}")
    else:
        delivery.park(ValueError(str(delivery.event and delivery.event.data)))


def park_all(log: SessionLog) -> int:
    """A consumer whose errors quote content gives up on all it is given; how much that was."""
    (forked,) = log.read("fork", types="session.forked")
    total = len(list(log.read("s"))) + len(list(log.read("fork", after=forked.id))) + 1
    with Subscriber(log, "g", bodies=True, keep_errors="full", claim_after=5.0) as deliveries:
        for delivery in islice(deliveries, total):
            give_up(delivery)
    assert len(list(log.parked("g"))) == total
    return total


async def stored(log: SessionLog) -> None:
    """What Strands offloads stands beside the sessions."""
    pytest.importorskip("strands.storage", reason="this version of Strands stores nothing")
    from strands_session_log import ValkeyStorage

    storage = ValkeyStorage(log)
    await storage.write("offloaded", f"{CANARY}-stored".encode())
    assert await storage.read("offloaded") == f"{CANARY}-stored".encode()


def test_no_file_of_the_server_has_any_of_it(log: SessionLog, server: Server, keys: LocalKeys) -> None:
    lived(log)
    assert park_all(log) > 10
    asyncio.run(stored(log))
    for file in written_files(server):
        assert CANARY.encode() not in content_of(file), file.name
    assert any(CANARY in str(one.event.data) for one in log.read("s"))
    assert keys.shred("s") == 1
    for session_id in ("s", "fork"):
        assert log.verify(session_id).ok
        assert all(one.event.is_sealed or one.event.is_erased for one in log.read(session_id))
        assert CANARY not in str([one.to_json() for one in log.read(session_id)])


def test_without_encryption_the_same_search_finds_it(server: Server) -> None:
    log = SessionLog(server.client(), compress="zstd")
    log.append("s", events.Custom("custom.note", {"text": f"{CANARY} " * 20}))
    assert all(CANARY.encode() in content_of(file) for file in written_files(server) if file.stat().st_size)
