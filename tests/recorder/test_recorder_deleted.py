"""A session that is deleted while agents of it live: nothing of it comes back with what they say next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import valkey
from strands import Agent
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.hooks import HookProvider, MessageAddedEvent
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_log import SessionLog, SessionRecorder, events
from strands_session_log.errors import ServerUnavailableError
from strands_session_log.instrumentation import Detail, RecordingBegunAnew, get_hooks, set_hooks
from strands_session_log.session_manager import AgentSessionLostError
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy, wait_until
from support.servers import Server
from support.strands_agents import happened, make_agent

SECRET = "hunter2-is-my-password"


def recorded_agent(recorder: Any, **options: Any) -> Any:
    answers = [f"Answer {number}." for number in range(40)]
    return Agent(model=ScriptedModel(answers), hooks=[recorder], callback_handler=None, **options)


def raw(log: SessionLog, session: str = "s") -> str:
    """The session as the server holds it."""
    return repr(list(log._events.entries(session)))


def transcript(log: SessionLog) -> list[Any]:
    return [record.message for record in log.state("s").agents["default"].messages]


def let_time_pass(log: SessionLog, milliseconds: int = 10) -> None:
    """A deletion is as exact as the milliseconds of its tombstone, and from afar as the way of an answer."""
    now = log._events.now_ms("s")
    wait_until(lambda: log._events.now_ms("s") > now + milliseconds, "the clock to go on", interval=0.001)


def delete(log: SessionLog) -> None:
    """Delete the session; what is said after that is certainly said after it."""
    log.delete("s")
    let_time_pass(log)


@pytest.fixture
def told() -> Iterator[list[Detail]]:
    """What hooks are told of recorders that begin anew."""
    heard: list[Detail] = []
    before = get_hooks()
    set_hooks([*before, lambda detail: heard.append(detail) if isinstance(detail, RecordingBegunAnew) else None])
    yield heard
    set_hooks(before)


def test_a_recorder_begins_anew_with_what_is_said_after_its_session_was_deleted(
    session_log: SessionLog, told: list[Detail], caplog: pytest.LogCaptureFixture
) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder, state={"told": SECRET})
    agent(SECRET)
    assert recorder.flush()
    delete(session_log)
    for number in range(3):
        agent(f"Question {number}?")
        assert recorder.flush()
    assert recorder.close()
    assert SECRET not in raw(session_log)
    assert transcript(session_log) == session_log.state("s").agents["default"].window == agent.messages[2:]
    assert [event.type for event in happened(session_log)][:2] == ["invocation.started", "message.added"]
    assert session_log.verify("s").ok
    assert told == [RecordingBegunAnew(0)]
    assert caplog.text.count("recording begins anew") == 1
    resumed = make_agent(session_log)
    assert resumed.messages == agent.messages[2:]


def test_what_waits_when_its_session_is_deleted_is_not_written_any_more(tcp_server: Server, proxy: FaultProxy) -> None:
    direct = SessionLog.connect(tcp_server.url)
    recorder = SessionRecorder(SessionLog(valkey.Valkey.from_url(proxy.url), retry_for=0), "s")
    agent = recorded_agent(recorder)
    agent("Hello?")
    assert recorder.flush()
    proxy.refuse()
    proxy.cut()
    agent(SECRET)
    let_time_pass(direct)
    direct.delete("s")
    agent("And now?")
    proxy.accept()
    assert recorder.close()
    assert SECRET not in raw(direct)
    assert transcript(direct) == agent.messages[-2:]
    assert recorder.stats.lost > 0
    assert recorder.stats.last_error == "the session was deleted"
    assert not happened(direct, types="recording.gap")
    direct.close()


def test_a_recorder_that_has_nothing_left_to_write_asks_nothing_more_of_the_server(
    tcp_server: Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that waited went with its session, and the server goes away once it has said so."""
    direct, log = SessionLog.connect(tcp_server.url), SessionLog(valkey.Valkey.from_url(proxy.url), retry_for=0)
    recorder = SessionRecorder(log, "s")
    agent = recorded_agent(recorder)
    agent("Hello?")
    assert recorder.flush()
    proxy.refuse()
    proxy.cut()
    agent(SECRET)
    let_time_pass(direct)
    direct.delete("s")
    find = log._events.life

    def find_and_cut(session_id: str) -> Any:
        found = find(session_id)
        monkeypatch.setattr(log._replay, "catch_up", away)
        return found

    def away(*_: Any) -> Any:
        raise ServerUnavailableError("away")

    monkeypatch.setattr(log._events, "life", find_and_cut)
    proxy.accept()
    assert recorder.flush(20)
    assert recorder.stats.waiting == 0 < recorder.stats.lost
    assert direct.sessions() == []
    recorder.close()
    direct.close()


def test_what_a_recorder_could_never_write_is_not_written_after_a_deletion(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    direct = SessionLog.connect(tcp_server.url)
    direct.append("s", events.Custom("custom.note", {}))
    proxy.refuse()
    recorder = SessionRecorder(proxy.url, "s")
    agent = recorded_agent(recorder, messages=[{"role": "user", "content": [{"text": SECRET}]}])
    let_time_pass(direct)
    direct.delete("s")
    agent("And now?")
    proxy.accept()
    assert recorder.close(30)
    assert SECRET not in raw(direct)
    assert transcript(direct) == agent.messages[-2:]
    direct.close()


def test_a_batch_that_is_under_way_when_its_session_is_deleted_lands_before_or_not_at_all(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    direct = SessionLog.connect(tcp_server.url)
    recorder = SessionRecorder(SessionLog.connect(proxy.url), "s")
    agent = recorded_agent(recorder)
    agent("Hello?")
    assert recorder.flush()
    proxy.swallow_replies(of=SECRET.encode())
    proxy.hold_replies()
    agent(SECRET)
    let_time_pass(direct)
    direct.delete("s")
    proxy.release_replies()
    assert recorder.flush()
    agent("And now?")
    assert recorder.close()
    assert SECRET not in raw(direct)
    assert transcript(direct) == agent.messages[-2:]
    direct.close()


def test_what_was_said_just_before_a_deletion_is_not_written_however_far_the_server_is(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    direct = SessionLog.connect(tcp_server.url)
    recorder = SessionRecorder(SessionLog.connect(proxy.url), "s")
    agent = recorded_agent(recorder)
    agent("Hello?")
    assert recorder.flush()
    proxy.delay(requests=0.4)
    agent(SECRET)
    direct.delete("s")
    let_time_pass(direct, 50)
    agent("And now?")
    assert recorder.close(30)
    assert SECRET not in raw(direct)
    assert transcript(direct) == agent.messages[-2:]
    direct.close()


def test_a_deleted_session_stays_away_until_somebody_speaks(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder)

    class Deleting(HookProvider):
        """Deletes the session once an agent has said all."""

        def register_hooks(self, registry: Any, **_: Any) -> None:
            registry.add_callback(MessageAddedEvent, self.delete)

        def delete(self, event: Any) -> None:
            if event.message["role"] == "assistant" and len(event.agent.messages) == 2:
                assert recorder.flush()
                session_log.delete("s")

    agent.hooks.add_hook(Deleting())
    agent(SECRET)
    assert recorder.flush()
    assert session_log.sessions() == []
    agent("Hello?")
    assert recorder.close()
    assert transcript(session_log) == agent.messages[2:]


def test_another_writer_of_the_new_session_is_not_taken_for_the_old_one(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder)
    agent(SECRET)
    assert recorder.flush()
    for _ in range(3):
        delete(session_log)
        session_log.append("s", [events.Custom("custom.note", {"n": number}) for number in range(40)])
        agent("And now?")
        assert recorder.flush()
    assert recorder.close()
    assert SECRET not in raw(session_log)
    assert transcript(session_log) == agent.messages[-2:]


def test_several_agents_of_a_recorder_begin_anew_in_the_same_session(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agents = [recorded_agent(recorder, agent_id=name) for name in ("critic", "writer")]
    for agent in agents:
        agent(SECRET)
    assert recorder.flush()
    delete(session_log)
    for agent in agents:
        agent("And now?")
    assert recorder.close()
    assert SECRET not in raw(session_log)
    for agent in agents:
        assert session_log.state("s").agents[agent.agent_id].window == agent.messages[2:]


def test_recorders_that_begin_one_session_at_the_same_time_all_land(session_log: SessionLog) -> None:
    recorders = [SessionRecorder(session_log, "s") for _ in range(4)]
    agents = [recorded_agent(recorder, agent_id=f"a{number}") for number, recorder in enumerate(recorders)]
    for agent in agents:
        agent("Hello?")
    assert all(recorder.close() for recorder in recorders)
    assert {len(session_log.state("s").agents[agent.agent_id].messages) for agent in agents} == {2}


def test_a_window_that_slides_after_a_deletion_holds_what_was_said_since(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder, conversation_manager=SlidingWindowConversationManager(window_size=4))
    for _ in range(4):
        agent(SECRET)
    assert recorder.flush()
    delete(session_log)
    for number in range(5):
        agent(f"Question {number}?")
        assert recorder.flush()
        held = [message for message in agent.messages if message in transcript(session_log)]
        assert session_log.state("s").agents["default"].window == held
    assert recorder.close()
    assert SECRET not in raw(session_log)
    assert session_log.state("s").agents["default"].window == agent.messages


def test_a_summary_of_what_was_deleted_does_not_come_back_either(session_log: SessionLog) -> None:
    def manager() -> Any:
        return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)

    overflow = ContextWindowOverflowException("too long")
    script: Any = ["One.", "Two.", "Three.", overflow, f"They said {SECRET}.", "Four.", "Five.", "Six."]
    recorder = SessionRecorder(session_log, "s")
    agent: Any = Agent(
        model=ScriptedModel(script), hooks=[recorder], callback_handler=None, conversation_manager=manager()
    )
    for number in range(4):
        agent(f"Question {number}?")
    assert SECRET in str(agent.messages[0])
    assert recorder.flush()
    delete(session_log)
    agent("And now?")
    agent("And then?")
    assert recorder.close()
    assert SECRET not in raw(session_log)
    assert make_agent(session_log, conversation_manager=manager()).messages == agent.messages[-4:]


def test_a_second_deletion_does_not_bring_back_the_state_of_the_first(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder, state={"told": SECRET})
    for number in range(3):
        agent(f"Question {number}?")
        agent.state.set(f"turn{number}", number)
        agent("Go on.")
        assert recorder.flush()
        assert session_log.state("s").agents["default"].state.get(f"turn{number}") == number
        assert number == 0 or SECRET not in raw(session_log)
        delete(session_log)
    assert recorder.close()


def test_an_erased_message_does_not_come_back_with_what_an_agent_still_holds(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = recorded_agent(recorder)
    agent(SECRET)
    agent("Fine?")
    assert recorder.flush()
    (said,) = [one for one in session_log.read("s", types="message.added") if SECRET in str(one.event.data)]
    session_log.erase("s", said.id, "asked for")
    for number in range(2):
        agent(f"Question {number}?")
        assert recorder.flush()
    agent.messages = agent.messages[:4]
    agent("And now?")
    assert recorder.close()
    assert SECRET not in raw(session_log)
    # Nor with another process, whose agent has it from elsewhere.
    recorder = SessionRecorder(session_log, "s")
    recorded_agent(recorder, messages=[dict(message) for message in agent.messages])("Again?")
    assert recorder.close()
    assert SECRET not in raw(session_log)


def test_a_session_manager_is_told_that_its_session_was_deleted_and_writes_nothing(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent(SECRET)
    delete(session_log)
    for _ in range(2):
        with pytest.raises(AgentSessionLostError, match="is not on the server any more"):
            agent("And now?")
    assert session_log.sessions() == []


def test_a_session_manager_that_deletes_its_session_goes_on_without_what_was_said(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two.", "Three."], state={"told": SECRET})
    agent(SECRET)
    agent._session_manager.delete_session("s")
    agent("And now?")
    agent.state.set("more", 1)
    agent("And then?")
    assert SECRET not in raw(session_log)
    assert session_log.state("s").agents["default"].window == agent.messages[2:]
    assert session_log.state("s").agents["default"].state == {"more": 1}


def test_a_manager_that_resumes_does_not_take_what_strands_adds_to_an_erased_message_for_another(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent(SECRET)
    agent("Fine?")
    session_log.erase("s", next(session_log.read("s", types="message.added")).id, "asked for")
    resumed = make_agent(session_log, ["Three.", "Four."])
    resumed("And now?")
    resumed("And then?")
    assert not happened(session_log, types="window.changed")
    assert SECRET not in raw(session_log)
    assert session_log.state("s").agents["default"].window[0]["content"] == [{"text": "[erased]"}]
