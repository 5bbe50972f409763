"""What happens around the messages is in the log too: as facts, and in few round trips."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from strands import Agent, tool
from strands.hooks import HookRegistry

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call, fail, happened, make_agent

pytestmark = pytest.mark.skipif(
    not hasattr(HookRegistry, "invoke_callbacks_async"), reason="this version of Strands has fewer hooks"
)


def types(log: SessionLog) -> list[str]:
    return [event.type for event in happened(log)]


def test_a_turn_with_one_tool_is_four_appends_and_the_tool_is_seen_before_it_runs(
    session_log: SessionLog, appended: list[list[str]]
) -> None:
    seen: list[str] = []

    @tool
    def look() -> str:
        """See what the log holds while the tool runs."""
        seen.extend(types(session_log))
        return "seen"

    agent = make_agent(session_log, [[{"text": "Let me see."}, call("look")], "Done."], tools=[look])
    appended.clear()
    agent("Look!")
    assert appended == [
        ["invocation.started", "message.added"],
        ["model.completed", "message.added", "tool.started"],
        ["tool.completed", "message.added"],
        ["model.completed", "message.added", "invocation.completed"],
    ]
    assert seen[-1] == "tool.started"


def test_an_invocation_tells_how_it_ended_what_it_used_and_how_long_it_took(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[call("add", a=1, b=2)], "3."], tools=[add])
    agent("Add.")
    agent("Again.")
    started, completed = happened(session_log, types="invocation.*")[:2]
    assert completed.data["invocation"] == started.data["invocation"]
    assert completed.data["stop_reason"] == "end_turn"
    assert completed.data["usage"] == {"inputTokens": 4, "outputTokens": 2}
    assert completed.data["duration_ms"] > 0


def test_a_model_call_tells_usage_and_latency_and_a_tool_its_name_and_status(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("add", a=1, b=2)], "3."], tools=[add])("Add.")
    model = happened(session_log, types="model.completed")[0].data
    assert (model["stop_reason"], model["attempt"], model["discarded"]) == ("tool_use", 1, False)
    done = happened(session_log, types="tool.completed")[0].data
    assert (done["name"], done["tool_use_id"], done["status"]) == ("add", "tool-1", "success")
    assert done["duration_ms"] >= 0


def test_a_tool_that_raises_has_failed_and_its_message_is_not_told(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("fail", reason="secret words")], "Sorry."], tools=[fail])("Try.")
    (failed,) = happened(session_log, types="tool.failed")
    assert (failed.data["name"], failed.data["status"]) == ("fail", "error")
    assert "secret" not in str([event.facts() for event in happened(session_log, types=["tool.*", "invocation.*"])])


def test_tools_that_run_at_once_each_have_their_start_and_end(session_log: SessionLog) -> None:
    make_agent(
        session_log,
        [[call("add", a=1, b=1), call("add", a=2, b=2), call("fail", reason="x")], "Done."],
        tools=[add, fail],
    )("Go.")
    assert types(session_log).count("tool.started") == 3
    ended = {
        event.data["tool_use_id"]: event.type
        for event in happened(session_log, types=["tool.completed", "tool.failed"])
    }
    assert ended == {"tool-1": "tool.completed", "tool-2": "tool.completed", "tool-3": "tool.failed"}


def test_a_model_that_raises_fails_the_invocation_and_the_next_one_goes_on(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("secret"), "Better now."])
    with pytest.raises(Exception, match="secret"):
        agent("First")
    failed = happened(session_log, types=["model.failed", "invocation.failed"])
    assert [event.type for event in failed] == ["model.failed", "invocation.failed"]
    assert failed[0].data["error"] == "RuntimeError"
    assert [event.data["error_text"] for event in failed] == ["secret"] * 2
    assert "secret" not in str([event.facts() for event in failed])
    agent("Second")
    assert make_agent(session_log).messages == agent.messages


def test_recording_the_state_only_leaves_out_everything_resuming_does_not_need(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[call("add", a=1, b=2)], "3."], manager={"record": "state"}, tools=[add])
    agent("Add.")
    assert set(types(session_log)) == {"session.created", "agent.created", "message.added"}
    with pytest.raises(ValueError, match="record='some'"):
        ValkeySessionManager("s", log=session_log, record="some")  # type: ignore[arg-type]


def test_facts_reach_the_feed_and_content_does_not(session_log: SessionLog) -> None:
    make_agent(session_log, [[call("add", a=31337, b=2)], "secret answer"], tools=[add])("secret question")
    keyspace = session_log._events.keyspace
    feed = session_log.client.execute_command("XRANGE", keyspace.feed(keyspace.partition("s")), "-", "+")
    assert b'"name":"add"' in b"".join(fields[b"facts"] for _, fields in feed)
    assert "secret" not in str(feed)
    assert "31337" not in str(feed)


def test_events_carry_the_span_they_happened_in(session_log: SessionLog) -> None:
    tracer = TracerProvider().get_tracer("test")
    agent = make_agent(session_log, ["Hi."])
    with tracer.start_as_current_span("request") as span:
        agent("Hello")
    trace_id = f"{span.get_span_context().trace_id:032x}"
    written = happened(session_log, types=["invocation.*", "message.*", "agent.updated"])
    assert {event.trace.split("-")[1] for event in written} == {trace_id}


def test_the_loop_keeps_ticking_while_the_server_stalls(tcp_server: Any, proxy: Any) -> None:
    manager = ValkeySessionManager("s", url=proxy.url)
    agent = Agent(model=ScriptedModel(["Hi."]), session_manager=manager, callback_handler=None)

    async def run() -> None:
        proxy.hold_replies()
        turn = asyncio.create_task(agent.invoke_async("Hello"))
        await asyncio.to_thread(proxy.wait_until_held)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not turn.done()
        proxy.release_replies()
        await turn

    # A turn that held up its loop would wait for the reply that the loop has still to release.
    asyncio.run(run())
    assert len(ValkeySessionManager("s", url=tcp_server.url).list_messages("s", "default")) == 2


def test_cancelling_in_the_middle_of_an_append_neither_loses_nor_doubles_an_event(tcp_server: Any, proxy: Any) -> None:
    manager = ValkeySessionManager("s", url=proxy.url)
    agent = Agent(model=ScriptedModel(["Hi.", "Again."]), session_manager=manager, callback_handler=None)

    async def run() -> None:
        proxy.hold_replies()
        turn = asyncio.create_task(agent.invoke_async("Hello"))
        await asyncio.to_thread(proxy.wait_until_held)
        turn.cancel()
        asyncio.get_running_loop().call_later(0.05, proxy.release_replies)
        with pytest.raises(asyncio.CancelledError):
            await turn
        await agent.invoke_async("Once more")

    asyncio.run(run())
    log = SessionLog.connect(tcp_server.url)
    assert log.verify("s").ok
    stored = ValkeySessionManager("s", url=tcp_server.url).list_messages("s", "default")
    assert [record.message for record in stored] == agent.messages
    assert [event.data["cancelled"] for event in happened(log, types="invocation.failed")] == [True]


def test_a_closed_stream_still_ends_its_invocation(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["A long answer that is not heard to its end."])

    async def listen_briefly() -> None:
        stream = agent.stream_async("Hello")
        async for event in stream:
            if "data" in event:
                break
        await stream.aclose()

    asyncio.run(listen_briefly())
    assert types(session_log)[-1] == "invocation.failed"
