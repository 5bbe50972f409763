"""Mirror mode when things go wrong: what is lost is counted and told, and the rest goes on."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.hooks import HookProvider

from strands_session_log import SessionLog, SessionRecorder, errors, events
from strands_session_log.lifecycle.compat import CAN_ORDER, hook_event
from strands_session_log.lifecycle.erasing import erase_original
from strands_session_log.testing.model import ScriptedModel
from support.servers import Server
from support.strands_agents import add, call, happened

SECRET = "hunter2-is-my-password"
GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


def make_agent(recorder: Any, script: Any = ("Hello.",), **options: Any) -> Any:
    options.setdefault("hooks", [recorder])
    return Agent(model=ScriptedModel(script), callback_handler=None, **options)


def transcript(log: SessionLog) -> list[Any]:
    return [record.shown for record in log.state("s").agents["default"].messages]


def raw(log: SessionLog) -> str:
    """The session as the server holds it."""
    return repr(list(log._events.entries("s")))


def failing(call: Any, times: int, error: Exception) -> Any:
    """The call, which raises so many times first."""
    left = [error] * times

    def attempt(*arguments: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return call(*arguments, **options)

    return attempt


def test_an_error_nobody_expects_does_not_end_recording(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_log._events, "append", failing(session_log._events.append, 1, ValueError("odd")))
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder)
    agent("Hi")
    assert recorder.close()
    assert transcript(session_log) == agent.messages
    assert recorder.stats.lost == 0
    assert not recorder.stats.last_error


def test_an_error_that_stays_costs_what_it_hits_and_is_told(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = session_log._events.append

    def refuse(session_id: str, batch: Any, *rest: Any) -> Any:
        if any(one.event.type == "invocation.started" for one in batch):
            raise ValueError("odd")
        return append(session_id, batch, *rest)

    monkeypatch.setattr(session_log._events, "append", refuse)
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder)
    agent("Hi")
    assert recorder.close()
    assert transcript(session_log) == agent.messages
    assert recorder.stats.lost == 1
    assert recorder.stats.last_error == "ValueError: odd"
    # The log is told where, not what: the text of an exception may quote content.
    told = happened(session_log, types="recording.gap")[0].data["error"]
    assert told.startswith("ValueError at recorder/test_recorder_faults.py:")


def test_a_log_that_takes_nothing_at_all_is_given_up_and_said_so(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_log._events, "append", failing(None, 10_000, ValueError("odd")))
    recorder = SessionRecorder(session_log, "s", record="state")
    with caplog.at_level(logging.WARNING, logger="strands_session_log.recorder"):
        make_agent(recorder)("Hi")
        assert not recorder.flush()
    stats = recorder.stats
    assert (stats.recorded, stats.waiting, stats.last_error) == (0, 0, "ValueError: odd")
    assert stats.lost > 0
    assert "ValueError at recorder/test_recorder_faults.py" in caplog.text
    assert "odd" not in caplog.text
    assert not recorder.close()


def test_a_gap_that_comes_last_is_told_too(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s", record="state")
    make_agent(recorder)([{"text": "bad", "extra": object()}])
    assert recorder.flush()
    lost = sum(event.data["lost"] for event in happened(session_log, types="recording.gap"))
    assert lost == recorder.stats.lost > 0
    assert happened(session_log)[-1].type == "recording.gap"
    assert recorder.stats.last_error
    recorder.close()


def test_what_a_closed_recorder_still_sees_is_counted(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder)
    assert recorder.close()
    agent("Anyone?")
    assert recorder.stats.lost > 0
    assert recorder.stats.last_error == "the recorder is closed"


def test_a_server_that_is_away_does_not_keep_an_application_from_starting(tcp_server: Server) -> None:
    tcp_server.kill()
    recorder = SessionRecorder(tcp_server.url, "s", namespace="mirror")
    agent = make_agent(recorder)
    agent("Is anyone there?")
    assert recorder.stats.waiting > 0
    tcp_server.restart()
    assert recorder.close(timeout=30)
    with SessionLog.connect(tcp_server.url, "mirror") as log:
        assert transcript(log) == agent.messages


def test_what_is_mirrored_names_the_span_it_happened_in(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, [GUARDRAIL])
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        agent("Hello")
    assert recorder.close()
    trace_id = f"{span.get_span_context().trace_id:032x}"
    types = ["message.*", "agent.updated", "invocation.*", "window.changed"]
    assert {event.trace.split("-")[1] for event in happened(session_log, types) if event.trace} == {trace_id}
    assert all(event.trace for event in happened(session_log, types))


def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(errors.InvalidUrlError):
        SessionRecorder("localhost", "s")


def test_a_prompt_that_a_guardrail_redacts_is_gone_from_the_mirror(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, ["Hi.", GUARDRAIL, "Fine."])
    agent("Hello")
    agent(SECRET)
    assert recorder.flush()
    assert SECRET not in raw(session_log)
    assert transcript(session_log) == agent.messages
    assert [event.data["message_id"] for event in happened(session_log, types="message.redacted")] == [2]
    agent("And now?")
    assert recorder.close()
    assert session_log.state("s").agents["default"].window == agent.messages
    assert session_log.verify("s").ok
    assert recorder.stats.lost == 0


def test_a_prompt_is_gone_even_if_the_model_fails_after_the_guardrail(session_log: SessionLog) -> None:
    def stop(_: Any) -> Any:
        agent.messages[-1]["content"] = [{"text": "[redacted]"}]
        raise RuntimeError("down")

    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, stop)
    with pytest.raises(Exception, match="down"):
        agent(SECRET)
    assert recorder.close()
    assert SECRET not in raw(session_log)


def test_an_erasure_that_fails_is_tried_again(session_log: SessionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    away = errors.ServerUnavailableError("away")
    monkeypatch.setattr(session_log._events, "erase", failing(session_log._events.erase, 1, away))
    recorder = SessionRecorder(session_log, "s")
    make_agent(recorder, [GUARDRAIL])(SECRET)
    assert recorder.close()
    assert SECRET not in raw(session_log)
    assert len(happened(session_log, types="message.redacted")) == 1


def test_an_erasure_that_cannot_succeed_costs_nothing_else(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_log._events, "erase", failing(None, 10_000, ValueError("odd")))
    recorder = SessionRecorder(session_log, "s")
    agent = make_agent(recorder, [GUARDRAIL])
    agent(SECRET)
    assert recorder.close()
    assert transcript(session_log) == agent.messages
    assert (recorder.stats.lost, recorder.stats.last_error) == (1, "ValueError: odd")


class Augmenting(HookProvider):
    """Rewrites every prompt before the model sees it."""

    def register_hooks(self, registry: Any, **_: Any) -> None:
        registry.add_callback(hook_event("BeforeModelCallEvent"), self._augment)

    def _augment(self, event: Any) -> None:
        event.agent.messages[-1]["content"] = [{"text": "augmented"}]


@pytest.mark.parametrize(
    "recorder_first",
    [
        pytest.param(
            True, marks=pytest.mark.skipif(not CAN_ORDER, reason="this version runs hooks in their own order")
        ),
        False,
    ],
)
def test_a_prompt_that_a_hook_edits_is_not_taken_for_redacted(session_log: SessionLog, recorder_first: bool) -> None:
    recorder = SessionRecorder(session_log, "s")
    hooks = [recorder, Augmenting()] if recorder_first else [Augmenting(), recorder]
    agent = make_agent(recorder, hooks=hooks)
    agent("What was asked")
    assert recorder.close()
    assert not happened(session_log, types=["message.redacted", "payload.erased"])
    assert "What was asked" in raw(session_log)
    assert session_log.state("s").agents["default"].window == agent.messages


def test_only_what_was_said_before_the_redaction_is_erased(session_log: SessionLog) -> None:
    def record(text: str) -> dict[str, Any]:
        return {"message_id": 0, "message": {"role": "user", "content": [{"text": text}], "tracking_id": "t"}}

    window = {"items": [record("original")], "removed": 0, "next": 1}
    happenings: list[events.Event] = [
        events.MessageAdded(record("original"), "a"),
        events.WindowChanged(window, "a"),
        events.WindowChanged({**window, "items": [[0, 0]]}, "a"),
        events.MessageAdded(record("of another agent"), "b"),
        events.MessageRedacted(record("redacted"), "a"),
        events.WindowChanged(window, "a"),
        events.MessageUpdated(record("longer"), "a"),
    ]
    session_log.append("s", happenings)
    for _ in range(2):
        erase_original(session_log._events, "s", "a", 0)
    erased = [one.id.revision for one in session_log.read("s") if one.event.is_erased]
    assert erased == [1, 2]
    assert len(happened(session_log, types="payload.erased")) == 1


# Every allocation is traced, which takes ten times as long.
def test_what_waits_for_a_server_that_is_away_does_not_hold_the_whole_conversation_with_each_message() -> None:
    spoken = [{"role": role, "content": [{"text": "Well."}]} for role in ("user", "assistant")] * 125
    rounds = [[call("add", a=1, b=2)]] * 50
    recorder = SessionRecorder("valkey://127.0.0.1:1", "s", record="state")
    agent = make_agent(
        recorder, [*rounds, "3."], messages=spoken, tools=[add], conversation_manager=NullConversationManager()
    )
    tracemalloc.start()
    try:
        agent("Add.")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        recorder.close(0.01)
    # Beside what the model was asked: the conversation once, as it is at the end, and the new messages.
    assert kept < 9 * 2**20
