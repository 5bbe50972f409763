"""An answer is written with what comes at once, a tool that begins or the end of the call, unless that stays away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Thread
from typing import Any, Literal

import pytest
from strands import ModelRetryStrategy, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.hooks import AfterInvocationEvent, MessageAddedEvent
from strands.types.exceptions import EventLoopException, SessionException

from strands_session_log import SessionLog
from strands_session_log.errors import ConcurrentWriteError
from strands_session_log.lifecycle.compat import CAN_WAIT
from support import FaultProxy
from support.servers import Server
from support.strands_agents import call, happened, make_agent
from support.waiting import wait_until

pytestmark = pytest.mark.skipif(not CAN_WAIT, reason="this version of Strands has no hooks that wait")


def said(log: SessionLog) -> list[str]:
    return [str(event.data["message"]["content"]) for event in happened(log, types="message.added")]


def test_an_answer_is_in_the_log_a_moment_later_though_its_reader_keeps_the_loop_to_itself(
    session_log: SessionLog,
) -> None:
    async def read() -> None:
        async for event in make_agent(session_log, ["Hi."]).stream_async("Hello"):
            if event.get("message", {}).get("role") == "assistant":
                wait_until(lambda: len(said(session_log)) == 2, "the answer to be in the log")
                assert "invocation.completed" not in [one.type for one in happened(session_log)]

    asyncio.run(read())
    assert [one.type for one in happened(session_log)][-2:] == ["message.added", "invocation.completed"]
    assert session_log.verify("s").ok


@pytest.mark.parametrize("kind", [MessageAddedEvent, AfterInvocationEvent])
def test_a_hook_of_the_users_finds_the_answer_in_the_log(session_log: SessionLog, kind: Any) -> None:
    found: list[int] = []
    agent = make_agent(session_log, ["Hi."])
    agent.hooks.add_callback(kind, lambda _: found.append(len(said(session_log))))
    agent("Hello")
    assert found[-1] == 2


def test_an_answer_is_in_the_log_though_a_hook_of_the_users_fails_at_the_end(session_log: SessionLog) -> None:
    def fail(_: AfterInvocationEvent) -> None:
        raise RuntimeError("no")

    agent = make_agent(session_log, ["Hi."])
    agent.hooks.add_callback(AfterInvocationEvent, fail)
    with pytest.raises(RuntimeError, match="no"):
        agent("Hello")
    assert len(said(session_log)) == 2


@pytest.mark.parametrize("record", ["all", "state"])
def test_no_tool_runs_before_its_call_is_in_the_log(
    session_log: SessionLog, appended: list[list[str]], record: Literal["all", "state"]
) -> None:
    seen: list[list[str]] = []

    @tool
    def look() -> str:
        """See what the log holds while the tool runs."""
        seen.append(said(session_log))
        return "seen"

    make_agent(session_log, [[call("look")], "Done."], {"record": record}, tools=[look])("Look!")
    assert ["toolUse" in message for message in seen[0]] == [False, True]


def test_a_call_whose_agent_another_process_has_moved_is_told_before_any_tool_runs(session_log: SessionLog) -> None:
    ran: list[int] = []

    @tool
    def pay() -> str:
        """Pay."""
        ran.append(1)
        return "paid"

    def answers() -> Iterator[Any]:
        make_agent(session_log, ["I was quicker."])("Hello")
        yield [call("pay")]

    following = answers()
    agent = make_agent(session_log, lambda _: next(following), tools=[pay])
    with pytest.raises((EventLoopException, SessionException)) as raised:
        agent("Pay.")
    assert isinstance(raised.value.__cause__ or raised.value, ConcurrentWriteError)
    assert ran == []
    assert session_log.verify("s").ok


@pytest.mark.parametrize("flush", ["before_model", "overlap"])
@pytest.mark.parametrize("is_sync", [True, False])
def test_a_call_is_written_to_its_end_though_the_main_thread_has_come_to_its_own(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch, flush: str, is_sync: bool
) -> None:
    def answer(_: Any) -> str:
        # The process waits for its other threads, and no pool takes anything any more.
        monkeypatch.setattr("concurrent.futures.thread._shutdown", True)
        return "Hi."

    agent = make_agent(session_log, answer, {"flush": flush})
    if is_sync:
        agent("Hello")
    else:
        asyncio.run(agent.invoke_async("Hello"))
    assert [one.type for one in happened(session_log)][-2:] == ["message.added", "invocation.completed"]


def test_what_is_said_for_the_model_in_a_prompt_is_in_the_log_before_the_model_is_asked(
    session_log: SessionLog,
) -> None:
    found: list[int] = []

    def look(_: Any) -> str:
        found.append(len(said(session_log)))
        return "three."

    prompt = [{"role": role, "content": [{"text": text}]} for role, text in (("user", "1+2?"), ("assistant", "It is"))]
    make_agent(session_log, look)(prompt)
    assert found == [2]


def test_who_checks_whether_a_goal_is_met_finds_the_answer_in_the_log(session_log: SessionLog) -> None:
    goal = pytest.importorskip("strands.vended_plugins.goal", reason="this version of Strands has no goals")
    found: list[int] = []

    def check(*_: Any) -> Any:
        found.append(len(said(session_log)))
        return goal.ValidationOutcome(passed=True)

    make_agent(session_log, ["Hi."], plugins=[goal.GoalLoop(check, max_attempts=1)])("Hello")
    assert found == [2]


def test_a_method_of_strands_that_calls_one_of_the_users_finds_the_answer_in_the_log(session_log: SessionLog) -> None:
    found: list[int] = []

    class Watching(ModelRetryStrategy):
        def _reset_retry_state(self) -> None:
            found.append(len(said(session_log)))
            super()._reset_retry_state()

    make_agent(session_log, ["Hi."], retry_strategy=Watching())("Hello")
    assert found[-1] == 2


def test_the_end_of_a_call_that_waited_for_the_write_of_an_answer_in_vain_does_not_wait_as_long_again(
    tcp_server: Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, tried = SessionLog.connect(proxy.url, retry_for=1.0), list[Any]()
    append = log._events.append

    def count(*arguments: Any) -> Any:
        tried.append(arguments)
        return append(*arguments)

    def answer(messages: Any) -> str:
        if len(messages) == 1:
            tried.clear()
            proxy.hold_replies()
        return "Hi."

    async def read() -> None:
        async for event in agent.stream_async("Hello"):
            if event.get("message", {}).get("role") == "assistant":
                proxy.wait_until_held()

    agent = make_agent(log, answer)
    monkeypatch.setattr(log._events, "append", count)
    with pytest.raises((SessionException, EventLoopException)):
        asyncio.run(read())
    assert len(tried) == 1
    proxy.release_replies()
    agent("Are you there?")
    with SessionLog.connect(tcp_server.url) as log:
        assert log.state("s").agents["default"].window == agent.messages
        assert log.verify("s").ok


def test_what_the_end_of_a_call_tells_is_one_append_though_an_answer_before_it_comes_due_meanwhile(
    session_log: SessionLog, appended: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(session_log, ["Hi."], conversation_manager=SlidingWindowConversationManager(2))
    outbox = agent._session_manager._agents["default"].outbox
    window = outbox.window

    def slowly(*arguments: Any) -> None:
        due = Thread(target=outbox.flush_ahead)
        due.start()
        due.join(0.05)
        window(*arguments)

    def read_along(**event: Any) -> None:
        if event.get("message", {}).get("role") == "assistant":
            agent.state.set("mood", "good")
            agent.messages[:] = [{"role": "user", "content": [{"text": "Something else."}]}, agent.messages[-1]]
            monkeypatch.setattr(outbox, "window", slowly)

    agent.callback_handler = read_along
    agent("Hello")
    assert appended[-1] == ["message.added", "invocation.completed", "agent.updated", "window.changed"]
