"""`flush="overlap"`: a prompt is written while its model is asked, and before anything that comes after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from strands import Agent, tool
from strands.types.exceptions import EventLoopException, SessionException

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.errors import ConcurrentWriteError, InvalidSettingError
from strands_session_log.lifecycle.compat import CAN_WAIT
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.servers import Server
from support.strands_agents import add, call, happened, make_agent

OVERLAP: dict[str, Any] = {"flush": "overlap"}


def overlapping(log: SessionLog, script: Any, **options: Any) -> Any:
    return make_agent(log, script, OVERLAP, **options)


def contents(messages: Any) -> list[Any]:
    return [message["content"] for message in messages]


def written(agent: Any) -> None:
    """Wait until what is being written ahead is, or could not be."""
    with agent._session_manager._agents["default"].outbox._flush_lock:
        pass


def test_the_model_is_asked_while_the_prompt_is_being_written(tcp_server: Server, proxy: FaultProxy) -> None:
    asked: list[bool] = []

    def look(_: Any) -> str:
        # Who waited for the prompt's reply would never come here.
        proxy.wait_until_held()
        asked.append(True)
        proxy.release_replies()
        return "Hi."

    agent = overlapping(SessionLog.connect(proxy.url), look)
    proxy.hold_replies()
    agent("Hello")
    log = SessionLog.connect(tcp_server.url)
    assert asked == [True]
    assert log.state("s").agents["default"].window == agent.messages
    assert log.verify("s").ok


@pytest.mark.parametrize("manager", [{}, {"record": "state"}], ids=str)
def test_the_order_is_that_of_a_prompt_that_was_waited_for(
    tcp_server: Server, proxy: FaultProxy, manager: dict[str, Any]
) -> None:
    def types(flush: str) -> list[str]:
        log = SessionLog.connect(proxy.url, flush.replace("_", "-"))
        agent = make_agent(log, [[call("add", a=1, b=2)], "3.", "Bye."], {"flush": flush, **manager}, tools=[add])
        # Longer than a scripted model takes to answer.
        proxy.delay(requests=0.05)
        agent("Add.")
        agent("Thanks.")
        proxy.delay()
        assert log.state("s").agents["default"].window == agent.messages
        return [event.type for event in happened(log)]

    assert types("overlap") == types("before_model")


def test_a_prompt_whose_write_has_failed_is_written_with_the_answer_once(tcp_server: Server, proxy: FaultProxy) -> None:
    def fail(_: Any) -> str:
        proxy.wait_until_held()
        proxy.refuse()
        proxy.cut()
        written(agent)
        assert agent._session_manager._agents["default"].outbox.is_unsettled
        proxy.release_replies()
        proxy.accept()
        return "Hi."

    agent = overlapping(SessionLog.connect(proxy.url, retry_for=0.2), fail)
    proxy.hold_replies()
    agent("Hello")
    log = SessionLog.connect(tcp_server.url)
    assert [one.message for one in log.state("s").agents["default"].messages] == agent.messages
    assert log.verify("s").ok


def test_an_agent_that_another_process_has_moved_is_told_before_any_tool_runs(session_log: SessionLog) -> None:
    ran: list[int] = []

    @tool
    def pay() -> str:
        """Pay."""
        ran.append(1)
        return "paid"

    agent = overlapping(session_log, [[call("pay")]], tools=[pay])
    make_agent(session_log, ["I was quicker."])("Hello")
    with pytest.raises((EventLoopException, SessionException)) as raised:
        agent("Pay.")
    assert isinstance(raised.value.__cause__ or raised.value, ConcurrentWriteError)
    assert ran == []
    assert "Pay." not in str([event.data for event in happened(session_log)])


def test_a_prompt_that_can_never_be_written_is_told_with_the_answer_which_is_written(tcp_server: Server) -> None:
    tcp_server.client().config_set("proto-max-bulk-len", 1024 * 1024)
    log = SessionLog(tcp_server.client(), "ns")
    agent = overlapping(log, ["Hi."])
    with pytest.raises((EventLoopException, SessionException)):
        agent("x" * 2 * 1024 * 1024)
    del agent.messages[0]
    # The server hangs up, too, and its answer may be lost with the connection: then an outcome is open at first.
    for _ in range(20):
        with suppress(SessionException):
            agent._session_manager.sync_agent(agent)
            break
    assert contents(one.message for one in log.state("s").agents["default"].messages) == [[{"text": "Hi."}]]
    assert log.verify("s").ok


def redact(agent: Any) -> None:
    message = {"role": "user", "content": [{"text": "[redacted]"}]}
    agent.messages[-1]["content"] = message["content"]
    agent._session_manager.redact_latest_message(message, agent)


def delete(agent: Any) -> None:
    agent._session_manager.delete_session("s")


@pytest.mark.parametrize("act", [redact, delete])
def test_whatever_is_done_meanwhile_comes_after_the_prompt(
    tcp_server: Server, proxy: FaultProxy, act: Callable[[Any], None]
) -> None:
    def meanwhile(_: Any) -> str:
        proxy.wait_until_held()
        proxy.release_replies()
        act(agent)
        return "Hi."

    agent = overlapping(SessionLog.connect(proxy.url), meanwhile)
    proxy.hold_replies()
    agent("My number is 4711.")
    log = SessionLog.connect(tcp_server.url)
    assert "4711" not in str([event.data for event in happened(log)])
    assert log.verify("s").ok


def test_when_a_prompt_is_written_is_one_of_two(session_log: SessionLog) -> None:
    flush: Any = "later"
    with pytest.raises(InvalidSettingError, match="flush"):
        ValkeySessionManager("s", log=session_log, flush=flush)


@pytest.mark.skipif(not CAN_WAIT, reason="this version of Strands has no hooks that wait")
def test_a_sync_call_waits_for_a_slow_server_as_long_as_it_takes(tcp_server: Server, proxy: FaultProxy) -> None:
    manager = ValkeySessionManager("s", url=proxy.url)
    agent = Agent(model=ScriptedModel("Hi."), session_manager=manager, callback_handler=None)
    # Longer than its loop waits before it turns to others.
    proxy.delay(replies=0.1)
    agent("Hello")
    proxy.delay()
    assert len(manager.list_messages("s", "default")) == 2
