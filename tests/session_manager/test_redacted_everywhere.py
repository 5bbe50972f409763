"""What a message said is erased wherever it is held: not only where it was said."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from strands import Agent, tool
from test_redaction import SECRET, stored_bytes

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager, events
from strands_session_log.errors import RevisionNotFoundError
from strands_session_log.ids import EventId
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call, happened
from support.waiting import wait_until_collected

if not hasattr(hook_event("BeforeToolCallEvent"), "interrupt"):
    pytest.skip("this version of Strands has no interrupts", allow_module_level=True)

ASKED, ANSWERED = "may-I-show-4711-0815", "yes-to-0815-4711"
REFUSES: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


@tool
def look() -> str:
    """Look something up."""
    return f"It is {SECRET}."


@tool(context=True)
def charge(tool_context: Any) -> str:
    """Charge somebody."""
    return f"The person said {tool_context.interrupt('approval', reason=ASKED)}."


def talker(
    log: SessionLog | None, *script: Any, name: str = "default", tools: Any = (look, charge), **more: Any
) -> Agent:
    manager = None if log is None else ValkeySessionManager("s", log=log)
    model = ScriptedModel(script[0] if script and callable(script[0]) else script)
    return Agent(
        name=name, agent_id=name, model=model, session_manager=manager, tools=list(tools), callback_handler=None, **more
    )


def answer(result: Any) -> Any:
    return [{"interruptResponse": {"interruptId": one.id, "response": ANSWERED}} for one in result.interrupts]


def is_stored(log: SessionLog, *words: str) -> list[str]:
    """Those of the words that the server holds."""
    stored = stored_bytes(log)
    return [word for word in words if word.encode() in stored]


def test_a_redacted_result_of_a_tool_is_gone_from_what_the_agent_had_in_store(session_log: SessionLog) -> None:
    stopped = talker(session_log, [call("look"), call("charge")])("Go.")
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    agent = talker(session_log, REFUSES, "Fine.")
    agent(answer(stopped))
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    agent("And now?")
    resumed = talker(session_log, "Next.")
    assert resumed.messages == agent.messages
    assert resumed.state.get() == agent.state.get()
    resumed("Once more?")
    assert session_log.verify("s").ok


def test_what_was_asked_by_a_hook_of_all_tools_goes_with_their_results(session_log: SessionLog) -> None:
    before_tools = hook_event("BeforeToolsEvent")
    if before_tools is None:
        pytest.skip("this version of Strands has no such hook")

    def ask(event: Any) -> None:
        event.interrupt("all", reason=ASKED)

    stopper = talker(session_log, [call("look")])
    stopper.hooks.add_callback(before_tools, ask)
    stopped = stopper("Go.")
    assert stopped.stop_reason == "interrupt"
    agent = talker(session_log, REFUSES)
    agent.hooks.add_callback(before_tools, ask)
    agent(answer(stopped))
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []


def test_a_recorder_erases_it_in_its_own_session(session_log: SessionLog) -> None:
    recorder = SessionRecorder(session_log, "mirror")
    agent = talker(None, [call("look"), call("charge")], REFUSES, "Fine.", hooks=[recorder])
    stopped = agent("Go.")
    assert recorder.flush()
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    agent(answer(stopped))
    agent("And now?")
    assert recorder.flush()
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert session_log.state("mirror").agents["default"].window == agent.messages
    assert session_log.verify("mirror").ok


def helper(*script: Any, hooks: Any = ()) -> Agent:
    return talker(None, *script, name="helper", hooks=list(hooks))


def leader(log: SessionLog, sub: Agent, *script: Any) -> Agent:
    return talker(log, *script, name="leader", tools=[sub.as_tool()])


has_agents_as_tools = pytest.mark.skipif(
    not hasattr(Agent, "as_tool"), reason="in this version of Strands no agent is a tool"
)


@has_agents_as_tools
def test_what_an_agent_that_is_a_tool_had_in_store_goes_with_its_reply(session_log: SessionLog) -> None:
    asked = leader(session_log, helper([call("look"), call("charge")]), [call("helper", input="Go.")])
    stopped = asked("Ask the helper.")
    assert stopped.stop_reason == "interrupt"
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    replies = helper(f"It is {SECRET}.")
    agent = leader(session_log, replies, REFUSES, "Fine.")
    agent(answer(stopped))
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert leader(session_log, helper()).messages == agent.messages


@has_agents_as_tools
def test_what_is_redacted_in_an_agent_that_is_a_tool_is_gone_from_the_state_of_its_caller(
    session_log: SessionLog,
) -> None:
    recorder = SessionRecorder(session_log, "s")
    first = helper([call("look"), call("charge")], hooks=[recorder])
    stopped = leader(session_log, first, [call("helper", input="Go.")])("Ask the helper.")
    assert recorder.flush()
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    again = SessionRecorder(session_log, "s")
    agent = leader(session_log, helper(REFUSES, hooks=[again]), "Fine.")
    agent(answer(stopped))
    assert again.flush()
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert leader(session_log, helper()).messages == agent.messages


@has_agents_as_tools
def test_agents_that_are_tools_may_redact_side_by_side(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["left", "right"]

    def leading(helpers: Any, *script: Any) -> Any:
        tools = [talker(None, *helpers, name=name).as_tool() for name in names]
        return talker(session_log, *script, name="leader", tools=tools)

    both = [call(name, input="Go.") for name in names]
    stopped = leading([[call("look"), call("charge")]], both)("Ask them.")
    assert len(stopped.interrupts) == 2
    at_once, erase = threading.Barrier(2), session_log._events.erase

    def meet(*arguments: Any, **more: Any) -> Any:
        # Two that erase at the same time meet here; one that erases alone goes on.
        with suppress(threading.BrokenBarrierError):
            at_once.wait(timeout=0.5)
        return erase(*arguments, **more)

    monkeypatch.setattr(session_log._events, "erase", meet)
    agent = leading([REFUSES], "Fine.")
    agent(answer(stopped))
    results = [block["toolResult"]["status"] for block in agent.messages[-2]["content"]]
    assert results == ["success", "success"]
    assert is_stored(session_log, SECRET) == []


def test_erasing_a_message_erases_it_wherever_it_is_held(session_log: SessionLog) -> None:
    stopped = talker(session_log, [call("look"), call("charge")])("Go.")
    agent = talker(session_log, "Thank you.")
    agent(answer(stopped))
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == [SECRET, ASKED, ANSWERED]
    (said,) = (one.id for one in session_log.read("s", types="message.added") if SECRET in str(one.event.data))
    session_log.erase("s", said, "not ours")
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert len(happened(session_log, types="payload.erased")) == 1
    resumed = talker(session_log, "Next.")
    resumed("Go on.")
    assert resumed.messages[-1]["content"] == [{"text": "Next."}]
    assert session_log.verify("s").ok


@has_agents_as_tools
def test_an_agent_that_waits_for_a_person_still_does_when_something_it_has_in_store_is_erased(
    session_log: SessionLog,
) -> None:
    recorder = SessionRecorder(session_log, "s")
    sub = helper([call("look")], [call("charge")], hooks=[recorder])
    stopped = leader(session_log, sub, [call("helper", input="Go.")])("Ask the helper.")
    assert recorder.flush()
    told = session_log.read("s", types="message.added", agent="helper")
    session_log.erase("s", [one.id for one in told if SECRET in str(one.event.data)], "not ours")
    waiting = session_log.state("s").agents["leader"]
    assert waiting.is_interrupted
    assert SECRET not in str(waiting.record)
    agent = leader(session_log, helper("Done."), "Fine.")
    agent(answer(stopped))
    assert str(agent.messages[-1]["content"][0]["text"]) == "Fine."
    assert "Done." in str(agent.messages[-2])


def test_what_a_fork_has_of_it_on_its_own_is_erased_too(session_log: SessionLog) -> None:
    stopped = talker(session_log, [call("look"), call("charge")])("Go.")
    session_log.fork("s", None, "other")
    model = ScriptedModel(["Fine."])
    forked = Agent(
        model=model,
        session_manager=ValkeySessionManager("other", log=session_log),
        tools=[look, charge],
        callback_handler=None,
    )
    forked(answer(stopped))
    talker(session_log, REFUSES)(answer(stopped))
    assert is_stored(session_log, SECRET) == []
    assert session_log.verify("other").ok


def test_what_others_say_in_the_same_words_stays(session_log: SessionLog) -> None:
    agent = talker(session_log, "One.", "Two.", REFUSES, "Four.")
    for _ in range(4):
        agent("Yes, please.")
    other = talker(session_log, "Five.", name="other")
    other.state.set("said", "Yes, please.")
    other("Yes, please.")
    said = [record.shown["content"][0]["text"] for record in session_log.state("s").agents["default"].messages]
    assert said[::2] == ["Yes, please.", "Yes, please.", "[redacted]", "Yes, please."]
    first = next(one.id for one in session_log.read("s", types="message.added"))
    session_log.erase("s", first, "why")
    said = [record.shown["content"][0]["text"] for record in session_log.state("s").agents["default"].messages]
    assert said[::2] == ["[erased]", "Yes, please.", "[redacted]", "Yes, please."]
    assert session_log.state("s").agents["other"].state == {"said": "Yes, please."}
    assert session_log.verify("s").ok


def test_a_copy_that_is_written_while_it_is_erased_goes_too(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = talker(session_log, [call("look"), call("charge")])("Go.")
    record = session_log.state("s").agents["default"].record
    eraser, once = session_log._events._eraser, [record]
    erase = eraser._erase

    def meanwhile(*arguments: Any) -> Any:
        found = erase(*arguments)
        while once:
            from strands_session_log import events
            from strands_session_log.codec import from_json

            session_log.append("s", events.AgentUpdated(from_json({**once.pop(), "agent_id": "copy"}), "copy"))  # type: ignore[dict-item]
        return found

    monkeypatch.setattr(eraser, "_erase", meanwhile)
    talker(session_log, REFUSES)(answer(stopped))
    assert not once
    assert is_stored(session_log, SECRET) == []


def node(name: str, *script: Any, **more: Any) -> Agent:
    return talker(None, *script, name=name, **more)


def graph(log: SessionLog, *nodes: Agent, hold: bool = False) -> Any:
    builder = pytest.importorskip("strands.multiagent").GraphBuilder()
    for one in nodes:
        builder.add_node(one, one.name)
    for before, after in pairwise(nodes):
        builder.add_edge(before.name, after.name)
    builder.set_entry_point(nodes[0].name)
    builder.set_graph_id("g")
    builder.set_execution_timeout(60)
    builder.set_session_manager(ValkeySessionManager("s", log=log, hold_user_messages=hold))
    return builder.build()


def swarm(log: SessionLog, *nodes: Agent, hold: bool = False) -> Any:
    manager = ValkeySessionManager("s", log=log, hold_user_messages=hold)
    return pytest.importorskip("strands.multiagent").Swarm(list(nodes), session_manager=manager, id="g")


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("make", [graph, swarm])
def test_a_redacted_prompt_of_a_node_is_gone_from_the_state_of_its_orchestrator(
    session_log: SessionLog, make: Any, hold: bool
) -> None:
    running = make(session_log, node("one", REFUSES, "Fine."), hold=hold)
    running(f"My password is {SECRET}.")
    assert is_stored(session_log, SECRET) == []
    running("Hello")
    assert session_log.state("s").multi_agents["g"]["current_task"] == "Hello"
    assert session_log.verify("s").ok


def test_what_the_nodes_before_it_had_written_of_the_task_goes_too(session_log: SessionLog) -> None:
    def look_at_it(_: Any) -> Any:
        states.append(session_log.state("s").multi_agents["g"])
        return REFUSES

    states: list[Any] = []
    running = graph(session_log, node("one", "Noted."), node("two", look_at_it), node("three", "Done."))
    running(f"My password is {SECRET}.")
    assert SECRET in str(states[0])
    written = [one for one in session_log.read("s") if one.event.type == "multi_agent.updated" and SECRET in str(one)]
    assert written == []
    last = session_log.state("s").multi_agents["g"]
    assert (last["status"], last["current_task"]) == ("completed", "[redacted]")


def test_a_graph_that_dies_after_a_redaction_goes_on_where_it_was(session_log: SessionLog) -> None:
    def dead(_: Any) -> None:
        raise KeyboardInterrupt

    two = node("two", REFUSES)
    two.hooks.add_callback(hook_event("AfterInvocationEvent"), dead)
    with pytest.raises(KeyboardInterrupt):
        graph(session_log, node("one", "Noted."), two)(f"My password is {SECRET}.")
    seen: list[str] = []

    def see(messages: Any) -> str:
        seen.append(str(messages))
        return "Done."

    graph(session_log, node("one", see), node("two", see))("Go on.")
    assert len(seen) == 1
    assert "Original Task: [redacted]" in seen[0]


def test_a_result_that_waited_in_a_node_is_gone_from_the_state_of_the_graph(session_log: SessionLog) -> None:
    stopped = graph(session_log, node("one", [call("look"), call("charge")]))("Go.")
    if stopped.status.value != "interrupted":
        pytest.skip("this version of Strands has no interrupts in nodes")
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    assert graph(session_log, node("one", REFUSES))(answer(stopped)).status.value == "completed"
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert session_log.verify("s").ok


def test_erasing_the_prompt_of_a_node_takes_the_task_out_of_the_state_of_its_graph(session_log: SessionLog) -> None:
    graph(session_log, node("one", "Noted."))(f"My password is {SECRET}.")
    (said,) = (one.id for one in session_log.read("s", types="message.added") if SECRET in str(one.event.data))
    session_log.erase("s", said, "not ours")
    assert is_stored(session_log, SECRET) == []
    assert session_log.state("s").multi_agents["g"]["status"] == "completed"


@pytest.mark.parametrize("is_redacted", [False, True])
def test_an_error_of_a_node_that_quotes_a_message_goes_from_the_state_of_its_graph(
    session_log: SessionLog, is_redacted: bool
) -> None:
    failing = RuntimeError(f"400: {SECRET} is no prompt")
    script = [[*REFUSES[:1], call("add", a=1, b=1)], failing] if is_redacted else [failing]
    failed = node("one", *script, tools=[add])
    with suppress(Exception):
        graph(session_log, failed)(f"My password is {SECRET}.")
    if not is_redacted:
        assert SECRET in str(session_log.state("s").multi_agents["g"]["node_results"])
        (said,) = (one.id for one in session_log.read("s", types="message.added"))
        session_log.erase("s", said, "not ours")
    assert is_stored(session_log, SECRET) == []
    assert session_log.state("s").multi_agents["g"]["node_results"]["one"]["result"]["type"] == "exception"


def test_a_state_that_is_named_beside_a_message_it_holds_does_not_come_back_without_that(
    session_log: SessionLog,
) -> None:
    assert talker(session_log, [call("charge")], state={"user": SECRET})(ASKED).interrupts
    with suppress(Exception):
        graph(session_log, node("one", RuntimeError(f"no {SECRET} in {ASKED}")))(ASKED)
    named = [one.id for one in session_log.read("s") if SECRET in str(one.event.data) or ASKED in str(one.event.data)]
    assert session_log.plan_erasure("s", named).moved == ()
    session_log.erase("s", named, "not ours")
    assert is_stored(session_log, SECRET, ASKED) == []
    assert session_log.verify("s").ok


def test_before_a_state_that_is_named_the_one_before_it_stands_without_the_message(session_log: SessionLog) -> None:
    agent = talker(session_log, [call("charge")])
    stopped = agent(ASKED)
    agent.state.set("user", SECRET)
    agent(answer(stopped))
    (said,) = (one.id for one in session_log.read("s", types="message.added") if ASKED in str(one.event.data))
    named = [one.id for one in session_log.read("s", types="agent.*") if SECRET in str(one.event.data)]
    assert session_log.plan_erasure("s", [said, *named]).moved == ("default",)
    session_log.erase("s", [said, *named], "not ours")
    assert is_stored(session_log, SECRET, ASKED) == []
    assert session_log.state("s").agents["default"].is_interrupted


@has_agents_as_tools
def test_what_an_agent_redacts_that_nobody_records_is_gone_from_the_state_of_its_caller(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = leader(session_log, helper([call("look"), call("charge")]), [call("helper", input="Go.")])("Ask.")
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    waits: list[bool] = []

    def see(messages: Any) -> Any:
        if "[redacted]" not in str(messages):
            return REFUSES
        record: Any = session_log.state("s").agents["leader"].record
        waits.append(record["_internal_state"]["interrupt_state"]["activated"])
        return "Fine."

    # The helper is asked once more after the redaction, and sees what its caller would resume with by then.
    sub = helper(see)
    sub.hooks.add_callback(hook_event("AfterModelCallEvent"), lambda event: setattr(event, "retry", not waits))
    agent = leader(session_log, sub, "Thank you.")
    agent(answer(stopped))
    assert waits == [True]
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert leader(session_log, helper()).messages == agent.messages
    assert session_log.verify("s").ok


@has_agents_as_tools
def test_so_it_is_for_the_agents_that_such_an_agent_calls(session_log: SessionLog) -> None:
    def middle(sub: Agent, *script: Any) -> Agent:
        return talker(None, *script, name="middle", tools=[sub.as_tool()])

    def top(sub: Agent, *script: Any) -> Agent:
        return talker(session_log, *script, name="leader", tools=[sub.as_tool()])

    within = middle(helper([call("look"), call("charge")]), [call("helper", input="Go.")])
    stopped = top(within, [call("middle", input="Go.")])("Ask.")
    assert is_stored(session_log, SECRET, ASKED) == [SECRET, ASKED]
    top(middle(helper(REFUSES), "Fine."), "Thank you.")(answer(stopped))
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []


@has_agents_as_tools
def test_so_it_is_in_the_session_of_a_recorder_and_in_the_state_of_a_graph(session_log: SessionLog) -> None:
    def make(sub: Agent, *script: Any) -> Any:
        recorder = SessionRecorder(session_log, "mirror")
        one = talker(None, *script, name="one", tools=[sub.as_tool()], hooks=[recorder])
        return graph(session_log, one), recorder

    running, recorder = make(helper([call("look"), call("charge")]), [call("helper", input="Go.")])
    stopped = running("Ask.")
    if stopped.status.value != "interrupted":
        pytest.skip("this version of Strands has no interrupts in nodes")
    assert recorder.flush()
    holders = {one.event.type for name in ("s", "mirror") for one in session_log.read(name) if SECRET in str(one)}
    assert holders == {"agent.updated", "multi_agent.updated"}
    running, recorder = make(helper(REFUSES), "Thank you.")
    assert running(answer(stopped)).status.value == "completed"
    assert recorder.close()
    assert is_stored(session_log, SECRET, ASKED, ANSWERED) == []
    assert session_log.verify("s").ok
    assert session_log.verify("mirror").ok


def test_what_agents_resume_with_is_written_anew_while_others_of_the_session_write(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker(session_log, [call("charge")])(ASKED)
    found = [one.id for one in session_log.read("s", types="message.added") if ASKED in str(one.event.data)]
    fold = session_log._replay.state

    def state_while_others_write(*arguments: Any, **more: Any) -> Any:
        folded = fold(*arguments, **more)
        session_log.append("s", events.Custom("custom.note", {}))
        return folded

    monkeypatch.setattr(session_log._replay, "state", state_while_others_write)
    session_log.erase("s", found, "asked for")
    monkeypatch.undo()
    assert is_stored(session_log, ASKED) == []


def test_nothing_is_written_for_an_erasure_of_what_is_not_all_there(session_log: SessionLog) -> None:
    talker(session_log, [call("look"), call("charge")])("Go.")
    found = [one.id for one in session_log.read("s")]
    with pytest.raises(RevisionNotFoundError):
        session_log.erase("s", [*found, EventId(found[-1].ms, found[-1].revision + 1)], "asked for")
    assert [one.id for one in session_log.read("s")] == found


@has_agents_as_tools
def test_nothing_of_a_caller_stays_with_a_tool_when_other_hooks_raise(session_log: SessionLog) -> None:
    sub = helper("Fine.")
    agent = leader(session_log, sub, [call("helper", input="Go.")])

    def fail(_: Any) -> None:
        raise ValueError("not today")

    for name in ("BeforeToolCallEvent", "AfterToolCallEvent", "AfterInvocationEvent"):
        agent.hooks.add_callback(hook_event(name), fail)
    with pytest.raises(ValueError, match="not today"):
        agent("Ask the helper.")
    manager = weakref.ref(agent._session_manager)
    del agent
    wait_until_collected(manager)
