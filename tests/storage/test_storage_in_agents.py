"""Real Strands agents whose snapshots, offloaded content and memory are kept by `ValkeyStorage`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

pytest.importorskip("strands.session.snapshot_session_manager", reason="this version of Strands has no snapshots")
from strands import Agent, tool
from strands.session.snapshot_session_manager import SnapshotSessionManager

from strands_session_log import SessionLog, ValkeyStorage
from strands_session_log.testing.model import ScriptedModel

LONG = "full tool result " * 2_000


@pytest.fixture
def storage(make_client: Any, namespace: str) -> ValkeyStorage:
    return ValkeyStorage(SessionLog(make_client(decode_responses=True), namespace, allow_eviction=True))


def make_agent(
    storage: ValkeyStorage, script: Any = (), session: str = "s", model: Any = ScriptedModel, **options: Any
) -> Agent:
    snapshots = {name: options.pop(name) for name in ("save_latest_on", "snapshot_trigger") if name in options}
    manager = SnapshotSessionManager(session_id=session, storage=storage, **snapshots)
    return Agent(model=model(script), session_manager=manager, callback_handler=None, **options)


def call(name: str, tool_use_id: str, **arguments: Any) -> dict[str, Any]:
    return {"toolUse": {"name": name, "toolUseId": tool_use_id, "input": arguments}}


def result_of(agent: Agent, tool_use_id: str) -> Any:
    results = [
        block["toolResult"] for message in agent.messages for block in message["content"] if "toolResult" in block
    ]
    return next(result["content"] for result in results if result["toolUseId"] == tool_use_id)


def stored(storage: ValkeyStorage, prefix: str = "") -> dict[str, bytes | None]:
    async def everything() -> dict[str, bytes | None]:
        return {key: await storage.read(key) for key in await storage.list(prefix)}

    return asyncio.run(everything())


@tool
def picture() -> dict[str, Any]:
    """Take a picture."""
    return {"status": "success", "content": [{"image": {"format": "png", "source": {"bytes": bytes(range(256))}}}]}


@tool
def report() -> str:
    """Write a long report."""
    return LONG


def test_an_agent_resumes_with_the_messages_and_state_of_the_one_before(storage: ValkeyStorage) -> None:
    first = make_agent(storage, [[call("picture", "one")], "A picture."], tools=[picture], system_prompt="Be brief.")
    first.state.set("mood", {"level": 3})
    first("Take one.")
    second = make_agent(storage, ["Anything else?"], tools=[picture])
    assert second.messages == first.messages
    assert (second.state.get(), second.system_prompt) == ({"mood": {"level": 3}}, "Be brief.")
    asyncio.run(second.invoke_async("Thanks."))
    assert len(make_agent(storage).messages) == 6


def test_sessions_of_snapshots_do_not_see_each_other(storage: ValkeyStorage) -> None:
    make_agent(storage, ["Hello."], session="user1")("Hi")
    make_agent(storage, ["Hello."], session="user10")("Hi")
    asyncio.run(SnapshotSessionManager("user1", storage=storage).delete_session())
    assert len(make_agent(storage, session="user1").messages) == 0
    assert len(make_agent(storage, session="user10").messages) == 2


def test_immutable_snapshots_are_listed_oldest_first_and_lead_back_in_time(storage: ValkeyStorage) -> None:
    agent = make_agent(storage, ["One.", "Two.", "Three."], snapshot_trigger=lambda agent_data, **_: True)
    manager: Any = agent._session_manager
    for question in ("First?", "Second?", "Third?"):
        agent(question)
    ids = asyncio.run(manager.list_snapshot_ids(agent))
    assert ids == sorted(ids)
    assert len(ids) == 3
    assert asyncio.run(manager.list_snapshot_ids(agent, start_after=ids[0], limit=1)) == [ids[1]]
    assert asyncio.run(manager.restore_snapshot(agent, snapshot_id=ids[1]))
    assert [message["content"][0]["text"] for message in agent.messages] == ["First?", "One.", "Second?", "Two."]
    assert asyncio.run(manager.restore_snapshot(agent))
    assert len(agent.messages) == 6


class Guarded(ScriptedModel):
    """A model whose guardrail takes offence at the user's message."""

    async def stream(self, messages: Any, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for event in super().stream(messages, *arguments, **options):
            if "messageStop" in event:
                yield {"redactContent": {"redactUserContentMessage": "[redacted]"}}
            yield event


@pytest.mark.parametrize("strategy", ["message", "invocation", "trigger"])
def test_what_a_guardrail_redacts_is_gone_from_the_storage(storage: ValkeyStorage, strategy: str) -> None:
    agent = make_agent(storage, ["No."], model=Guarded, save_latest_on=strategy)
    agent("my secret")
    assert make_agent(storage).messages[0]["content"] == [{"text": "[redacted]"}]
    assert not any(b"secret" in (value or b"") for value in stored(storage).values())


def test_the_context_offloader_gives_back_what_it_put_away(storage: ValkeyStorage) -> None:
    from strands.vended_plugins.context_offloader import ContextOffloader

    replies: list[Any] = [
        [call("report", "big")],
        [call("retrieve_offloaded_content", "again", reference="big_0")],
        "Done.",
    ]

    def is_report(tool_name: str, *_: Any, **__: Any) -> bool:
        return tool_name == "report"

    offloader = ContextOffloader(
        storage=storage,
        max_result_tokens=500,
        preview_tokens=50,
        should_offload=is_report,
    )
    agent = Agent(model=ScriptedModel(replies), tools=[report], plugins=[offloader], callback_handler=None)
    agent("Report!")
    assert list(stored(storage)) == ["offloader/big_0"]
    assert result_of(agent, "big")[0]["text"].startswith("[Offloaded:")
    assert result_of(agent, "again") == [{"text": LONG}]


def with_stash(storage: ValkeyStorage, script: Any) -> Agent:
    """Its session manager and its context manager both use the storage of the agent."""
    pytest.importorskip("strands._context_manager.stash", reason="this version of Strands has no stash")
    manager = SnapshotSessionManager("s")
    options: Any = {"storage": storage, "session_manager": manager, "context_manager": "auto", "tools": [report]}
    return Agent(model=ScriptedModel(script), callback_handler=None, **options)


def test_a_resumed_agent_retrieves_what_the_one_before_stashed(storage: ValkeyStorage) -> None:
    first = with_stash(storage, [[call("report", "big")], "Long."])
    first("Report!")
    assert result_of(first, "big")[0]["text"].startswith("[Truncated:")
    resumed = with_stash(storage, [[call("retrieve_context", "again", reference="big_0")], "Read."])
    resumed("Read it in full.")
    assert "full tool result" in result_of(resumed, "again")[0]["text"]
    context: Any = resumed.context_manager
    assert asyncio.run(context.stash.retrieve("big_0")) == {"text": LONG}


def test_deleting_a_session_deletes_what_its_agents_stashed(storage: ValkeyStorage) -> None:
    agent = with_stash(storage, [[call("report", "big")], "Long."])
    agent("Report!")
    assert {key.partition("/")[0] for key in stored(storage)} == {"context", "session"}
    manager: Any = agent._session_manager
    asyncio.run(manager.delete_session())
    assert stored(storage) == {}


def test_memory_is_found_again_by_another_agent(storage: ValkeyStorage) -> None:
    memory = pytest.importorskip("strands.memory", reason="this version of Strands has no memory")
    stores = pytest.importorskip("strands.vended_memory_stores.file_memory_store", reason="nor a store of files")

    def remembering(*script: Any) -> Agent:
        facts = stores.FileMemoryStore(name="facts", storage=storage)
        manager = memory.MemoryManager(stores=[facts], add_tool_config=True, injection=False)
        return Agent(model=ScriptedModel(script), memory_manager=manager, callback_handler=None)

    remembering([call("add_memory", "one", entries=["# Theme\nThe user likes dark mode."])], "Noted.")(
        "I like it dark."
    )
    assert stored(storage) == {"memory/facts/theme.md": b"# Theme\nThe user likes dark mode."}
    other = remembering([call("search_memory", "two", query="dark mode")], "Dark.")
    other("What do I like?")
    assert "The user likes dark mode." in str(result_of(other, "two"))
