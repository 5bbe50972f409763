"""The model that says what it is told to, as users of the library write it down."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from strands import Agent
from strands.event_loop import streaming

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.testing import ScriptedModel
from support.strands_agents import add, call

THOUGHT = {"reasoningContent": {"reasoningText": {"text": "She wants to be greeted, I suppose.", "signature": "s1"}}}
HIDDEN = {"reasoningContent": {"redactedContent": b"\x00hidden"}}


def agent_of(model: ScriptedModel, **options: Any) -> Any:
    return Agent(model=model, callback_handler=None, **options)


def answers(agent: Any, turns: int) -> list[str]:
    return [agent("Go on.").message["content"][-1]["text"] for _ in range(turns)]


@pytest.mark.parametrize(
    "model",
    [
        ScriptedModel("one", "two"),
        ScriptedModel(["one", "two"]),
        ScriptedModel(("one", "two")),
        ScriptedModel(text for text in ("one", "two")),
        ScriptedModel("one", [{"text": "two"}]),
        ScriptedModel(["one", [{"text": "two"}]]),
    ],
    ids=["arguments", "list", "tuple", "generator", "blocks as an argument", "blocks in a list"],
)
def test_replies_are_arguments_or_come_in_something_to_iterate(model: ScriptedModel) -> None:
    assert answers(agent_of(model), 3) == ["one", "two", "I have nothing more to say."]


@pytest.mark.parametrize("reply", ["one", [{"text": "one"}]], ids=["text", "blocks"])
def test_what_is_a_reply_itself_is_one_reply(reply: Any) -> None:
    assert answers(agent_of(ScriptedModel(reply)), 2) == ["one", "I have nothing more to say."]


def test_a_function_answers_and_an_error_is_raised() -> None:
    assert answers(agent_of(ScriptedModel(lambda messages: f"{len(messages)}")), 2) == ["1", "3"]
    with pytest.raises(RuntimeError, match="no key"):
        agent_of(ScriptedModel(RuntimeError("no key")))("Hello")


@pytest.mark.parametrize("reply", [7, [{"txt": "misspelt"}], [{"reasoningContent": {}}], ["text", {"text": "mixed"}]])
def test_what_is_no_reply_says_what_would_be_one(reply: Any) -> None:
    with pytest.raises(TypeError, match="says text, or content blocks of text, toolUse, reasoningContent or redact"):
        agent_of(ScriptedModel(reply, "…"))("Hello")


@pytest.mark.parametrize("script", [7, None, {"text": "a block, and no list of blocks"}])
def test_nor_does_it_say_what_it_cannot_say_alone(script: Any) -> None:
    with pytest.raises(TypeError, match="says text, or content blocks of text, toolUse, reasoningContent or redact"):
        ScriptedModel(script)


def test_reasoning_comes_before_text_and_tools_as_a_model_streams_it(session_log: SessionLog) -> None:
    agent = agent_of(
        ScriptedModel([THOUGHT, call("add", a=1, b=2)], [THOUGHT, {"text": "Three."}], chunk=5),
        tools=[add],
        session_manager=ValkeySessionManager("s", log=session_log),
    )
    heard: list[str] = []
    agent.callback_handler = lambda **event: heard.append(event.get("reasoningText", ""))
    agent("What is 1 + 2?")
    spoken = [message["content"] for message in agent.messages if message["role"] == "assistant"]
    assert [list(block) for block in spoken[0]] == [["reasoningContent"], ["toolUse"]]
    assert spoken[0][0] == THOUGHT
    assert spoken[1] == [THOUGHT, {"text": "Three."}]
    assert "".join(heard) == THOUGHT["reasoningContent"]["reasoningText"]["text"] * 2
    resumed = agent_of(ScriptedModel(), session_manager=ValkeySessionManager("s", log=session_log))
    assert resumed.messages == agent.messages


@pytest.mark.skipif(
    "redactedContent" not in inspect.getsource(streaming), reason="this version of Strands drops redacted reasoning"
)
def test_reasoning_that_a_provider_hides_stays_what_it_is() -> None:
    assert agent_of(ScriptedModel([HIDDEN, {"text": "Hi."}]))("Hello").message["content"] == [HIDDEN, {"text": "Hi."}]
