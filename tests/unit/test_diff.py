"""What differs between two states of a session."""

from __future__ import annotations

from json import dumps
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.events import Event, Recorded
from strands_session_log.ids import EventId
from strands_session_log.state import AgentDiff, Change, SessionState, diff, evolve, initial
from strands_session_log.state.messages import SEGMENT


def states(*happened: Event) -> list[SessionState]:
    """The state before the first event, and after each."""
    found = [initial()]
    for number, event in enumerate(happened, 1):
        found.append(evolve(found[-1], Recorded(EventId(1000 + number, number), event, f"link{number}")))
    return found


def agent_diff(before: SessionState, after: SessionState, agent: str = "a") -> AgentDiff:
    return diff(before, after).agents[agent]


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}


def said(index: int, text: str = "hi", agent: str = "a") -> Event:
    return events.MessageAdded({"message": message(text), "message_id": index, "redact_message": None}, agent)


def record(agent: str = "a", **fields: Any) -> Event:
    return events.AgentUpdated({"agent_id": agent, "state": {}, **fields}, agent)


def indices(found: Any) -> list[int]:
    return [change.index for change in found]


def test_a_state_and_itself_do_not_differ() -> None:
    *_, state = states(said(0), record(), events.MultiAgentCreated({"x": 1}, "g"))
    assert diff(state, state).is_empty


def test_what_says_nothing_of_the_session_makes_no_difference() -> None:
    before, after = states(said(0), events.Custom("custom.note", {}))[1:]
    found = diff(before, after)
    assert found.is_empty
    assert (found.before, found.after) == (before.position, after.position)


def test_a_message_that_was_added_is_told_with_what_it_says_and_joins_the_window() -> None:
    _, before, after = states(said(0), said(1, "new"))
    found = agent_diff(before, after)
    assert [(change.index, change.before, change.after and change.after.message) for change in found.added] == [
        (1, None, message("new"))
    ]
    assert (found.presence, found.window_joined, found.window_left) == ("kept", (1,), ())
    assert (found.changed, found.redacted, found.removed, found.state, found.record) == ((),) * 5


def test_looking_back_what_was_added_is_removed() -> None:
    _, before, after = states(said(0), said(1))
    found = agent_diff(after, before)
    assert (indices(found.removed), found.added, found.window_left) == ([1], (), (1,))


def test_a_message_with_another_content_is_changed_and_a_redacted_one_redacted() -> None:
    redaction = {"message": message("[no]"), "message_id": 1, "redact_message": message("[no]")}
    changed = events.MessageUpdated({"message": message("other"), "message_id": 0, "redact_message": None}, "a")
    *_, before, _, after = states(said(0), said(1), changed, events.MessageRedacted(redaction, "a"))
    found = agent_diff(before, after)
    assert (indices(found.changed), indices(found.redacted), indices(found.added)) == ([0], [1], [])


def test_a_message_whose_content_was_erased_is_redacted() -> None:
    happened = states(said(0), said(1), events.PayloadErased({"erased": ["1001-1"], "reason": "why"}))
    found = agent_diff(happened[2], happened[3])
    assert (indices(found.redacted), indices(found.changed)) == ([0], [])


def test_an_agent_that_was_not_there_is_added_and_looking_back_removed() -> None:
    before, after = states(said(0), said(0, agent="b"))[1:]
    assert list(diff(before, after).agents) == ["b"]
    assert agent_diff(before, after, "b").presence == "added"
    assert agent_diff(after, before, "b").presence == "removed"


def test_the_agents_state_is_told_apart_from_the_rest_of_its_record() -> None:
    _, before, after = states(
        record(state={"n": 1, "gone": True}, updated_at="then", system_prompt="x"),
        record(state={"n": 2, "new": []}, updated_at="now", system_prompt="y"),
    )
    found = agent_diff(before, after)
    assert found.state == (
        Change(("n",), "changed", 1, 2),
        Change(("gone",), "removed", True, None),
        Change(("new",), "added", None, []),
    )
    assert found.record == (Change(("system_prompt",), "changed", "x", "y"),)


def test_a_record_written_again_is_no_difference() -> None:
    _, before, after = states(record(updated_at="then"), record(updated_at="now"))
    assert diff(before, after).is_empty


def test_what_left_the_window_and_what_came_back_into_it_is_told() -> None:
    window = events.WindowChanged({"items": [[0, 0], {"message": message("summary")}], "removed": 0, "next": 3}, "a")
    *_, before, after = states(said(0), said(1), said(2), window)
    assert (agent_diff(before, after).window_left, agent_diff(before, after).window_joined) == ((1, 2), ())
    assert agent_diff(after, before).window_joined == (1, 2)


def test_graphs_and_the_session_itself_are_compared_too() -> None:
    _, before, after = states(
        events.MultiAgentCreated({"status": "executing"}, "g"), events.MultiAgentUpdated({"status": "failed"}, "g")
    )
    assert diff(before, after).multi_agents == (Change(("g", "status"), "changed", "executing", "failed"),)
    before, after = states(events.SessionCreated({"session_id": "s"}))
    assert diff(before, after).session == (Change(("session_id",), "added", None, "s"),)


def test_a_long_transcript_is_compared_from_where_it_differs() -> None:
    happened = states(*(said(index) for index in range(3 * SEGMENT)))
    found = agent_diff(happened[SEGMENT + 5], happened[-1])
    assert indices(found.added) == list(range(SEGMENT + 5, 3 * SEGMENT))
    assert (found.changed, found.removed) == ((), ())


json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


@given(json, json)
def test_values_differ_only_where_changes_are_told_and_these_lead_from_one_to_the_other(one: Any, other: Any) -> None:
    found = list(Change.between(one, other))
    assert text(applied(one, found)) == text(other)
    assert bool(found) == (text(one) != text(other))
    assert {change.path for change in Change.between(other, one)} == {change.path for change in found}


def text(value: Any) -> str:
    """Tells 1 and True apart, as `==` does not."""
    return dumps(value, sort_keys=True)


def applied(value: Any, found: list[Change]) -> Any:
    """The value with changes made to it, the last of a list first."""
    value = copied(value)
    for change in reversed(found):
        path, after = change.path, change.after
        if not path:
            return after
        inner: Any = value
        last: Any = path[-1]
        for step in path[:-1]:
            inner = inner[step]
        if change.kind == "removed":
            del inner[last]
        elif isinstance(inner, list) and last >= len(inner):
            inner.extend([None] * (last + 1 - len(inner)))
            inner[last] = after
        else:
            inner[last] = after
    return value


def copied(value: Any) -> Any:
    if isinstance(value, list):
        return [copied(one) for one in value]
    return {key: copied(one) for key, one in value.items()} if isinstance(value, dict) else value


def test_another_summary_another_order_and_a_repetition_are_differences() -> None:
    def held(*items: Any) -> SessionState:
        window = events.WindowChanged({"items": list(items), "removed": 0, "next": 3}, "a")
        return states(*(said(index) for index in range(3)), window)[-1]

    one, other = ({"message": {"role": "user", "content": [{"text": text}]}} for text in ("One.", "Other."))
    windows = [held(one, [1, 2]), held(other, [1, 2]), held([1, 2]), held([2, 2], [1, 1]), held([1, 2], one)]
    for number, before in enumerate(windows):
        for after in windows[number + 1 :]:
            assert agent_diff(before, after).window_rearranged
            assert not diff(before, after).is_empty
        assert diff(before, before).is_empty
