"""Mirror mode: beside any session manager or none, and never in the agent's way."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from strands import Agent
from strands.hooks import MessageAddedEvent
from strands.session.file_session_manager import FileSessionManager

from strands_session_log import SessionLog, SessionRecorder
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.servers import Server
from support.strands_agents import add, call, continued, happened


def make_agent(recorder: Any, script: Any = ("Hello.",), **options: Any) -> Any:
    return Agent(model=ScriptedModel(script), hooks=[recorder], callback_handler=None, **options)


def transcript(log: SessionLog, session: str = "s") -> list[Any]:
    return [record.message for record in log.state(session).agents["default"].messages]


def test_an_agent_without_a_session_manager_is_mirrored_with_its_facts(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, [[call("add", a=1, b=2)], "3."], tools=[add])
    agent("Add.")
    assert recorder.close()
    assert transcript(session_log) == agent.messages
    assert session_log.state("s").agents["default"].window == agent.messages
    kinds = {event.type for event in happened(session_log)}
    assert {"agent.created", "invocation.started", "invocation.completed"} <= kinds
    assert session_log.verify("s").ok


def test_a_session_kept_in_files_is_mirrored_across_restarts(session_log: SessionLog, tmp_path: Any) -> None:
    for number in range(2):
        recorder = SessionRecorder(session_log, "s")
        files = FileSessionManager("f", storage_dir=str(tmp_path))
        agent = make_agent(recorder, [f"Answer {number}."], session_manager=files)
        agent(f"Question {number}?")
        assert recorder.close()
    assert transcript(session_log) == agent.messages
    assert len(agent.messages) == 4


def test_messages_of_before_are_mirrored_first(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    history: Any = [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}]
    make_agent(recorder, messages=history)("c")
    assert recorder.close()
    assert len(transcript(session_log)) == 4


def test_edits_of_the_messages_are_mirrored_as_a_window(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, ["One.", "Two."])
    agent("First")
    agent.messages = agent.messages[1:]
    agent("Second")
    assert recorder.close()
    assert session_log.state("s").agents["default"].window == agent.messages
    assert len(transcript(session_log)) == 4


def test_a_server_that_is_away_does_not_disturb_the_agent_and_is_made_up_for_in_order(
    tcp_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = SessionRecorder(SessionLog(tcp_server.client(), retry_for=0), "s")
    agent = make_agent(recorder, [f"Answer {number}." for number in range(6)])
    agent("Question 0?")
    assert recorder.flush()
    tcp_server.kill()
    with caplog.at_level(logging.WARNING, logger="strands_session_log.recorder"):
        for number in range(1, 5):
            agent(f"Question {number}?")
        assert recorder.stats.waiting > 0
        tcp_server.restart()
        agent("Question 5?")
        assert recorder.close()
    log = SessionLog(tcp_server.client())
    assert transcript(log) == agent.messages
    assert log.verify("s").ok
    assert len([line for line in caplog.messages if "recording is behind" in line]) <= 1


def test_a_slow_server_does_not_slow_the_agent(tcp_server: Server, proxy: FaultProxy) -> None:
    recorder = SessionRecorder(SessionLog.connect(proxy.url), "s")
    agent = make_agent(recorder, ["Fast."])
    proxy.hold_replies()
    done = threading.Event()

    def talk() -> None:
        agent("Quick!")
        done.set()

    turn = threading.Thread(target=talk)
    turn.start()
    assert done.wait(timeout=5)
    proxy.release_replies()
    assert recorder.close()
    assert transcript(SessionLog.connect(tcp_server.url)) == agent.messages


def test_what_does_not_fit_the_buffer_is_counted_and_told_in_the_log(tcp_server: Server) -> None:
    recorder = SessionRecorder(SessionLog(tcp_server.client(), retry_for=0), "s", buffer=4, record="state")
    agent = make_agent(recorder, [f"Answer {number}." for number in range(6)])
    agent("Question 0?")
    assert recorder.flush()
    tcp_server.kill()
    for number in range(1, 5):
        agent(f"Question {number}?")
    lost = recorder.stats.lost
    assert lost > 0
    tcp_server.restart()
    assert recorder.flush()
    agent("Question 5?")
    assert recorder.close()
    log = SessionLog(tcp_server.client())
    gap = happened(log, types="recording.gap")[0]
    assert gap.data["lost"] == lost
    assert gap.data["error"] == "the buffer is full"
    assert log.state("s").agents["default"].window == agent.messages


def test_a_value_that_cannot_be_stored_is_lost_but_not_the_rest(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, ["One.", "Two."])
    agent([{"text": "Hello"}, {"text": "bad", "extra": object()}])
    agent.messages.pop(0)
    agent("Still here?")
    assert recorder.close()
    assert recorder.stats.lost >= 1
    assert "extra cannot be stored" in recorder.stats.last_error
    told = happened(session_log, types="recording.gap")[0]
    assert told.data["error"].startswith("strands_session_log.errors.EncodingError at ")
    assert told.facts()["error"] == told.data["error"]
    assert len(transcript(session_log)) == 3


def test_two_processes_that_mirror_one_agent_both_land(session_log: SessionLog) -> None:
    recorders = [SessionRecorder(session_log, "s") for _ in range(2)]
    agents = [make_agent(recorder, [f"{n}."] * 3) for n, recorder in enumerate(recorders)]
    for _ in range(3):
        for agent in agents:
            agent("Go.")
    assert all(recorder.close() for recorder in recorders)
    assert len(transcript(session_log)) == 12
    assert session_log.verify("s").ok


def test_a_recorder_added_to_a_running_agent_follows_it_from_there(session_log: SessionLog) -> None:
    agent = Agent(model=ScriptedModel(["One.", "Two."]), callback_handler=None)
    agent("First")
    recorder = SessionRecorder(session_log, "s")
    agent.hooks.add_hook(recorder)
    agent("Second")
    assert recorder.close()
    assert session_log.state("s").agents["default"].window == agent.messages


@pytest.mark.parametrize("apart", [False, True])
def test_what_strands_merges_into_the_message_before_is_recorded_once(session_log: SessionLog, apart: bool) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, ["One.", "Two.", "Three."])
    if apart:
        # Each message is in the log before the next one is said.
        agent.hooks.add_callback(MessageAddedEvent, lambda _: recorder.flush())
    continued(agent, " And more.")
    agent("Go.")
    agent("Next.")
    assert recorder.close()
    recorded = session_log.state("s").agents["default"]
    assert [record.shown["content"] for record in recorded.messages] == [one["content"] for one in agent.messages]
    assert recorded.window == agent.messages
