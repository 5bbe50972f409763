"""A resumed agent holds what the killed one held; the transcript holds everything that was ever said."""

from __future__ import annotations

import copy
import inspect
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from strands import Agent
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)
from strands.types.exceptions import ContextWindowOverflowException, SessionException
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, SessionRecorder, SnapshotSettings
from strands_session_log.errors import SessionLogError
from strands_session_log.events import SessionAnnotated
from strands_session_log.lifecycle import contents
from strands_session_log.lifecycle.contents import fingerprint
from strands_session_log.testing.model import ScriptedModel
from support import FaultProxy
from support.servers import Server
from support.strands_agents import add, call, happened, make_agent

SLIDING = inspect.signature(SlidingWindowConversationManager.__init__).parameters


def talk(agent: Any, turns: int) -> None:
    for number in range(turns):
        agent(f"Question {number}?")


def answers(turns: int) -> list[str]:
    return [f"Answer {number}." for number in range(turns)]


def transcript_length(log: SessionLog) -> int:
    return len(log.state("s").agents["default"].messages)


def window_events(log: SessionLog) -> int:
    return len(happened(log, types="window.changed"))


def test_a_sliding_window_needs_no_events_of_its_own(session_log: SessionLog) -> None:
    options: dict[str, Any] = {"conversation_manager": SlidingWindowConversationManager(window_size=4)}
    agent = make_agent(session_log, answers(8), **options)
    talk(agent, 8)
    resumed = make_agent(session_log, conversation_manager=SlidingWindowConversationManager(window_size=4))
    assert resumed.messages == agent.messages
    assert transcript_length(session_log) == 16
    assert window_events(session_log) == 0


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"pin_first": 2}, marks=pytest.mark.skipif("pin_first" not in SLIDING, reason="no pin_first")),
        pytest.param({"per_turn": True}, marks=pytest.mark.skipif("per_turn" not in SLIDING, reason="no per_turn")),
    ],
    ids=str,
)
def test_other_ways_to_slide_resume_the_same(session_log: SessionLog, options: dict[str, Any]) -> None:
    def manager() -> Any:
        return SlidingWindowConversationManager(window_size=5, **options)

    script: Any = [[call("add", a=1, b=2)], "3.", *answers(6)]
    agent = make_agent(session_log, script, conversation_manager=manager(), tools=[add])
    talk(agent, 7)
    resumed = make_agent(session_log, answers(1), conversation_manager=manager(), tools=[add])
    assert resumed.messages == agent.messages
    assert transcript_length(session_log) == 16
    resumed("One more?")
    assert make_agent(session_log, conversation_manager=manager(), tools=[add]).messages == resumed.messages


def test_a_summary_is_resumed_and_what_it_stands_for_stays_in_the_transcript(session_log: SessionLog) -> None:
    def manager() -> Any:
        return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)

    script: Any = [*answers(4), ContextWindowOverflowException("too long"), "A summary.", "Answer 4.", "Answer 5."]
    agent = make_agent(session_log, script, conversation_manager=manager())
    talk(agent, 5)
    assert "A summary." in str(agent.messages[0])
    resumed = make_agent(session_log, answers(1), conversation_manager=manager())
    assert resumed.messages == agent.messages
    assert resumed.conversation_manager.get_state() == agent.conversation_manager.get_state()
    transcript = str(list(session_log.state("s").agents["default"].messages))
    assert all(f"Question {number}?" in transcript and f"Answer {number}." in transcript for number in range(5))
    resumed("And now?")
    assert make_agent(session_log, conversation_manager=manager()).messages == resumed.messages


def cut(agent: Any) -> None:
    agent.messages = agent.messages[-2:]


def clear(agent: Any) -> None:
    agent.messages.clear()


def rewrite(agent: Any) -> None:
    agent.messages[1]["content"][0]["text"] = "I never said that."


def offload(agent: Any) -> None:
    agent.messages[0]["content"] = [{"text": "[stored elsewhere]"}]
    agent.messages[3] = {"role": "assistant", "content": [{"text": "[stored elsewhere, too]"}]}


def reorder(agent: Any) -> None:
    agent.messages[:] = agent.messages[2:4] + agent.messages[0:2]


def duplicate(agent: Any) -> None:
    agent.messages += copy.deepcopy(agent.messages[:2])


def inject(agent: Any) -> None:
    agent.messages.insert(0, {"role": "user", "content": [{"text": "You are a pirate."}, {"image": b"\x00"}]})


@pytest.mark.parametrize("edit", [cut, clear, rewrite, offload, reorder, duplicate, inject])
def test_any_edit_of_the_messages_is_resumed_and_nothing_said_is_lost(
    session_log: SessionLog, edit: Callable[[Any], None]
) -> None:
    agent = make_agent(session_log, answers(6), conversation_manager=NullConversationManager())
    talk(agent, 3)
    said = copy.deepcopy(agent.messages)
    edit(agent)
    agent("And then?")
    resumed = make_agent(session_log, answers(1), conversation_manager=NullConversationManager())
    assert resumed.messages == agent.messages
    transcript = [record.message for record in resumed._session_manager.list_messages("s", "default")]
    assert transcript[:6] == said
    resumed("Go on.")
    assert make_agent(session_log, conversation_manager=NullConversationManager()).messages == resumed.messages
    assert session_log.verify("s").ok


def test_copying_the_messages_changes_nothing(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(2))
    agent("One?")
    agent.messages = copy.deepcopy(agent.messages)
    agent("Two?")
    assert window_events(session_log) == 0


def test_the_window_at_a_past_point_is_what_was_held_then(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(3), conversation_manager=NullConversationManager())
    talk(agent, 2)
    before, held = session_log.state("s").revision, len(agent.messages)
    cut(agent)
    agent("Three?")
    assert len(session_log.state("s", at=before).agents["default"].window) == held
    assert session_log.state("s").agents["default"].window == agent.messages


def test_an_edit_that_cannot_be_stored_is_refused_by_name_until_it_is_taken_back(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(4))
    agent("One?")
    agent.messages[0]["content"][0]["image"] = object()
    with pytest.raises(Exception, match=r"message\.content\[0\]\.image cannot be stored"):
        agent("Two?")
    del agent.messages[0]["content"][0]["image"]
    agent("Three?")
    assert make_agent(session_log).messages == agent.messages


def test_what_an_edit_that_cannot_be_stored_came_with_is_told_once_it_is_taken_back(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(2))
    talk(agent, 2)
    held = agent.messages.copy()
    manager = agent._session_manager
    agent.conversation_manager.removed_message_count = 1
    agent.messages[:] = [*held[1:], {"role": "user", "content": [{"json": {"\ud800": 1}}]}]
    with pytest.raises(SessionException, match="lone surrogate"):
        manager.sync_agent(agent)
    agent.messages[:] = held
    manager.sync_agent(agent)
    assert make_agent(session_log).messages == held


def test_a_copy_of_other_kinds_without_its_name_is_the_same_message(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(4))
    talk(agent, 2)
    unnamed = [{name: value for name, value in message.items() if name != "tracking_id"} for message in agent.messages]
    agent.messages[:] = json.loads(json.dumps(unnamed), object_pairs_hook=OrderedDict)
    talk(agent, 2)
    assert window_events(session_log) == 0
    assert transcript_length(session_log) == len(make_agent(session_log).messages) == 8


@pytest.mark.skipif("per_turn" not in SLIDING or "pin_first" not in SLIDING, reason="no per_turn and pin_first")
def test_a_kill_in_mid_turn_resumes_what_was_held_at_the_last_message(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = SlidingWindowConversationManager(window_size=4, per_turn=True, pin_first=2)
    script: Any = [*answers(2), *[[call("add", a=1, b=2)]] * 3, "3."]
    agent = make_agent(session_log, script, conversation_manager=manager, tools=[add])
    append, differences = session_log._events.append, list[Any]()

    def compare(session_id: str, batch: Any, *arguments: Any) -> Any:
        ids = append(session_id, batch, *arguments)
        if any(getattr(one, "event", one).type == "message.added" for one in batch):
            window = [message["content"] for message in session_log.state("s").agents["default"].window]
            live = [message["content"] for message in agent.messages]
            differences.extend([] if window == live else [(window, live)])
        return ids

    monkeypatch.setattr(session_log._events, "append", compare)
    talk(agent, 3)
    assert differences == []


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("edit", [cut, clear, rewrite, inject])
def test_an_edit_between_turns_survives_a_kill_in_the_next_one(
    session_log: SessionLog, edit: Callable[[Any], None], is_resumed: bool
) -> None:
    agent = make_agent(session_log, answers(2))
    talk(agent, 2)
    if is_resumed:
        agent = make_agent(session_log)
    edit(agent)
    stored: list[Any] = []

    def look(messages: Any) -> str:
        """What a process would resume with that is killed while this one asks the model."""
        stored.append((make_agent(session_log).messages, copy.deepcopy(messages)))
        return "Three."

    agent.model._respond = look
    agent("And then?")
    resumed, held = stored[0]
    assert [message["content"] for message in resumed] == [message["content"] for message in held]


def test_another_conversation_manager_on_a_live_agent_does_not_bring_removed_messages_back(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, answers(7), conversation_manager=SlidingWindowConversationManager(window_size=4))
    talk(agent, 5)
    agent.conversation_manager = SlidingWindowConversationManager(window_size=6)
    agent("One more?")
    resumed = make_agent(session_log, conversation_manager=SlidingWindowConversationManager(window_size=6))
    assert resumed.messages == agent.messages


def note(text: str) -> Any:
    return {"role": "user", "content": [{"text": text}]}


def shown(messages: Any) -> list[str]:
    return [message["content"][0]["text"] for message in messages]


def append(agent: Any, text: str) -> None:
    agent._session_manager.append_message(note(text), agent)


def create(agent: Any, text: str) -> None:
    manager = agent._session_manager
    index = len(manager.list_messages("s", "default"))
    manager.create_message("s", "default", SessionMessage(note(text), index))


def resumed(log: SessionLog, **options: Any) -> list[str]:
    options.setdefault("conversation_manager", NullConversationManager())
    return shown(make_agent(log, **options).messages)


@pytest.mark.parametrize("put", [append, create])
def test_a_message_that_is_written_by_hand_is_held_by_the_resumed_agent(
    session_log: SessionLog, put: Callable[[Any, str], None]
) -> None:
    agent = make_agent(session_log, answers(3), conversation_manager=NullConversationManager())
    put(agent, "First of all.")
    agent._session_manager.sync_agent(agent)
    assert resumed(session_log) == ["First of all."]
    talk(agent, 1)
    put(agent, "By the way.")
    agent._session_manager.sync_agent(agent)
    agent("Question 1?")
    expected = ["First of all.", "Question 0?", "Answer 0.", "By the way.", "Question 1?", "Answer 1."]
    assert resumed(session_log) == expected
    assert shown(agent.messages) == [text for text in expected if text not in ("First of all.", "By the way.")]
    assert session_log.state("s").agents["default"].held is None
    # What else is told of the window leaves it where it is.
    agent.messages[0]["content"][0]["text"] = "Edited?"
    agent("Question 2?")
    assert resumed(session_log) == [
        *("First of all.", "Edited?", "Answer 0.", "By the way.", "Question 1?", "Answer 1."),
        *("Question 2?", "Answer 2."),
    ]
    assert session_log.verify("s").ok


@pytest.mark.parametrize("before", [True, False])
def test_a_message_that_is_written_by_hand_and_held_is_there_once(session_log: SessionLog, before: bool) -> None:
    agent = make_agent(session_log, answers(2), conversation_manager=NullConversationManager())
    talk(agent, 1)
    message = note("By the way.")
    if before:
        agent.messages.append(message)
    agent._session_manager.append_message(message, agent)
    if not before:
        agent.messages.append(message)
    agent("Question 1?")
    assert resumed(session_log) == shown(agent.messages)
    assert len(session_log.state("s").agents["default"].messages) == 5
    agent.messages[:] = agent.messages[:2]
    agent._session_manager.sync_agent(agent)
    assert resumed(session_log) == shown(agent.messages)


def test_a_message_that_is_written_by_hand_goes_with_those_beside_it(session_log: SessionLog) -> None:
    def manager() -> Any:
        return SlidingWindowConversationManager(window_size=4)

    agent = make_agent(session_log, answers(5), conversation_manager=manager())
    talk(agent, 1)
    append(agent, "By the way.")
    for number in range(1, 5):
        agent(f"Question {number}?")
    assert resumed(session_log, conversation_manager=manager()) == shown(agent.messages)
    assert transcript_length(session_log) == 11


def test_a_cleared_conversation_is_not_resumed_with_what_was_written_by_hand(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(2), conversation_manager=NullConversationManager())
    talk(agent, 1)
    append(agent, "By the way.")
    agent._session_manager.sync_agent(agent)
    agent.messages.clear()
    agent("Anew?")
    assert resumed(session_log) == shown(agent.messages)


def test_a_message_that_is_replaced_by_hand_is_held_by_the_resumed_agent(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(2), conversation_manager=NullConversationManager())
    talk(agent, 1)
    agent._session_manager.update_message("s", "default", SessionMessage(note("What I meant."), 0))
    agent("Question 1?")
    assert resumed(session_log) == ["What I meant.", "Answer 0.", "Question 1?", "Answer 1."]
    assert window_events(session_log) == 0


def test_a_message_that_is_redacted_by_hand_does_not_come_back_with_the_window(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(2), conversation_manager=NullConversationManager())
    talk(agent, 1)
    redaction = SessionMessage(note("[redacted]"), 0, redact_message=note("[redacted]"))
    agent._session_manager.update_message("s", "default", redaction)
    agent("Question 1?")
    assert resumed(session_log)[0] == "[redacted]"
    assert "Question 0?" not in str([event.data for event in happened(session_log)])


SLIDING_OPTIONS = [
    {},
    *([{"pin_first": 2}] if "pin_first" in SLIDING else []),
]


@pytest.mark.parametrize("options", SLIDING_OPTIONS, ids=str)
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_the_window_after_a_direct_tool_call_is_what_the_agent_holds(
    session_log: SessionLog, options: dict[str, Any], turns: int
) -> None:
    def manager() -> Any:
        return SlidingWindowConversationManager(window_size=6, **options)

    agent = make_agent(session_log, answers(6), conversation_manager=manager(), tools=[add])
    talk(agent, turns)
    for number in range(2):
        agent.tool.add(a=number, b=2)
        assert session_log.state("s").agents["default"].window == agent.messages
        assert make_agent(session_log, conversation_manager=manager()).messages == agent.messages
    agent("And then?")
    assert make_agent(session_log, conversation_manager=manager()).messages == agent.messages
    assert session_log.verify("s").ok


@pytest.mark.skipif("pin_first" not in SLIDING, reason="this version of Strands takes out what tools answered first")
def test_the_window_after_a_direct_tool_call_needs_no_event_of_its_own(session_log: SessionLog) -> None:
    manager = SlidingWindowConversationManager(window_size=4)
    agent = make_agent(session_log, answers(6), conversation_manager=manager, tools=[add])
    talk(agent, 2)
    agent.tool.add(a=1, b=2)
    agent("And then?")
    assert window_events(session_log) == 0


@pytest.mark.parametrize("edit", [clear, cut, rewrite])
def test_the_window_a_recorder_tells_of_after_a_direct_tool_call_is_what_the_agent_holds(
    session_log: SessionLog, edit: Callable[[Any], None]
) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = Agent(
        model=ScriptedModel(answers(6)),
        conversation_manager=SlidingWindowConversationManager(window_size=4),
        tools=[add],
        hooks=[recorder],
        callback_handler=None,
    )
    talk(agent, 1)
    edit(agent)
    agent.tool.add(a=1, b=2)
    assert recorder.close()
    assert session_log.state("s").agents["default"].window == agent.messages


def test_what_a_conversation_manager_of_ones_own_does_is_not_guessed(session_log: SessionLog) -> None:
    class Counting(SlidingWindowConversationManager):
        """Does something else each time, which only Strands may make it do."""

        calls = 0

        def apply_management(self, agent: Any, **_: Any) -> None:
            self.calls += 1

    manager = Counting(window_size=2)
    agent = make_agent(session_log, answers(2), conversation_manager=manager, tools=[add])
    agent.tool.add(a=1, b=2)
    assert manager.calls == 1
    assert session_log.state("s").agents["default"].window == agent.messages


def said(agent: Any) -> list[tuple[str, str]]:
    return [(message["role"], message["content"][0]["text"]) for message in agent.messages]


TWICE = [RuntimeError("no key"), RuntimeError("no key"), "Hello, Ada."]
ONCE = [("user", "I am Ada."), ("assistant", "Hello, Ada.")]


@pytest.mark.parametrize("manager", [{}, {"record": "state"}, {"hold_user_messages": True}], ids=str)
def test_a_prompt_tried_again_after_failures_is_held_once_and_stands_in_the_transcript_each_time(
    session_log: SessionLog, manager: dict[str, Any]
) -> None:
    agent = make_agent(session_log, TWICE, manager)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no key"):
            agent("I am Ada.")
    agent("I am Ada.")
    assert said(agent) == ONCE
    assert [len(messages) for messages in agent.model.calls] == [1, 1, 1]
    assert said(make_agent(session_log)) == ONCE
    assert transcript_length(session_log) == 4


@pytest.mark.parametrize("manager", [{}, {"hold_user_messages": True}], ids=str)
@pytest.mark.parametrize("is_resumed", [False, True])
def test_so_is_a_prompt_of_several_messages(session_log: SessionLog, manager: dict[str, Any], is_resumed: bool) -> None:
    agent = make_agent(session_log, TWICE, manager)
    for left in (1, 2, 3):
        agent = make_agent(session_log, TWICE[left - 1 :], manager) if is_resumed else agent
        with suppress(RuntimeError):
            agent([prompt("I am Ada."), prompt("Who are you?")])
    assert said(agent) == said(make_agent(session_log)) == [ONCE[0], ("user", "Who are you?"), ONCE[1]]
    assert transcript_length(session_log) == 7


@pytest.mark.parametrize(
    ("again", "held"),
    [
        ([("Yes.", "Bob")], ["Maybe.", "Yes.", "Yes."]),
        ([("Maybe.", "Ada")], ["Maybe.", "Yes.", "Maybe."]),
        ([("No.", "Bob"), ("Yes.", "Ada"), ("No.", "Bob")], ["Maybe.", "Yes.", "No.", "Yes.", "No."]),
        ([("Yes.", "Ada"), ("No.", "Bob")], ["Maybe.", "Yes.", "No."]),
    ],
    ids=str,
)
def test_only_what_says_the_same_takes_the_place_of_a_prompt(
    session_log: SessionLog, again: list[tuple[str, str]], held: list[str]
) -> None:
    agent = make_agent(session_log, [RuntimeError("no key"), RuntimeError("no key"), "Well."])
    for text in ("Maybe.", "Yes."):
        with pytest.raises(RuntimeError, match="no key"):
            agent([prompt(text, "Ada")])
    agent([prompt(*one) for one in again])
    assert [text for _, text in said(agent)] == [*held, "Well."]
    assert said(make_agent(session_log)) == said(agent)


def prompt(text: str, name: str = "") -> Any:
    return {"role": "user", "content": [{"text": text}], **({"metadata": {"custom": {"from": name}}} if name else {})}


def test_a_prompt_that_another_process_tries_again_is_held_once(session_log: SessionLog) -> None:
    for reply in TWICE:
        agent = make_agent(session_log, [reply])
        with suppress(RuntimeError):
            agent("I am Ada.")
    assert said(agent) == said(make_agent(session_log)) == ONCE
    assert transcript_length(session_log) == 4


def test_another_prompt_after_a_failure_leaves_the_first_where_it_is(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("no key"), "Hello.", "Again."])
    with pytest.raises(RuntimeError, match="no key"):
        agent("I am Ada.")
    for prompt in ("Are you there?", "Are you there?"):
        agent(prompt)
    prompts = [text for role, text in said(agent) if role == "user"]
    assert prompts == ["I am Ada.", "Are you there?", "Are you there?"]
    assert said(make_agent(session_log)) == said(agent)


def test_a_prompt_that_could_not_be_written_is_held_once_when_it_is_given_again(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(session_log, ["Hello, Ada."])
    with monkeypatch.context() as away:
        away.setattr(agent._session_manager._agents["default"].outbox, "_append", raise_away)
        with pytest.raises(Exception, match="away"):
            agent("I am Ada.")
    agent("I am Ada.")
    assert said(agent) == said(make_agent(session_log)) == ONCE
    assert transcript_length(session_log) == 3


def raise_away(*_: Any, **__: Any) -> None:
    raise SessionLogError("the server is away")


def held(agent: Any, count: int) -> None:
    """Let an agent hold so many messages that were written one by one."""
    for number in range(count):
        message = note(f"Note {number}.")
        agent.messages.append(message)
        agent._session_manager.append_message(message, agent)


@pytest.mark.parametrize("options", [{}, {"window_size": 4}], ids=["all", "a window"])
def test_a_turn_fingerprints_no_message_that_has_not_changed(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    manager = SlidingWindowConversationManager(**options) if options else NullConversationManager()
    agent = make_agent(session_log, answers(5), conversation_manager=manager)
    talk(agent, 3)
    looked_at: list[Any] = []

    def counting(message: Any) -> bytes:
        looked_at.append(message)
        return fingerprint(message)

    monkeypatch.setattr(contents, "fingerprint", counting)
    agent("And then?")
    assert looked_at == []
    agent.messages[-1]["content"][0]["text"] = "I never said that."
    agent("And now?")
    assert looked_at
    assert session_log.state("s").agents["default"].window == agent.messages


@pytest.mark.parametrize("at", [0, 150, 299])
@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("before", [False, True], ids=["in the turn", "before it"])
def test_an_edit_in_place_is_noticed_by_the_end_of_the_turn_wherever_it_is(
    session_log: SessionLog, at: int, is_resumed: bool, before: bool
) -> None:
    def edit(_: Any = None) -> str:
        agent.messages[at]["content"][0]["text"] = "I never said that."
        return "Well."

    options: dict[str, Any] = {"conversation_manager": NullConversationManager()}
    agent = make_agent(session_log, edit, **options)
    held(agent, 300)
    if is_resumed:
        agent = make_agent(session_log, edit, **options)
    if before:
        agent.model._respond = lambda _: "Well."
        agent("What was that?")
        edit()
    agent("And then?")
    assert shown(agent.messages)[at] == "I never said that."
    assert resumed(session_log) == shown(agent.messages)
    assert window_events(session_log) == 1


def test_a_window_that_stands_in_no_transcript_is_resumed_without_reading_that(
    tcp_server: Server, proxy: FaultProxy
) -> None:
    def log() -> SessionLog:
        return SessionLog.connect(proxy.url, snapshots=SnapshotSettings(threshold=1, segment=16))

    writer = log()
    agent = make_agent(writer, answers(2), conversation_manager=NullConversationManager())
    held(agent, 100)
    agent("What do you hold?")
    # As a front end does that sends all messages with every request, in its own words.
    agent.messages[:] = [note(f"As told by the front end: {number}.") for number in range(5)]
    agent._session_manager.sync_agent(agent)
    settle(writer)
    reader = log()
    before = proxy.round_trips
    assert resumed(reader) == shown(agent.messages)
    assert proxy.round_trips - before <= 2


def settle(log: SessionLog) -> None:
    """Save a snapshot of all there is."""
    log.append("s", SessionAnnotated({"saved": "yes"}))
    assert log._replay.settle()
