"""What people were asked and answered, and what errors said, is in the log as content: to be read, and to be erased."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from strands import Agent, tool
from strands.types.exceptions import SessionException
from test_redaction import SECRET, stored_bytes
from test_waiting_for_people import charge

from strands_session_log import SessionLog, SessionRecorder, Subscriber, ValkeySessionManager, from_json
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.command_line import Run
from support.strands_agents import call, fail, happened, make_agent

FAILED = ["tool.failed", "model.failed", "invocation.failed"]
REASON, RESPONSE = "May I pay 4711-0815 for Alice?", "Yes, says Bob, she asked for it."

waits_for_people = pytest.mark.skipif(
    not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"), reason="this version of Strands has no interrupts"
)


def asker(log: SessionLog, *script: Any, reason: Any = REASON, hooks: Any = (), **manager: Any) -> Agent:
    def ask(event: Any) -> None:
        if not event.interrupt("approval", reason=reason):
            event.cancel_tool = "denied"

    keeper = [] if hooks else [ValkeySessionManager("s", log=log, **manager)]
    agent = Agent(
        model=ScriptedModel(script),
        session_manager=keeper[0] if keeper else None,
        tools=[charge],
        hooks=list(hooks),
        callback_handler=None,
    )
    agent.hooks.add_callback(hook_event("BeforeToolCallEvent"), ask)
    return agent


def answered(result: Any, response: Any = RESPONSE) -> Any:
    return [{"interruptResponse": {"interruptId": one.id, "response": response}} for one in result.interrupts]


def talked(log: SessionLog) -> None:
    """A session in which a person was asked, has answered, and a model failed."""
    agent = asker(log, [call("charge", amount=10)], "Charged.", RuntimeError(f"the model was asked about {SECRET}"))
    agent(answered(agent("Pay.")))
    with pytest.raises(Exception, match=SECRET):
        agent(f"What is {SECRET}?")


def feed(log: SessionLog) -> str:
    keys = log._events.keyspace
    return str(log.client.execute_command("XRANGE", keys.feed(keys.partition("s")), "-", "+"))


@waits_for_people
def test_what_a_person_was_asked_and_has_answered_is_in_the_log(session_log: SessionLog) -> None:
    talked(session_log)
    raised, given = happened(session_log, types="interrupt.*")
    assert (raised.type, raised.data["name"], raised.data["reason"]) == ("interrupt.raised", "approval", REASON)
    assert (given.type, given.data["id"], given.data["response"]) == (
        "interrupt.answered",
        raised.data["id"],
        RESPONSE,
    )
    assert raised.data["tool_use_ids"] == given.data["tool_use_ids"] == ["tool-1"]


@waits_for_people
def test_who_follows_is_told_that_it_happened_and_none_of_what_was_said(session_log: SessionLog) -> None:
    talked(session_log)
    told = [one.facts() for one in happened(session_log, types=["interrupt.*", "model.failed", "invocation.failed"])]
    assert [sorted(facts) for facts in told[:2]] == [["id", "name"]] * 2
    assert [facts["error"] for facts in told[2:]] == ["RuntimeError", "RuntimeError"]
    assert told[2]["model_id"] == "scripted"
    with Subscriber(session_log, "audit", types=["interrupt.*", "model.failed"], bodies=True) as deliveries:
        for delivery in islice(deliveries, 3):
            delivery.park(ValueError(f"cannot handle {delivery.event}"))
    keys = session_log._events.keyspace
    parked = session_log.client.execute_command("XRANGE", keys.group(keys.partition("s"), "audit").parked, "-", "+")
    assert len(parked) == 3
    for text in (REASON, RESPONSE, SECRET):
        assert text not in feed(session_log)
        assert text not in str(parked)


@waits_for_people
@pytest.mark.parametrize("is_recorder", [False, True])
@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ({"amount": Decimal("1.50"), "to": ["Alice"]}, {"amount": Decimal("1.50"), "to": ["Alice"]}),
        ({"amount": 1, "by": ...}, {"amount": 1, "by": "Ellipsis"}),
        ([{1, 2}, object], [{1, 2}, "<class 'object'>"]),
        (..., "Ellipsis"),
    ],
)
def test_of_any_reason_there_is_what_can_be_stored(
    session_log: SessionLog, reason: Any, kept: Any, is_recorder: bool
) -> None:
    recorder = SessionRecorder(session_log, "s")
    agent = asker(session_log, [call("charge", amount=1)], reason=reason, hooks=[recorder] if is_recorder else ())
    try:
        assert agent("Pay.").stop_reason == "interrupt"
    except SessionException as error:
        # The record from which the agent is to go on, and nothing else, has to be whole.
        if is_recorder or reason == kept or "not supported" not in str(error):
            raise
    assert recorder.close()
    (raised,) = happened(session_log, types="interrupt.raised")
    assert from_json(raised.data["reason"]) == kept


@waits_for_people
@pytest.mark.parametrize("is_prompt", [False, True])
def test_what_a_reason_or_a_response_holds_of_a_message_goes_with_it(session_log: SessionLog, is_prompt: bool) -> None:
    agent = asker(session_log, [call("charge", amount=10)], "Charged.", reason={"asked": f"may I: {SECRET}"})
    agent(answered(agent(SECRET), {"because": f"she said {SECRET}"}))
    assert len([one for one in happened(session_log, types="interrupt.*") if SECRET in str(one.data)]) == 2
    prompt, asked, *_ = session_log.state("s").agents["default"].messages
    session_log.erase("s", prompt.id if is_prompt else asked.id, reason="why")
    assert [one.is_erased for one in happened(session_log, types="interrupt.*")] == [True, True]
    assert (SECRET.encode() in stored_bytes(session_log)) is not is_prompt
    assert session_log.verify("s").ok


@waits_for_people
def test_a_reason_and_a_response_can_be_erased_like_any_content(session_log: SessionLog) -> None:
    agent = asker(session_log, [call("charge", amount=10)], "Charged.")
    agent(answered(agent("Pay.")))
    holding = [
        one.id for one in session_log.read("s") if any(text in str(one.event.data) for text in (REASON, RESPONSE))
    ]
    session_log.erase("s", holding, reason="why")
    stored = stored_bytes(session_log)
    assert REASON.encode() not in stored
    assert RESPONSE.encode() not in stored
    assert session_log.verify("s").ok


def test_failures_say_what_went_wrong_and_completions_which_model_answered(session_log: SessionLog) -> None:
    script = [[call("fail", reason="no such file")], "Sorry.", ValueError("x" * 5000)]
    agent = make_agent(session_log, script, tools=[fail])
    agent("Try.")
    with pytest.raises(Exception, match="xxx"):
        agent("Again.")
    completed = happened(session_log, types="model.completed")
    tool_failed, model_failed, failed = happened(session_log, types=FAILED)
    assert {one.data["model_id"] for one in (*completed, model_failed)} == {"scripted"}
    assert "no such file" in tool_failed.data["error_text"]
    assert model_failed.data["error_text"] == "x" * 1000
    assert failed.data["error_text"] == "x" * 1000


def test_a_model_without_a_name_and_an_error_without_a_text_fail_nothing(session_log: SessionLog) -> None:
    class Nameless(ScriptedModel):
        def get_config(self) -> Any:
            raise AttributeError("config")

    agent = make_agent(session_log)
    agent.model = Nameless([RuntimeError()])
    with pytest.raises(RuntimeError):
        agent("Hello")
    (failed,) = happened(session_log, types="model.failed")
    assert failed.data.keys().isdisjoint({"error_text", "model_id"})


def test_a_name_that_is_too_long_for_a_name_is_not_told(session_log: SessionLog) -> None:
    class Verbose(ScriptedModel):
        def get_config(self) -> Any:
            return {"model_id": f"arn:{SECRET}:" + "x" * 300}

    agent = make_agent(session_log)
    agent.model = Verbose(["Hi."])
    agent("Hello")
    assert SECRET in happened(session_log, types="invocation.completed")[0].data["model_id"]
    assert SECRET not in feed(session_log)


@pytest.mark.parametrize("quoted", [SECRET, f"…{SECRET[:18]}… (shortened)", repr({"prompt": f"\n{SECRET}"})])
def test_an_error_that_quotes_a_message_goes_with_it(session_log: SessionLog, quoted: str) -> None:
    agent = make_agent(session_log, ["Hi.", RuntimeError(f"400: {quoted}"), RuntimeError("something else")])
    agent("Hello.")
    for prompt in (f"It is {SECRET}.", "And?"):
        with pytest.raises(Exception, match=r"400|something"):
            agent(prompt)
    assert [one.type for one in happened(session_log, types=FAILED)] == FAILED[1:] * 2
    message = session_log.state("s").agents["default"].messages[2]
    session_log.erase("s", message.id, reason="why")
    assert [one.is_erased for one in happened(session_log, types=FAILED)] == [True, True, False, False]
    assert SECRET[:18].encode() not in stored_bytes(session_log)
    assert session_log.verify("s").ok


@pytest.mark.parametrize("is_recorder", [False, True])
def test_what_fails_once_a_guardrail_has_redacted_says_only_which_error_it_was(
    session_log: SessionLog, is_recorder: bool
) -> None:
    @tool
    def quote() -> str:
        """Fail with what was said."""
        raise ValueError(f"the guardrail stopped {SECRET}")

    redacting = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, call("quote")]
    recorder = SessionRecorder(session_log, "s")
    keeper = {} if is_recorder else {"session_manager": ValkeySessionManager("s", log=session_log)}
    agent = Agent(
        model=ScriptedModel([redacting, RuntimeError(f"no answer to {SECRET}"), RuntimeError("later")]),
        hooks=[recorder] if is_recorder else [],
        tools=[quote],
        callback_handler=None,
        **keeper,  # type: ignore[arg-type]
    )
    for prompt in (SECRET, "And now?"):
        with pytest.raises(Exception, match=r"no answer|later"):
            agent(prompt)
    assert recorder.close()
    failed = happened(session_log, types=FAILED)
    assert [one.data.get("error_text") for one in failed] == [None, None, None, "later", "later"]
    assert [one.data["error"] for one in failed[:2]] == ["ValueError", "RuntimeError"]


@pytest.mark.parametrize("kept_by", ["manager", "holding manager", "recorder", "node", "holding node"])
def test_what_failed_before_a_guardrail_redacts_goes_with_what_it_quotes(session_log: SessionLog, kept_by: str) -> None:
    if not hasattr(hook_event("AfterModelCallEvent"), "retry"):
        pytest.skip("this version of Strands tries no model call again")
    manager = ValkeySessionManager("s", log=session_log, hold_user_messages="holding" in kept_by)
    recorder = SessionRecorder(session_log, "s")
    redacting: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "No."}]
    agent = Agent(
        model=ScriptedModel([RuntimeError(f"cannot answer {SECRET!r}"), redacting, "Fine."]),
        session_manager=manager if kept_by.endswith("manager") else None,
        hooks=[recorder] if kept_by == "recorder" else [],
        callback_handler=None,
    )
    agent.hooks.add_callback(hook_event("AfterModelCallEvent"), try_again)
    if kept_by.endswith("node"):
        builder = pytest.importorskip("strands.multiagent").GraphBuilder()
        builder.add_node(agent, "one")
        builder.set_entry_point("one")
        builder.set_graph_id("g")
        builder.set_execution_timeout(60)
        builder.set_session_manager(manager)
        agent = builder.build()
    agent(SECRET)
    assert recorder.close()
    (failed,) = happened(session_log, types="model.failed")
    assert failed.is_erased is not ("holding" in kept_by)
    assert "error_text" not in failed.data
    assert SECRET.encode() not in stored_bytes(session_log)
    assert session_log.verify("s").ok


def try_again(event: Any) -> None:
    event.retry = event.exception is not None


def test_a_node_that_fails_says_which_error_it_was_and_what_it_said(session_log: SessionLog) -> None:
    multiagent = pytest.importorskip("strands.multiagent")
    node = Agent(name="one", model=ScriptedModel([RuntimeError(f"no {SECRET}")]), callback_handler=None)
    builder = multiagent.GraphBuilder()
    builder.add_node(node, "one")
    builder.set_entry_point("one")
    builder.set_graph_id("g")
    builder.set_execution_timeout(60)
    builder.set_session_manager(ValkeySessionManager("s", log=session_log))
    with pytest.raises(Exception, match=SECRET):
        builder.build()("Go.")
    (completed,) = happened(session_log, types="node.completed")
    if completed.data["status"] != "failed":
        pytest.skip("this version of Strands tells the end of a node before it has failed")
    assert SECRET in completed.data["error_text"]
    assert completed.facts()["error"] == completed.data["error"]
    assert SECRET not in feed(session_log)


@waits_for_people
def test_what_a_hook_of_a_graph_asks_and_is_answered_is_the_graphs(session_log: SessionLog) -> None:
    before_node = hook_event("BeforeNodeCallEvent")
    if not hasattr(before_node, "interrupt"):
        pytest.skip("in this version of Strands no hook of a graph asks anybody")
    builder = pytest.importorskip("strands.multiagent").GraphBuilder()
    builder.add_node(Agent(name="one", model=ScriptedModel(["Hello."]), callback_handler=None), "one")
    builder.set_entry_point("one")
    builder.set_graph_id("g")
    builder.set_execution_timeout(60)
    builder.set_session_manager(ValkeySessionManager("s", log=session_log))
    graph = builder.build()
    graph.hooks.add_callback(before_node, lambda event: event.interrupt("node", reason=REASON) and None)
    assert graph(answered(graph("Go."))).status.value == "completed"
    asked = happened(session_log, types="interrupt.*")
    told = [(one.agent, one.data.get("reason", one.data.get("response"))) for one in asked]
    assert told == [("g", REASON), ("g", RESPONSE)]


@waits_for_people
def test_the_command_line_shows_what_was_asked_answered_and_wrong(log: SessionLog, run: Run) -> None:
    talked(log)
    for command in ("events", "replay", "show"):
        shown = " ".join(run(command, "s").stdout.split())
        for text in (REASON, RESPONSE, f"RuntimeError: the model was asked about {SECRET}"):
            assert text in shown
    assert [one["data"] for one in json.loads(run("show", "s", "--json").stdout)["interrupts"]] == [
        one.data for one in happened(log, types="interrupt.*")
    ]


@waits_for_people
def test_show_has_what_was_asked_and_answered_where_it_was(log: SessionLog, run: Run) -> None:
    talked(log)
    manager = ValkeySessionManager("s", log=log)
    for index in (0, 2):
        message = manager.read_message("s", "default", index)
        assert message is not None
        message.redact_message = {"role": "user", "content": [{"text": f"[redacted {index}]"}]}
        manager.update_message("s", "default", message)

    def speakers(*options: str) -> list[str]:
        lines = map(str.split, run("show", "s", *options).stdout.splitlines())
        return [line[1] for line in lines if line and line[0].isdigit() and line[1] in WHO]

    assert speakers() == ["user", "assistant", "asked", "answered", "user", "assistant", "user"]
    assert speakers("--last", "2") == ["assistant", "user"]
    assert speakers("--at", "9") == ["user", "assistant", "asked"]
    log.erase("s", [one.id for one in log.read("s", types="interrupt.*")], reason="why")
    assert run("show", "s").stdout.count("(erased)") == 2


WHO = ("user", "assistant", "tool", "asked", "answered")
