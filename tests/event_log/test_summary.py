"""What a head sums up of a session is what its events say, whoever wrote them and however they came there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strands_session_log import SessionLog, events
from strands_session_log.errors import SessionNotFoundError
from strands_session_log.events import Event, Fact
from strands_session_log.server import text
from strands_session_log.state.summary import LOOKS_AT, READS, Summary, change_of
from support.erasing import note

AGENTS = ("default", "graph:node", "büro 7")
NAMES = ("lookup", "refund", "tool 7", "with\ttab\nand line", "x" * 200, "")
NUMBERS = count()


def _interrupts(activated: bool) -> dict[str, Any]:
    return {"interrupt_state": {"interrupts": {}, "context": {}, "activated": activated}, "model_state": {}}


def _usage(sent: int, received: int) -> dict[str, Any]:
    return {"usage": {"inputTokens": sent, "outputTokens": received, "totalTokens": sent + received}}


agents, names, booleans = st.sampled_from(AGENTS), st.sampled_from(NAMES), st.booleans()
named = st.builds(lambda name: {"name": name, "tool_use_id": "t", "id": "i"}, names)
records = st.builds(lambda on: {"state": {}, "_internal_state": _interrupts(on)}, booleans)
graphs = st.builds(
    lambda on, status: {"status": status, "_internal_state": _interrupts(on)},
    booleans,
    st.sampled_from(["executing", "completed", "failed", "pending", None]),
)
anything = st.one_of(
    st.builds(events.InvocationStarted, st.just({"invocation": "i"}), agents),
    st.builds(
        events.InvocationCompleted, st.sampled_from([{"stop_reason": "end_turn"}, {"stop_reason": "interrupt"}]), agents
    ),
    st.builds(
        events.InvocationFailed, st.builds(lambda on: {"error": "ValueError", "cancelled": on}, booleans), agents
    ),
    st.builds(events.ModelCompleted, st.builds(_usage, st.integers(-1, 10**12), st.integers(0, 10**5)), agents),
    st.builds(events.ModelFailed, st.just({"error": "ValueError"}), agents),
    st.builds(events.ToolStarted, named, agents),
    st.builds(events.ToolCompleted, named, agents),
    st.builds(events.ToolFailed, named, agents),
    st.builds(events.InterruptRaised, named, agents),
    st.builds(events.InterruptAnswered, named, agents),
    st.builds(events.NodeStarted, st.just({"node": "n"}), agents),
    st.builds(events.AgentUpdated, records, agents),
    st.builds(events.MultiAgentUpdated, graphs, st.just("graph")),
    st.builds(events.SessionAnnotated, st.just({"team": "blue"})),
    st.builds(
        lambda gone, waiting: events.SessionRewound({"agents": gone, "multi_agents": [], "waiting": waiting}),
        st.lists(agents, max_size=2),
        st.lists(agents, max_size=2),
    ),
    st.builds(events.Custom, st.just("custom.note"), st.just({"n": 1})),
)
batches = st.lists(anything, min_size=1, max_size=6)

junk = st.recursive(
    st.none() | booleans | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.just("x" * 300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
counted = st.dictionaries(st.sampled_from(["inputTokens", "outputTokens", "other"]), junk)
whatever = st.fixed_dictionaries(
    {},
    optional={
        "name": names | junk,
        "stop_reason": st.sampled_from(["end_turn", "interrupt"]) | junk,
        "cancelled": junk,
        "model_ms": junk,
        "usage": counted | junk,
        "error": junk,
        "status": junk,
        "agents": junk,
        "waiting": st.lists(agents | junk),
        "_internal_state": st.builds(_interrupts, booleans) | junk,
    },
)


def summed_up(log: SessionLog, session_id: str) -> dict[str, str]:
    key = log._events.keyspace.session(session_id).head
    found = log.client.execute_command("HMGET", key, "counts", "open")
    return {name: text(value) for name, value in zip(("counts", "open"), found, strict=True) if value is not None}


def folded(log: SessionLog, session_id: str) -> dict[str, str]:
    summary = Summary()
    for id_, event, _ in log.read(session_id):
        summary.add(id_, event.type, event.agent, event.data, event.is_erased)
    return summary.fields()


def write(log: SessionLog, session_id: str, *batch: Event) -> None:
    log.append(session_id, list(batch))


@given(st.lists(batches, min_size=1, max_size=6), st.integers(0, 30))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_appended_forked_and_rewound_a_head_sums_up_what_the_events_say(
    session_log: SessionLog, wanted: Sequence[Sequence[Event]], place: int
) -> None:
    name = f"s{next(NUMBERS)}"
    for number, batch in enumerate(wanted):
        session_log.append(name, [_again(one) for one in batch], once=number % 2 == 1)
        assert summed_up(session_log, name) == folded(session_log, name)
    at = 1 + place % session_log.head(name).revision
    session_log.fork(name, at, f"{name}-fork")
    write(session_log, f"{name}-fork", *map(_again, wanted[0]))
    session_log.rewind(name, at, allow_unanswered=True)
    write(session_log, name, *map(_again, wanted[-1]))
    for one in (name, f"{name}-fork"):
        assert summed_up(session_log, one) == folded(session_log, one)
        assert session_log.verify(one).notes == ()


def _again(event: Event) -> Event:
    """The same event under an id of its own: hypothesis gives one example many times."""
    if isinstance(event, events.Custom):
        return events.Custom(event.type, event.data)
    return Event.known[event.type](event.data, event.agent)


@given(st.sampled_from(sorted(LOOKS_AT)), st.sampled_from([*AGENTS, ""]), whatever)
@settings(max_examples=300)
def test_what_a_fact_changes_is_the_same_by_all_its_data_as_by_what_the_feed_tells_of_it(
    type_: str, agent: str, data: dict[str, Any]
) -> None:
    event = Event.known[type_](data, agent)
    told = event.facts() if isinstance(event, Fact) else data
    assert change_of(type_, agent, data) == change_of(type_, agent, told)
    assert type_ in READS or change_of(type_, agent, {}) == change_of(type_, agent, data)


def test_that_one_waits_no_more_counts_also_where_all_of_it_is_told_at_once(session_log: SessionLog) -> None:
    told = [
        events.InvocationCompleted({"stop_reason": "end_turn"}, "default"),
        events.AgentUpdated({"_internal_state": _interrupts(True)}, "default"),
        events.AgentUpdated({"_internal_state": _interrupts(False)}, "default"),
    ]
    write(session_log, "s", *told)
    assert summed_up(session_log, "s") == folded(session_log, "s")
    assert summed_up(session_log, "s")["open"] == ""


def test_more_lines_than_a_head_has_room_for_go_oldest_first(session_log: SessionLog) -> None:
    for number in range(300):
        write(session_log, "s", events.ToolStarted({"name": f"tool-{number}"}, "default"))
    write(session_log, "s", events.ModelFailed({"error": "ValueError"}, "default"))
    assert summed_up(session_log, "s") == folded(session_log, "s")
    lines = summed_up(session_log, "s")["open"]
    assert len(lines.encode()) <= 8192
    assert "tool-299" in lines
    assert "tool-0\t" not in lines


def test_what_a_head_has_no_room_for_lists_still_tell(session_log: SessionLog) -> None:
    asked = events.InterruptRaised({"id": "i", "name": "approve"}, "default")
    write(session_log, "s", events.SessionAnnotated({"team": "blue"}), asked)
    for _ in range(2):
        write(session_log, "s", *(events.SessionAnnotated({"turn": number}) for number in range(200)))
    assert summed_up(session_log, "s") == folded(session_log, "s")
    assert "answer" not in summed_up(session_log, "s")["open"]
    for (info,) in (session_log.sessions(waiting=True, labels={"team": "blue"}), [session_log.session("s")]):
        assert info.labels == {"team": "blue", "turn": 199}
        assert [(one.agent, one.status, one.name) for one in info.agents] == [("default", "answer", "approve")]
    assert session_log.sessions(failed=True) == []
    assert session_log.verify("s").notes == ()


def test_a_session_of_before_is_not_counted_from_the_middle_until_it_is_recounted(session_log: SessionLog) -> None:
    write(session_log, "s", events.ModelFailed({"error": "ValueError"}, "default"))
    session_log.client.execute_command("HDEL", session_log._events.keyspace.session("s").head, "counts", "open")
    write(session_log, "s", events.InvocationStarted({}, "default"), events.ModelFailed({}, "default"))
    assert summed_up(session_log, "s") == {}
    found = session_log.verify("s")
    assert found.ok
    assert "does not sum up" in found.notes[0]
    assert session_log.recount("s")
    assert summed_up(session_log, "s") == folded(session_log, "s")
    assert summed_up(session_log, "s")["counts"] == "2 0 0"
    write(session_log, "s", events.ModelFailed({}, "default"))
    assert summed_up(session_log, "s")["counts"] == "3 0 0"
    assert session_log.verify("s").notes == ()


def test_a_head_that_sums_up_something_else_is_noted_and_is_no_problem_of_the_chain(session_log: SessionLog) -> None:
    write(session_log, "s", events.InvocationFailed({"error": "ValueError"}, "default"))
    session_log.client.execute_command("HSET", session_log._events.keyspace.session("s").head, "open", "")
    found = session_log.verify("s")
    assert found.ok
    assert not found.problems
    assert "failed" in found.notes[0]
    assert session_log.recount("s")
    assert session_log.verify("s").notes == ()


@pytest.mark.parametrize("junk", ["", "none", "1 2", "1 2 3 4"])
def test_what_is_no_summary_hinders_no_append(session_log: SessionLog, junk: str) -> None:
    write(session_log, "s", note(1))
    session_log.client.execute_command(
        "HSET", session_log._events.keyspace.session("s").head, "counts", junk, "open", junk
    )
    write(session_log, "s", events.ModelFailed({}, "default"), events.ToolStarted({"name": "t"}, "default"))
    assert session_log.head("s").revision == 3
    assert session_log.recount("s")
    assert summed_up(session_log, "s")["counts"] == "1 0 0"


@pytest.mark.parametrize("type_", sorted(LOOKS_AT))
def test_text_that_is_no_unicode_hinders_no_append_and_is_nobody_s_name(session_log: SessionLog, type_: str) -> None:
    lone = "a lone \ud800"
    fields = ("name", "status", "stop_reason", "error", "cancelled", "agents", "multi_agents", "waiting")
    data = {name: [lone] if name.endswith(("agents", "waiting")) else lone for name in fields}
    session_log.append("s", Event.known[type_](data, "" if type_.startswith("session.") else "default"))
    assert [one.event.type for one in session_log.read("s")] == [type_]
    assert summed_up(session_log, "s") == folded(session_log, "s")


@pytest.mark.parametrize("junk", ["x" * 9000, "\n" * 9000, "\n" + "y" * 9000, "\nz\tw" * 3000], ids=range(4))
@pytest.mark.parametrize("kind", [events.ToolCompleted, events.SessionForked, events.NodeStarted])
def test_junk_longer_than_a_head_has_room_for_hinders_no_append(
    session_log: SessionLog, junk: str, kind: Callable[..., Event]
) -> None:
    write(session_log, "s", events.InvocationStarted({}, "default"))
    session_log.client.execute_command("HSET", session_log._events.keyspace.session("s").head, "open", junk)
    write(session_log, "s", kind({"name": "t"}, "default"))
    assert session_log.head("s").revision == len(list(session_log.read("s"))) == 2
    assert len(summed_up(session_log, "s")["open"]) <= 8192
    assert session_log.recount("s")
    assert summed_up(session_log, "s") == folded(session_log, "s")


def test_erasing_what_counted_leaves_the_count_and_the_recount_says_that_it_does_not_know(
    session_log: SessionLog,
) -> None:
    write(session_log, "s", events.ModelFailed({"error": "ValueError"}, "default"), note(1))
    session_log.erase("s", 1, reason="asked to")
    assert summed_up(session_log, "s")["counts"] == "1 0 0"
    assert session_log.verify("s").notes == ()
    assert session_log.recount("s") is False


def test_a_session_begun_anew_under_an_id_begins_its_counts_anew(session_log: SessionLog) -> None:
    write(session_log, "s", events.InvocationFailed({}, "default"))
    session_log.delete("s")
    write(session_log, "s", events.InvocationStarted({}, "default"))
    assert summed_up(session_log, "s") == folded(session_log, "s")
    assert summed_up(session_log, "s")["counts"] == "0 0 0"


def test_a_session_that_is_not_there_cannot_be_recounted(session_log: SessionLog) -> None:
    with pytest.raises(SessionNotFoundError):
        session_log.recount("s")
