"""What an agent was saying when its call was cancelled, failed, or was left: it is discarded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from strands import Agent
from strands.hooks import AfterModelCallEvent, BeforeModelCallEvent
from strands.multiagent import GraphBuilder

from strands_session_log import Delta, LiveTokens, Recorded, SessionLog, ValkeySessionManager, errors
from strands_session_log.codec.delta import Line
from support import FaultProxy, wait_until
from support.following import SOON, taken
from support.servers import Server
from support.speaking import SpeakingModel, speaking

WORDS = "one, two, three, four, five."


def make_speaker(log: SessionLog, live: LiveTokens | None = None, **options: Any) -> Any:
    """An agent of session "s" that says a word when it may."""
    hooks: list[Any] = [live or LiveTokens(log, "s", interval=0.001)]
    manager = ValkeySessionManager("s", log=log)
    model = SpeakingModel([WORDS, "Another answer."])
    return Agent(model=model, session_manager=manager, hooks=hooks, callback_handler=None, **options)


async def next_piece(live: Any) -> Delta:
    while True:
        item = await asyncio.wait_for(anext(live), SOON)
        if isinstance(item, Delta):
            return item


def piece(live: Any) -> Delta:
    """The next piece; messages are passed over."""
    return asyncio.run(next_piece(live))


def assert_discarded(spoken: Delta, end: Delta) -> None:
    assert (spoken.line.kind, end.line.kind) == ("text", "discarded")
    assert (end.line.message, end.line.agent, end.revision) == (spoken.line.message, spoken.line.agent, spoken.revision)
    assert end.line.sequence == spoken.line.sequence + 1


def assert_answers(agent: Any, live: Any) -> None:
    """A turn whose pieces, of another message than those before, are followed by its answer."""
    with speaking(agent, "Go on."):
        agent.model.say(1)
        first = piece(live)
        assert (first.line.kind, first.line.sequence) == ("text", 1)
        agent.model.say(100)
        while not isinstance(item := taken(live, 1)[0], Recorded) or item.event.data["message"]["role"] == "user":
            assert not isinstance(item, Delta) or item.line.message == first.line.message
    assert item.event.data["message"]["content"][0]["text"].startswith(first.line.text)


async def cancel(agent: Any, heard: Callable[[], Awaitable[Delta]]) -> Delta:
    task = asyncio.create_task(agent.invoke_async("Hello?"))
    spoken = await heard()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return spoken


async def close(agent: Any, heard: Callable[[], Awaitable[Delta]]) -> Delta:
    stream = agent.stream_async("Hello?")
    async for event in stream:
        if "data" in event:
            break
    spoken = await heard()
    await stream.aclose()
    return spoken


@pytest.mark.parametrize("leave", [cancel, close])
def test_what_a_call_said_that_was_cancelled_is_discarded(session_log: SessionLog, leave: Any) -> None:
    agent = make_speaker(session_log)
    with session_log.live("s") as live:

        async def call() -> Delta:
            agent.model.say(1)
            spoken: Delta = await leave(agent, lambda: next_piece(live))
            # For the thread in which the model still waits.
            agent.model.say(1)
            return spoken

        assert_discarded(asyncio.run(call()), piece(live))
        assert_answers(agent, live)


@pytest.mark.parametrize("is_heard_by_the_same", [True, False])
def test_what_a_stream_left_open_that_nobody_closed_is_discarded_when_the_agent_is_called_again(
    session_log: SessionLog, is_heard_by_the_same: bool
) -> None:
    """By another object of the same name, perhaps in another process: an agent that was left so takes no more calls."""
    hears = LiveTokens(session_log, "s", interval=0.001)
    agent, loop = make_speaker(session_log, hears), asyncio.new_event_loop()
    with session_log.live("s") as live:
        agent.model.say(1)
        stream = agent.stream_async("Hello?")

        async def begin() -> Delta:
            async for event in stream:
                if "data" in event:
                    break
            return await next_piece(live)

        spoken = loop.run_until_complete(begin())
        successor = make_speaker(session_log, hears if is_heard_by_the_same else None)
        with speaking(successor, "Go on."):
            assert_discarded(spoken, piece(live))
        agent.model.say(1)
        with suppress(errors.ConcurrentWriteError):
            loop.run_until_complete(stream.aclose())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def test_what_another_process_left_open_is_discarded_at_any_later_call(session_log: SessionLog) -> None:
    """The agent may have spoken here before; what it said here is its own affair."""
    agent = make_speaker(session_log)
    with speaking(agent):
        pass
    revision = session_log.state("s").position.revision
    left = Line("text", "default", "of another", 1, 0, "", "I was ")
    flat = [part for pair in {**left._asdict(), "revision": revision}.items() for part in pair]
    session_log.client.execute_command("XADD", session_log._events.keyspace.session("s").live, "*", *flat)
    with session_log.live("s") as live:
        spoken = piece(live)
        with speaking(agent, "Go on."):
            assert_discarded(spoken, piece(live))
    assert stored(session_log).count(b"discarded") == 1


def test_what_was_said_is_discarded_when_the_call_fails_before_the_message_is_added(session_log: SessionLog) -> None:
    """Also when it had been said to its end."""
    agent = make_speaker(session_log)

    def fail(event: AfterModelCallEvent) -> None:
        raise RuntimeError("a hook failed")

    agent.hooks.add_callback(AfterModelCallEvent, fail)
    thread = threading.Thread(target=_quietly, args=(agent,))
    with session_log.live("s") as live:
        thread.start()
        agent.model.say(1)
        spoken = piece(live)
        agent.model.say(100)
        while (last := piece(live)).line.kind != "discarded":
            assert last.line.message == spoken.line.message
        assert last.line.message == spoken.line.message
        thread.join(SOON)


def _quietly(agent: Any) -> None:
    with suppress(RuntimeError):
        agent("Hello?")


def test_what_was_said_before_the_model_is_asked_again_is_discarded(session_log: SessionLog) -> None:
    agent = make_speaker(session_log)
    retries = iter([True])

    def retry(event: AfterModelCallEvent) -> None:
        event.retry = next(retries, False)

    agent.hooks.add_callback(AfterModelCallEvent, retry)
    with session_log.live("s") as live, speaking(agent):
        agent.model.say(1)
        spoken = piece(live)
        agent.model.say(4)
        while (last := piece(live)).line.kind != "discarded":
            pass
        assert last.line.message == spoken.line.message
        agent.model.say(1)
        again = piece(live)
        assert (again.line.text, again.line.sequence) == ("Anothe", 1)
        assert again.line.message != spoken.line.message


def test_what_a_node_said_that_was_out_of_time_is_discarded(session_log: SessionLog) -> None:
    live_tokens = LiveTokens(session_log, "s", interval=0.001, agent_id="g:n")
    agent: Any = Agent(model=SpeakingModel([WORDS]), hooks=[live_tokens], callback_handler=None)
    builder = GraphBuilder()
    builder.set_graph_id("g")
    builder.add_node(agent, "n")
    builder.set_node_timeout(3.0)
    builder.set_max_node_executions(1)
    builder.set_session_manager(ValkeySessionManager("s", log=session_log))
    graph = builder.build()
    with session_log.live("s") as live:

        def run() -> None:
            with suppress(Exception):
                graph("Hello?")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        agent.model.say(1)
        spoken = piece(live)
        assert spoken.line.agent == "g:n"
        end = piece(live)
        agent.model.say(1)
        assert_discarded(spoken, end)
        thread.join(SOON)


def test_what_became_a_message_is_not_discarded(session_log: SessionLog) -> None:
    agent, kinds = make_speaker(session_log), list[str]()
    with session_log.live("s") as live:
        for _ in range(2):
            with speaking(agent):
                agent.model.say(1)
                kinds.append(piece(live).line.kind)
                agent.model.say(100)
    assert kinds == ["text", "text"]
    assert b"discarded" not in stored(session_log)


def stored(log: SessionLog) -> bytes:
    """The live stream."""
    return str(log.client.execute_command("XRANGE", log._events.keyspace.session("s").live, "-", "+")).encode()


@pytest.mark.faults
def test_words_that_reach_the_server_after_their_message_are_not_taken_for_the_next(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    log, slow = SessionLog(tcp_server.client()), SessionLog.connect(proxy.url)
    live_tokens = LiveTokens(slow, "s", interval=0.001)
    agent = make_speaker(log, live_tokens)
    begun = threading.Event()

    def before(event: BeforeModelCallEvent) -> None:
        begun.set()

    agent.hooks.add_callback(BeforeModelCallEvent, before)
    with log.live("s") as live, speaking(agent):
        assert begun.wait(SOON)
        live_tokens.flush()
        requests = proxy.requests
        proxy.delay(requests=0.5)
        agent.model.say(1)
        wait_until(lambda: proxy.requests > requests, "the first word to be on its way")
        agent.model.say(100)
        while not isinstance(item := taken(live, 1)[0], Recorded) or item.event.data["message"]["role"] == "user":
            assert not isinstance(item, Delta)
        assert live_tokens.flush()
        assert stored(log) == b"[]"
    slow.close()
    log.close()
