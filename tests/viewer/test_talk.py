"""What belongs together is shown together, and everything knows from which revision on it is there."""

from __future__ import annotations

from typing import Any

from strands_session_log import SessionLog, events
from strands_session_log_consumers.viewer.content.blocks import Prose
from strands_session_log_consumers.viewer.conversation.notes import Item, Note
from strands_session_log_consumers.viewer.conversation.reading import Conversation
from strands_session_log_consumers.viewer.conversation.talk import STRETCH, Asked, Said, items_of, stretch_of
from support.command_line import CALL, RESULT, message


def begin(log: SessionLog) -> None:
    log.append("s", events.SessionCreated({"session_id": "s", "session_type": "AGENT"}))
    log.append("s", events.AgentCreated({"agent_id": "default", "state": {}}, "default"))


def shown(log: SessionLog) -> list[Item]:
    head = log.head("s").revision
    return items_of(log.read("s"), 1, head, {})


def said(items: list[Item]) -> list[Said]:
    return [one for one in items if isinstance(one, Said)]


def text_of(one: Said, version: int = 0) -> str:
    (block,) = one.versions[version].blocks
    assert isinstance(block, Prose)
    return block.source


def tool(kind: type[events.Fact], **data: Any) -> events.Event:
    return kind({"name": "forecast", "tool_use_id": "1", **data}, "default")


def test_a_call_is_shown_with_how_it_went_on(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "user", "What should I pack?"))
    log.append("s", message(1, "assistant", "Let me look.", CALL))
    log.append("s", tool(events.ToolStarted))
    log.append("s", tool(events.ToolCompleted, status="success", duration_ms=120))
    log.append("s", message(2, "user", RESULT))

    asked, call, answer = said(shown(log))
    run = call.runs["1"]
    assert (asked.role, call.role, answer.role) == ("user", "assistant", "tool")
    assert (run.name, run.started, run.ended, run.seconds) == ("forecast", 5, 6, 0.12)
    assert (run.result_at, run.since, run.is_error) == (7, 6, False)
    assert answer.is_joined
    assert not asked.is_joined


def test_a_failed_call_says_what_the_error_said(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "assistant", CALL))
    log.append("s", tool(events.ToolFailed, status="error", error="TimeoutError", error_text="no answer"))

    (call,) = said(shown(log))
    assert call.runs["1"].is_error
    assert call.runs["1"].error == "no answer"
    (note,) = [one for one in shown(log) if isinstance(one, Note) and one.type == "tool.failed"]
    assert note.is_error


def test_the_calls_of_two_agents_are_not_mixed_up(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "assistant", CALL))
    log.append("s", message(0, "assistant", CALL, agent="other"))
    log.append("s", events.ToolStarted({"name": "forecast", "tool_use_id": "1"}, "other"))

    first, second = said(shown(log))
    assert (first.runs["1"].started, second.runs["1"].started) == (None, 5)


def test_a_message_that_changed_says_each_thing_at_its_time(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "user", "My number is 4711."))
    log.append("s", events.MessageUpdated({**message(0, "user", "My number is secret.").data}, "default"))
    redaction = {"role": "user", "content": [{"text": "[redacted]"}]}
    record = {**message(0, "user", "x").data, "redact_message": redaction}
    log.append("s", events.MessageRedacted(record, "default"))

    (one,) = said(shown(log))
    assert [(version.since, version.until, version.redacted) for version in one.versions] == [
        (3, 4, False),
        (4, 5, False),
        (5, None, True),
    ]
    assert text_of(one, -1) == "[redacted]"


def test_what_changed_a_message_later_than_the_stretch_is_shown_with_it(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "user", "first"))
    log.append("s", [events.Custom("custom.note", {"n": n}) for n in range(3 * STRETCH)])
    log.append("s", events.MessageUpdated({**message(0, "user", "second").data}, "default"))

    conversation = Conversation(log, "s")
    head = log.head("s").revision
    for _ in conversation.indexed(head):
        pass
    (one,) = said(list(conversation.stretch(0, head).items))
    assert [text_of(one, number) for number in (0, 1)] == ["first", "second"]
    assert one.versions[1].since == head


def test_an_erased_message_stands_where_it_was_with_when_by_whom_and_why(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "user", "secret"))
    log.erase("s", 3, "GDPR 17", by="Ada")

    conversation = Conversation(log, "s")
    head = log.head("s").revision
    for _ in conversation.indexed(head):
        pass
    (one,) = said(list(conversation.stretch(0, head).items))
    assert one.is_erased
    assert one.versions == []
    assert one.erasure is not None
    assert (one.erasure.revision, one.erasure.reason, one.erasure.by) == (4, "GDPR 17", "Ada")


def test_what_was_shown_before_it_was_erased_is_not_shown_again(log: SessionLog) -> None:
    begin(log)
    log.append("s", message(0, "user", "secret"))
    conversation = Conversation(log, "s")
    for _ in conversation.indexed(3):
        pass
    assert text_of(said(list(conversation.stretch(0, 3).items))[0]) == "secret"

    log.erase("s", 3, "GDPR 17")
    for _ in conversation.indexed(4):
        pass
    (one,) = said(list(conversation.stretch(0, 4).items))
    assert (one.is_erased, one.versions) == (True, [])


def test_a_question_to_a_person_has_its_reason_and_its_answer(log: SessionLog) -> None:
    begin(log)
    log.append("s", events.InterruptRaised({"id": "i", "name": "approve", "reason": {"eur": 310}}, "default"))
    (waiting,) = [one for one in shown(log) if isinstance(one, Asked)]
    assert (waiting.name, waiting.reason, waiting.answered, waiting.seconds) == ("approve", {"eur": 310}, None, None)

    log.append("s", events.InterruptAnswered({"id": "i", "name": "approve", "response": "yes"}, "default"))
    (answered,) = [one for one in shown(log) if isinstance(one, Asked)]
    assert answered.response == "yes"
    assert answered.answered is not None
    assert answered.answered.revision == 4
    assert answered.seconds is not None


def test_a_failure_is_told_at_any_detail_and_what_is_usual_only_at_more(log: SessionLog) -> None:
    begin(log)
    log.append("s", events.InvocationStarted({}, "default"))
    log.append("s", events.ModelFailed({"error": "ThrottlingException", "error_text": "slow down"}, "default"))
    notes = {one.type: one for one in shown(log) if isinstance(one, Note)}
    assert notes["model.failed"].density == 1
    assert notes["model.failed"].is_error
    assert notes["model.failed"].detail == "slow down"
    assert notes["invocation.started"].density == 2
    assert notes["session.created"].density == 3


def test_an_event_of_nobody_s_making_is_shown_and_breaks_nothing(log: SessionLog) -> None:
    begin(log)
    for kind in ("message.added", "message.updated", "tool.started", "interrupt.raised", "interrupt.answered"):
        log.append("s", events.Event(f"custom.{kind}", {"message": 7, "message_id": "x", "id": None}, "default"))
    assert len(shown(log)) == 7


def test_stretches_are_as_long_as_one_another() -> None:
    assert [stretch_of(revision) for revision in (0, 1, STRETCH, STRETCH + 1, 2 * STRETCH)] == [0, 0, 0, 1, 1]
