"""A tracking id names no message for ever: applications say the same dict again, and copies of it.

Whatever is said is a message of its own in the transcript; only what Strands merges into the message written last takes
its place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager, events
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call, continued, happened, make_agent

pytestmark = pytest.mark.skipif(
    "content.Message" not in str(signature(Agent.__call__)),
    reason="this version of Strands takes no messages as a prompt",
)
GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


class StatefulModel(ScriptedModel):
    """A provider that keeps the conversation itself: Strands clears the agent's messages after each call."""

    stateful = True


def prompt(text: str) -> Any:
    return {"role": "user", "content": [{"text": text}], "tracking_id": "one-and-the-same"}


def texts(log: SessionLog, agent: str = "default") -> list[str]:
    """What was said by the transcript, the blocks of a message joined."""
    found = log.state("s").agents[agent].messages
    return ["".join(block["text"] for block in record.shown["content"]) for record in found]


def clear(agent: Any) -> None:
    agent.messages.clear()


def copied(agent: Any) -> None:
    agent.messages = copy.deepcopy(agent.messages)


def nothing(agent: Any) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("between", [clear, copied, nothing])
@pytest.mark.parametrize("again", [lambda said: said, copy.copy, copy.deepcopy], ids=["the same", "copy", "deep copy"])
def test_a_prompt_dict_that_is_used_again_is_another_message(
    session_log: SessionLog, between: Callable[[Any], None], again: Callable[[Any], Any]
) -> None:
    agent = make_agent(session_log, ["Done.", "Done, too."])
    said = prompt("Transfer 10 to Ann.")
    agent([said])
    between(agent)
    said = again(said)
    said["content"] = [{"text": "Transfer 99999 to Bob."}]
    agent([said])
    assert texts(session_log) == ["Transfer 10 to Ann.", "Done.", "Transfer 99999 to Bob.", "Done, too."]
    assert make_agent(session_log).messages == agent.messages
    assert session_log.verify("s").ok


@pytest.mark.parametrize("between", [clear, nothing])
def test_a_prompt_that_grows_and_is_used_again_is_another_message(
    session_log: SessionLog, between: Callable[[Any], None]
) -> None:
    agent = make_agent(session_log, ["Done.", "Done, too."])
    said = prompt("Transfer 10 to Ann.")
    agent([said])
    between(agent)
    said["content"].append({"text": " And 99999 to Bob."})
    agent([said])
    assert texts(session_log)[0] == "Transfer 10 to Ann."
    assert texts(session_log)[2:] == ["Transfer 10 to Ann. And 99999 to Bob.", "Done, too."]
    assert make_agent(session_log).messages == agent.messages


@pytest.mark.parametrize("again", [lambda said: said, copy.deepcopy], ids=["the same", "deep copy"])
def test_a_prompt_sent_again_after_a_failed_model_call_is_a_message_of_its_own(
    session_log: SessionLog, again: Callable[[Any], Any]
) -> None:
    agent = make_agent(session_log, [RuntimeError("down"), "Done."])
    said = prompt("Transfer 10 to Ann.")
    with pytest.raises(RuntimeError, match="down"):
        agent([said])
    agent([again(said)])
    assert texts(session_log) == ["Transfer 10 to Ann.", "Transfer 10 to Ann.", "Done."]
    assert make_agent(session_log).messages == agent.messages


def test_a_prompt_that_grew_after_a_failed_model_call_and_is_sent_again_is_a_message_of_its_own(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, [RuntimeError("down"), "Done."])
    said = prompt("Transfer 10 to Ann.")
    with pytest.raises(RuntimeError, match="down"):
        agent([said])
    said["content"].append({"text": " And 99999 to Bob."})
    agent([copy.deepcopy(said)])
    assert texts(session_log) == ["Transfer 10 to Ann.", "Transfer 10 to Ann. And 99999 to Bob.", "Done."]
    assert make_agent(session_log).messages == agent.messages


def test_a_prompt_sent_again_in_an_emptied_conversation_is_a_message_of_its_own(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("down"), "Done."])
    with pytest.raises(RuntimeError, match="down"):
        agent([prompt("Transfer 10 to Ann.")])
    agent.messages.clear()
    agent([prompt("Transfer 10 to Ann.")])
    assert texts(session_log) == ["Transfer 10 to Ann.", "Transfer 10 to Ann.", "Done."]


def test_a_model_that_keeps_the_conversation_itself_loses_nothing_of_the_transcript(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    agent = Agent(model=StatefulModel(["1.", "2.", "3."]), session_manager=manager, callback_handler=None)
    for number in range(3):
        agent([prompt(f"Question {number}.")])
    assert texts(session_log) == ["Question 0.", "1.", "Question 1.", "2.", "Question 2.", "3."]


@pytest.mark.parametrize("between", [clear, copied, nothing])
@pytest.mark.parametrize("again", [lambda said: said, copy.deepcopy], ids=["the same", "deep copy"])
def test_a_prompt_used_again_in_a_session_that_was_deleted_begins_the_next_one(
    session_log: SessionLog, between: Callable[[Any], None], again: Callable[[Any], Any]
) -> None:
    agent = make_agent(session_log, ["Done.", "Done, too."])
    said = prompt("Transfer 10 to Ann.")
    agent([said])
    agent._session_manager.delete_session("s")
    between(agent)
    said = again(said)
    said["content"].append({"text": " And 99999 to Bob."})
    agent([said])
    assert texts(session_log) == ["Transfer 10 to Ann. And 99999 to Bob.", "Done, too."]
    assert session_log.verify("s").ok


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("between", [clear, copied, nothing])
def test_a_redaction_of_a_prompt_used_again_leaves_what_was_said_first(
    session_log: SessionLog, between: Callable[[Any], None], hold: bool
) -> None:
    agent = make_agent(session_log, ["Done.", GUARDRAIL], manager={"hold_user_messages": hold})
    said = prompt("Transfer 10 to Ann.")
    agent([said])
    between(agent)
    said["content"] = [{"text": "Transfer 99999 to Bob."}]
    agent([said])
    assert texts(session_log) == ["Transfer 10 to Ann.", "Done.", "[redacted]", "I cannot help with that."]
    assert "Bob" not in str([event.data for event in happened(session_log)])
    assert make_agent(session_log).messages == agent.messages


def test_a_prompt_said_twice_is_redacted_in_both_places(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [RuntimeError("down"), GUARDRAIL])
    said = prompt("Transfer 99999 to Bob.")
    with pytest.raises(RuntimeError, match="down"):
        agent([said])
    agent([said])
    assert texts(session_log) == ["[redacted]", "[redacted]", "I cannot help with that."]
    assert "Bob" not in str([event.data for event in happened(session_log)])


def test_a_recorder_redacts_a_prompt_used_again_and_leaves_what_was_said_first(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = Agent(model=ScriptedModel(["Done.", GUARDRAIL]), hooks=[recorder], callback_handler=None)
    said = prompt("Transfer 10 to Ann.")
    agent([said])
    said["content"] = [{"text": "Transfer 99999 to Bob."}]
    agent([said])
    assert recorder.close()
    assert texts(session_log) == ["Transfer 10 to Ann.", "Done.", "[redacted]", "I cannot help with that."]
    assert "Bob" not in str([event.data for event in happened(session_log)])


def imported(log: SessionLog, count: int) -> None:
    """A session of old: its messages have no tracking id."""
    agent = make_agent(log, conversation_manager=NullConversationManager())
    record = agent._session_manager.read_agent("s", "default")
    log.delete("s")
    manager = ValkeySessionManager("s", log=log)
    manager.create_agent("s", record)
    for index in range(count):
        role = ("user", "assistant")[index % 2]
        data = {"message": {"role": role, "content": [{"text": f"Old message {index}."}]}, "message_id": index}
        log.append("s", events.MessageAdded(data, "default"))


def test_what_an_imported_session_holds_is_not_written_anew_by_its_first_turn(session_log: SessionLog) -> None:
    imported(session_log, 20)
    agent = make_agent(session_log, ["New answer."], conversation_manager=NullConversationManager())
    before = session_log.state("s").revision
    agent("New question.")
    assert not happened(session_log, types="window.changed")
    written = happened(session_log)[before:]
    assert "Old message" not in str([event.data for event in written])
    resumed = make_agent(session_log, conversation_manager=NullConversationManager())
    assert [one["content"] for one in resumed.messages] == [one["content"] for one in agent.messages]


def test_a_trimmed_window_of_an_imported_session_names_its_messages(session_log: SessionLog) -> None:
    imported(session_log, 20)
    agent = make_agent(session_log, ["New answer."], conversation_manager=NullConversationManager())
    agent.messages = agent.messages[-4:]
    agent("New question.")
    (told,) = happened(session_log, types="window.changed")
    assert told.data["items"] == [[16, 20]]


@pytest.mark.parametrize("hold", [False, True])
def test_what_strands_merges_into_the_message_written_last_takes_its_place(session_log: SessionLog, hold: bool) -> None:
    agent = make_agent(session_log, ["Done.", "Done, too."], manager={"hold_user_messages": hold})
    agent("First.")
    continued(agent, " And more.")
    agent("Second.")
    assert texts(session_log) == ["First.", "Done.", "Second. And more.", "Done, too."]
    assert make_agent(session_log).messages == agent.messages
    assert not happened(session_log, types="window.changed")
    assert session_log.verify("s").ok


@pytest.mark.parametrize("hold", [False, True])
def test_a_merge_into_a_message_of_before_a_restart_takes_its_place(session_log: SessionLog, hold: bool) -> None:
    with pytest.raises(RuntimeError, match="down"):
        make_agent(session_log, [RuntimeError("down")])("First.")
    agent = make_agent(session_log, ["Done."], manager={"hold_user_messages": hold})
    continued(agent, " And more.")
    agent()
    assert texts(session_log) == ["First. And more.", "Done."]
    assert make_agent(session_log).messages == agent.messages


@pytest.mark.parametrize("hold", [False, True])
def test_a_merge_into_what_a_tool_answered_takes_its_place(session_log: SessionLog, hold: bool) -> None:
    agent = make_agent(
        session_log, [[call("add", a=1, b=2)], "It is 3."], manager={"hold_user_messages": hold}, tools=[add]
    )

    def after_the_tool(event: Any) -> None:
        continued(agent, " And more.")

    agent.hooks.add_callback(hook_event("AfterToolCallEvent"), after_the_tool)
    agent("Add.")
    messages = session_log.state("s").agents["default"].messages
    assert len(messages) == 4
    assert messages[2].shown["content"][1:] == [{"text": " And more."}]
    assert make_agent(session_log).messages == agent.messages


@pytest.mark.parametrize("hold", [False, True])
def test_a_merge_that_a_guardrail_redacts_is_gone_from_the_log(session_log: SessionLog, hold: bool) -> None:
    agent = make_agent(session_log, ["Done.", GUARDRAIL], manager={"hold_user_messages": hold})
    agent("First.")
    continued(agent, " And 99999 to Bob.")
    agent("Transfer 10 to Ann.")
    assert texts(session_log) == ["First.", "Done.", "[redacted]", "I cannot help with that."]
    assert "Bob" not in str([event.data for event in happened(session_log)])
    assert "Ann" not in str([event.data for event in happened(session_log)])
    assert make_agent(session_log).messages == agent.messages


def test_what_is_held_back_of_a_merge_is_not_stored_before_the_model_call_has_settled(session_log: SessionLog) -> None:
    stored: list[str] = []

    def look(messages: Any) -> Any:
        stored.append(str([event.data for event in happened(session_log)]))
        return [call("add", a=1, b=2)] if len(messages) == 1 else "Done."

    agent = make_agent(session_log, look, manager={"hold_user_messages": True}, tools=[add])
    agent.hooks.add_callback(hook_event("AfterToolCallEvent"), lambda _: continued(agent, "Secret."))
    agent("Add.")
    assert ["Secret." in one for one in stored] == [False, False]
    assert "Secret." in str([event.data for event in happened(session_log)])
