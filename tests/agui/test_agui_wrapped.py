"""Agents wrapped by `ag-ui-strands`: tools of the front end, media, shared state and approvals, in runs that last."""

from __future__ import annotations

import base64
from collections.abc import Callable
from threading import Event
from typing import Any

import httpx
import pytest
from ag_ui_strands import PredictStateMapping, StrandsAgentConfig, ToolBehavior
from ag_ui_strands.client_proxy_tool import PROXY_RESULT_PLACEHOLDER
from strands import Agent, tool

from strands_session_log import SessionLog
from strands_session_log.testing import ScriptedModel
from support.following import SOON
from support.served_agui import AguiRun, FrontEnd, asked, get, post, served_agui

PAINT = {"name": "paint", "description": "Paint the page.", "parameters": {"type": "object", "properties": {}}}
CALL = [{"toolUse": {"name": "paint", "input": {"colour": "red"}, "toolUseId": "call-1"}}]
ANSWER = {"id": "answer-1", "role": "tool", "toolCallId": "call-1", "content": "painted red"}
PIXEL = base64.b64encode(b"\x89PNG a picture").decode()


@tool
def refund(amount: int) -> str:
    """Give money back."""
    return f"gave {amount}"


def wrapping(model: Callable[[AguiRun], ScriptedModel], **config: Any) -> Callable[[AguiRun], Any]:
    def make(run: AguiRun) -> Any:
        agent = Agent(model=model(run), tools=[refund], callback_handler=None)
        return run.strands_agent(agent, config=StrandsAgentConfig(**config))

    return make


def painter(run: AguiRun) -> ScriptedModel:
    """Has the page painted, and then says what it was told of that."""

    def respond(messages: Any) -> Any:
        results = [block["toolResult"] for block in messages[-1]["content"] if "toolResult" in block]
        return f"I heard: {results[0]['content'][0]['text']}" if results else CALL

    return ScriptedModel(respond)


def with_answer(seen: FrontEnd, run: str = "run-2") -> dict[str, Any]:
    return {**asked("", run), "messages": [*seen.messages.values(), ANSWER], "tools": [PAINT]}


@pytest.mark.parametrize("behaviors", [{}, {"paint": ToolBehavior(continue_after_frontend_call=False)}])
def test_a_tool_of_the_front_end_is_called_and_its_result_is_given_to_another_replica(
    session_log: SessionLog, behaviors: Any
) -> None:
    make = wrapping(painter, tool_behaviors=behaviors)
    with served_agui(session_log, make) as one, served_agui(session_log, make) as other:
        called = post(one, {**asked("Paint it red."), "tools": [PAINT]})
        assert called.said == [("user", "Paint it red."), ("assistant", [("paint", {"colour": "red"})])]
        assert called.last["outcome"] == {"type": "success"}
        assert PROXY_RESULT_PLACEHOLDER not in str([called.messages, get(other).messages])
        answered = post(other, with_answer(called))
        assert answered.said == [*called.said, ("tool", "painted red"), ("assistant", "I heard: painted red")]
        assert answered.messages["answer-1"]["toolCallId"] == "call-1"
        assert get(one).messages == answered.messages


def test_a_picture_reaches_the_model_and_whoever_follows_later(session_log: SessionLog) -> None:
    models = list[ScriptedModel]()

    def looker(_: AguiRun) -> ScriptedModel:
        models.append(ScriptedModel("A picture."))
        return models[-1]

    picture = {"type": "image", "source": {"type": "data", "value": PIXEL, "mimeType": "image/png"}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    message = {"id": "user-1", "role": "user", "content": content}
    with served_agui(session_log, wrapping(looker)) as url:
        seen = post(url, {**asked(""), "messages": [message]})
        assert seen.messages["user-1"]["content"] == content
        assert get(url).messages == seen.messages
    (given,) = models[0].calls[0]
    assert [block.keys() for block in given["content"]] == [{"text"}, {"image"}]


def test_state_is_shared_with_whoever_follows_now_and_later(session_log: SessionLog) -> None:
    def giver(_: AguiRun) -> ScriptedModel:
        return ScriptedModel([{"toolUse": {"name": "refund", "input": {"amount": 10}}}], "Done.")

    behavior = ToolBehavior(
        state_from_result=lambda context: {"given": context.result_data},
        predict_state=[PredictStateMapping("amount", "refund", "amount")],
    )
    with served_agui(session_log, wrapping(giver, tool_behaviors={"refund": behavior})) as url:
        seen = post(url, asked("My money!", state={"customer": 7}))
        assert seen.state == {"customer": 7, "given": "gave 10"}
        assert get(url).state == seen.state
    (predicted,) = [event for event in seen.events if event["type"] == "CUSTOM"]
    assert predicted["name"] == "PredictState"
    assert seen.types.index("CUSTOM") < seen.types.index("RUN_FINISHED")


def test_what_an_agent_told_is_told_to_those_who_join_its_run(session_log: SessionLog) -> None:
    may_end = Event()

    def waiting(_: AguiRun) -> ScriptedModel:
        async def respond(messages: Any) -> Any:
            if len(messages) > 1:
                assert may_end.wait(SOON)
                return "Done."
            return [{"toolUse": {"name": "refund", "input": {"amount": 10}}}]

        return ScriptedModel(respond)

    behavior = ToolBehavior(predict_state=[PredictStateMapping("amount", "refund", "amount")])
    with served_agui(session_log, wrapping(waiting, tool_behaviors={"refund": behavior})) as url:
        seen = FrontEnd()
        with httpx.stream("POST", url, json=asked("My money!"), timeout=SOON) as response:
            seen.follow(response, until="TOOL_CALL_RESULT")
        with httpx.stream("GET", f"{url}/threads/s", timeout=SOON) as response:
            joined = FrontEnd().follow(response, until="CUSTOM")
            may_end.set()
    assert joined.last["name"] == "PredictState"


def test_an_approval_ends_a_run_and_its_answer_is_given_to_another_replica(session_log: SessionLog) -> None:
    def giver(run: AguiRun) -> ScriptedModel:
        call = [{"toolUse": {"name": "refund", "input": {"amount": 10}, "toolUseId": "call-1"}}]
        return ScriptedModel("Done.") if run.input.resume else ScriptedModel(call, "Done.")

    make = wrapping(giver, tool_behaviors={"refund": ToolBehavior(interrupt_on_call=True)})
    with served_agui(session_log, make) as one, served_agui(session_log, make) as other:
        (waiting,) = post(one, asked("My money!")).last["outcome"]["interrupts"]
        assert (waiting["toolCallId"], waiting["metadata"]["tool_name"]) == ("call-1", "refund")
        assert waiting["responseSchema"]["properties"].keys() == {"approved"}
        refused = post(other, asked("Well?", "run-2"))
        assert (refused.last["type"], refused.last["code"]) == ("RUN_ERROR", "PENDING_INTERRUPTS")
        answer = [{"interruptId": waiting["id"], "status": "resolved", "payload": {"approved": True}}]
        seen = post(other, asked("", "run-3", resume=answer))
    assert seen.said[-2:] == [("tool", "gave 10"), ("assistant", "Done.")]
    assert seen.last["outcome"] == {"type": "success"}


def test_a_run_of_a_wrapped_agent_can_be_stopped(session_log: SessionLog) -> None:
    talker = wrapping(lambda _: ScriptedModel("word " * 2000, chunk=5, pause=0.01))
    with served_agui(session_log, talker) as url:
        seen = FrontEnd()
        with httpx.stream("POST", url, json=asked("Go on."), timeout=SOON) as response:
            seen.follow(response, until="TEXT_MESSAGE_CONTENT")
            assert httpx.post(f"{url}/threads/s/stop").status_code == 202
            seen.follow(response)
    assert seen.last["outcome"] == {"type": "cancelled"}


def test_what_a_wrapped_agent_raises_is_not_told(session_log: SessionLog) -> None:
    failing = wrapping(lambda _: ScriptedModel(ValueError("the password is hunter2")))
    with served_agui(session_log, failing) as url:
        last = post(url, asked("Hello?")).last
    assert last["type"] == "RUN_ERROR"
    assert "hunter2" not in str(last)


def test_what_only_a_wrapped_agent_takes_is_refused_by_a_plain_one(session_log: SessionLog) -> None:
    def make(run: AguiRun) -> Agent:
        return Agent(model=ScriptedModel("Hm."), session_manager=run.session_manager, callback_handler=None)

    with served_agui(session_log, make) as url:
        last = post(url, {**asked(""), "messages": [ANSWER]}).last
    assert (last["type"], last["code"]) == ("RUN_ERROR", "UNSUPPORTED")
    assert "run.strands_agent(agent)" in last["message"]
