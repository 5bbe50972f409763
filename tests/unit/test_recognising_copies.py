"""What a message said is recognised by what it is, whatever holds it."""

from __future__ import annotations

from typing import Any

import pytest

from strands_session_log.state import Copies

SECRET = "hunter2-is-my-password"


def message(text: str, tracking_id: str | None = "t1", role: str = "user") -> dict[str, Any]:
    found = {"role": role, "content": [{"text": text}]}
    return found if tracking_id is None else {**found, "tracking_id": tracking_id}


def result(text: str, id_: str = "call-1") -> dict[str, Any]:
    return {"toolUseId": id_, "status": "success", "content": [{"text": text}]}


def results(*texts: str) -> dict[str, Any]:
    content = [{"toolResult": result(text, f"call-{number}")} for number, text in enumerate(texts, 1)]
    return {"role": "user", "content": content, "tracking_id": "t1"}


def interrupt(id_: str = "v1:tool_call:call-1:x", reason: Any = SECRET) -> dict[str, Any]:
    return {"id": id_, "name": "approval", "reason": reason, "response": "yes"}


SAID = Copies([message(SECRET)])
RESULTS = Copies([results(SECRET, "3")], results("[redacted]", "[redacted]"))
CALLED = Copies(
    [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "call-1", "name": "pay", "input": {"to": SECRET}}}]}]
)
TURN = {"data": {"messages": [message("Go.", "t9")], "interrupt_state": {}}}


@pytest.mark.parametrize(
    ("copies", "holder"),
    [
        (SAID, {"items": [{"message": message(SECRET)}]}),
        (SAID, {"items": [{"message": message(f"{SECRET} and more")}]}),
        (SAID, {"items": [{"message": message(SECRET, None)}]}),
        (SAID, {"interrupts": {"x": interrupt("x", {"quoted": [f"may I tell {SECRET}?"]})}}),
        (RESULTS, {"pending_tool_execution": {"completed_tool_results": [result(SECRET)]}}),
        (RESULTS, {"messages": [{**results(SECRET), "tracking_id": "t2"}]}),
        (RESULTS, {"interrupts": {"x": interrupt(reason="may I?")}}),
        (RESULTS, {"responses": [{"interruptResponse": {"interruptId": "v1:tool_call:call-2:x", "response": "yes"}}]}),
        (RESULTS, {"interrupts": {"x": interrupt("v1:agent_as_tool:call-1:v1:tool_call:other:x")}}),
        (RESULTS, interrupt(reason="may I?")),
        (SAID, interrupt("x", {"quoted": SECRET})),
        (CALLED, interrupt(reason={"to": "somebody"})),
        (SAID, {"error": "ValueError", "error_text": f"400: {SECRET!r} is not allowed"}),
        (SAID, {"error_text": f"input too long: …{SECRET[3:20]}… (truncated)"}),
        (CALLED, {"tool_use_id": "call-7", "error_text": f"no account {SECRET}"}),
        (RESULTS, {"error_text": f"the model was given {SECRET[:18]}"}),
    ],
)
def test_what_holds_it_is_found_and_without_it_holds_it_no_more(copies: Copies, holder: Any) -> None:
    assert copies.is_held_in(holder)
    left = copies.without(holder)
    assert SECRET not in str(left)
    assert not copies.is_held_in(left)


@pytest.mark.parametrize(
    "holder",
    [
        {"state": {"said": SECRET}},
        {"items": [[0, 3], {"message": message(SECRET, "another")}]},
        {"items": [{"message": message("something else", None)}]},
        {"completed_tool_results": [result("something else")]},
        {"turns": {"call-1": TURN}},
        {"error": "ValueError", "error_text": "400: the input is not allowed", "tool_use_id": "call-1"},
        {"state": {"error_text": f"no account {SECRET}"}},
        {"error_text": ["no", "text"]},
        {"interrupts": {"x": interrupt("v1:tool_call:call-17:x", "may I?")}},
        {"content": "no list", "role": "user"},
        None,
        [1, "x", None, {"interrupts": 7, "context": {}}, {"toolUseId": ["call-1"], "content": []}],
    ],
)
def test_what_only_looks_like_it_is_let_be_and_is_the_same_object(holder: Any) -> None:
    for copies in (SAID, RESULTS):
        assert copies.without(holder) is holder


def test_what_is_told_of_a_failed_call_goes_with_its_result_where_the_same_agent_made_it() -> None:
    failed = {"tool_use_id": "call-1", "error": "ValueError", "error_text": "no such file"}
    assert RESULTS.without(failed, own=True) == {**failed, "error_text": ""}
    assert RESULTS.without(failed) is failed


@pytest.mark.parametrize(
    "holder",
    [
        {"interrupts": {"x": interrupt("x", "May I pay for the notebook?")}},
        {"items": [{"message": message("My notebook is broken.", None)}]},
        {"state": {"tickets": [{"id": "7", "reason": "book", "response": "a flight"}]}},
    ],
)
def test_a_short_message_is_no_quote_where_it_is_part_of_a_word_nor_in_what_users_keep(holder: Any) -> None:
    assert Copies([message("book")]).without(holder) is holder


@pytest.mark.parametrize("reason", ["book", "Really (book)?", {"quoted": ["may I: book"]}])
def test_a_short_message_is_a_quote_where_it_stands_by_itself(reason: Any) -> None:
    assert Copies([message("book")]).is_held_in({"interrupts": {"x": interrupt("x", reason)}})


def test_the_agent_that_said_it_has_the_same_calls_by_the_same_ids() -> None:
    changed = {"completed_tool_results": [result("changed by a hook since")]}
    assert RESULTS.is_held_in(changed, own=True)
    assert RESULTS.without({"turns": {"call-1": TURN}}, own=True) == {"turns": {}}


def test_all_that_was_asked_about_the_calls_of_a_message_is_answered_in_one() -> None:
    called = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "call-1", "name": "look", "input": {}}}]}
    state = {
        "interrupts": {"v1:before_tools:x": interrupt("v1:before_tools:x", "may I?")},
        "context": {"responses": [1]},
        "pending_tool_execution": {"assistant_message": called, "completed_tool_results": []},
    }
    left = RESULTS.without(state)
    assert left["context"] == {"responses": []}
    assert left["interrupts"]["v1:before_tools:x"]["reason"] is None
    assert RESULTS.without(left) is left


def test_what_was_redacted_before_it_was_written_is_known_by_its_ids() -> None:
    unwritten = Copies([], results("[redacted]"))
    assert unwritten.is_held_in({"results": [result(SECRET)]})
    assert not unwritten.is_held_in({"results": [result("[redacted]")]})
    assert unwritten.is_held_in({"messages": [message(SECRET)]}, by_id=True)


def test_the_state_of_a_graph_is_what_the_prompts_of_its_nodes_are_made_of() -> None:
    prompt = {"role": "user", "content": [{"text": f"Original Task: {SECRET}"}, {"text": "  - Agent: It is 4711."}]}
    copies = Copies([prompt], message("[redacted]"))
    state = {
        "status": "executing",
        "completed_nodes": ["Agent"],
        "current_task": SECRET,
        "node_results": {"one": {"result": {"message": message("It is 4711.", "t7", "assistant")}}},
        "context": {"shared_context": {"one": {"key": f"as I said, Original Task: {SECRET}"}}, "handoff_message": None},
    }
    assert copies.without(state) is state
    left = copies.without(state, above=True)
    assert SECRET not in str(left)
    assert "4711" not in str(left)
    assert (left["status"], left["completed_nodes"]) == ("executing", ["Agent"])
    assert copies.without(left, above=True) is left


def test_a_message_that_says_the_same_is_none_of_them() -> None:
    assert SAID.is_said_in(message(SECRET))
    assert not SAID.is_said_in(message(SECRET, "another"))
    assert not SAID.is_said_in(message(SECRET, None))
    assert SAID.is_said_in(message(SECRET, None), is_it=True)
    assert RESULTS.is_said_in({**results(SECRET), "tracking_id": "another"})


def test_what_is_nested_too_deep_to_be_stored_is_let_be() -> None:
    deep: Any = message(SECRET)
    for _ in range(5000):
        deep = [deep]
    assert SAID.without(deep) is deep
    assert not Copies([{"role": "user", "content": deep}])
