"""Going back: the agent resumes from there, and nothing of what was undone is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager

from strands_session_log import SessionLog, SnapshotSettings, errors, events, instrumentation
from strands_session_log.instrumentation import Detail, ReadDone
from strands_session_log.replay import fold
from strands_session_log.state import diff
from support.strands_agents import add, call, happened, make_agent


def texts(messages: Any) -> list[str]:
    return [message["content"][0].get("text", "") for message in messages]


def end_of_turn(log: SessionLog, number: int) -> int:
    """The revision at which a turn had ended, from 1."""
    ends = [one.id.revision for one in log.read("s", types="invocation.completed")]
    return ends[number - 1]


def talked(log: SessionLog, turns: int, **options: Any) -> Any:
    agent = make_agent(log, [f"Answer {turn}." for turn in range(turns)], **options)
    for turn in range(turns):
        agent.state.set("turn", turn)
        agent(f"Question {turn}?")
    return agent


MANAGERS = {
    "all": lambda: {},
    "sliding": lambda: {"conversation_manager": SlidingWindowConversationManager(window_size=4)},
}


@pytest.mark.parametrize("options", MANAGERS.values(), ids=MANAGERS)
def test_an_agent_resumes_with_what_it_held_then_and_talks_on(session_log: SessionLog, options: Any) -> None:
    talked(session_log, 3, **options())
    then = end_of_turn(session_log, 3)
    held = session_log.state("s", then).agents["default"]
    talked(session_log, 4, **options())
    session_log.rewind("s", then)
    agent = make_agent(session_log, ["On."], **options())
    assert agent.messages == held.window
    assert agent.state.get("turn") == 2
    agent("Go on?")
    assert texts(make_agent(session_log, **options()).messages)[-2:] == ["Go on?", "On."]


def test_a_summary_that_was_made_since_is_undone(session_log: SessionLog) -> None:
    def summarizing() -> SummarizingConversationManager:
        return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)

    agent = talked(session_log, 4, conversation_manager=summarizing())
    then, held = end_of_turn(session_log, 4), list(agent.messages)
    again = make_agent(session_log, ["A summary.", "More."], conversation_manager=summarizing())
    again.conversation_manager.reduce_context(again)
    again("And?")
    assert "A summary." in str(make_agent(session_log, conversation_manager=summarizing()).messages)
    session_log.rewind("s", then)
    assert make_agent(session_log, conversation_manager=summarizing()).messages == held


def test_the_transcript_keeps_what_was_undone_and_the_session_still_verifies(session_log: SessionLog) -> None:
    talked(session_log, 3)
    before = list(session_log.state("s").agents["default"].messages)
    session_log.rewind("s", end_of_turn(session_log, 1))
    agent = session_log.state("s").agents["default"]
    assert (list(agent.messages), len(agent.window)) == (before, 2)
    assert session_log.verify("s").ok
    assert [one.type for one in happened(session_log, types="session.*")] == ["session.created", "session.rewound"]


def test_a_rewind_is_undone_by_rewinding_to_where_the_session_stood(session_log: SessionLog) -> None:
    agent = talked(session_log, 3)
    last = session_log.state("s")
    session_log.rewind("s", end_of_turn(session_log, 1))
    session_log.rewind("s", last.revision)
    state = session_log.state("s")
    assert state.agents["default"].window == last.agents["default"].window
    assert state.agents["default"].record == last.agents["default"].record
    assert make_agent(session_log).messages == agent.messages


def test_a_live_agent_that_does_not_know_of_it_is_refused(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("First?")
    session_log.rewind("s", end_of_turn(session_log, 1))
    with pytest.raises(Exception, match="written by someone else"):
        agent("Second?")
    assert texts(make_agent(session_log).messages) == ["First?", "One."]


def test_what_did_not_exist_then_is_as_if_it_had_not_come_to_be(session_log: SessionLog) -> None:
    then = session_log.append("s", events.AgentCreated({"agent_id": "a", "state": {}}, "a"))
    session_log.append("s", events.AgentCreated({"agent_id": "b", "state": {"x": 1}}, "b"))
    message = {"role": "user", "content": [{"text": "hi"}]}
    session_log.append("s", events.MessageAdded({"message": message, "message_id": 0}, "b"))
    session_log.append("s", events.MultiAgentCreated({"status": "executing"}, "graph"))
    session_log.rewind("s", then)
    state = session_log.state("s")
    assert (state.agents["b"].record, state.agents["b"].window, state.multi_agents) == (None, [], {})
    assert len(state.agents["b"].messages) == 1


def test_graphs_go_back_too(session_log: SessionLog) -> None:
    then = session_log.append("s", events.MultiAgentCreated({"status": "executing"}, "graph"))
    session_log.append("s", events.MultiAgentUpdated({"status": "failed"}, "graph"))
    session_log.rewind("s", then)
    assert session_log.state("s").multi_agents == {"graph": {"status": "executing"}}


def test_values_that_json_does_not_have_come_back_as_they_were(session_log: SessionLog) -> None:
    image = {"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"\x00"}}}]}
    session_log.append("s", events.AgentCreated({"agent_id": "a", "state": {"n": b"\xff"}}, "a"))
    held = {"items": [{"message": image}], "removed": 0, "next": 0}
    then = session_log.append("s", events.WindowChanged(held, "a"))
    session_log.append("s", events.AgentUpdated({"agent_id": "a", "state": {}}, "a"))
    session_log.append("s", events.WindowChanged({"items": [], "removed": 0, "next": 0}, "a"))
    before = session_log.state("s", then).agents["a"]
    session_log.rewind("s", then)
    after = session_log.state("s").agents["a"]
    assert (after.window, after.record) == (before.window, before.record)


def test_at_the_event_that_records_it_all_agents_are_back(session_log: SessionLog) -> None:
    talked(session_log, 3)
    then = end_of_turn(session_log, 1)
    rewound = session_log.rewind("s", then)
    assert session_log.state("s").position == rewound
    before, after = session_log.state("s", then).agents["default"], session_log.state("s", rewound).agents["default"]
    assert (after.window, after.record) == (before.window, before.record)


def test_what_was_erased_since_stays_erased(session_log: SessionLog) -> None:
    talked(session_log, 2)
    then = end_of_turn(session_log, 2)
    secret = next(one.id for one in session_log.read("s", types="message.added"))
    session_log.erase("s", secret, "why")
    session_log.rewind("s", then)
    assert texts(make_agent(session_log).messages)[0] == "[erased]"
    assert session_log.verify("s").ok


def test_what_is_erased_while_it_is_rewound_does_not_come_back(session_log: SessionLog) -> None:
    message = {"role": "user", "content": [{"text": "4711-0815"}]}
    session_log.append("s", events.AgentCreated({"agent_id": "a", "state": {"secret": "4711-0815"}}, "a"))
    then = session_log.append(
        "s", events.WindowChanged({"items": [{"message": message}], "removed": 0, "next": 0}, "a")
    )
    session_log.append("s", events.AgentUpdated({"agent_id": "a", "state": {}}, "a"))
    append = session_log._events.append

    def erased_first(*arguments: Any) -> Any:
        session_log._events.append = append  # type: ignore[method-assign]
        session_log.erase("s", [1, 2], "why")
        return append(*arguments)

    session_log._events.append = erased_first  # type: ignore[method-assign,assignment]
    session_log.rewind("s", then)
    assert "4711-0815" not in str(list(session_log.read("s")))


def test_a_message_that_was_changed_since_is_held_as_it_was(session_log: SessionLog) -> None:
    talked(session_log, 1)
    then = end_of_turn(session_log, 1)
    held = session_log.state("s", then).agents["default"].window
    changed = {"role": "assistant", "content": [{"text": "Altered."}]}
    session_log.append("s", events.MessageUpdated({"message": changed, "message_id": 1}, "default"))
    session_log.rewind("s", then)
    assert session_log.state("s").agents["default"].window == held
    assert make_agent(session_log).messages == held


def test_a_summary_that_only_the_manager_s_state_tells_is_held_again(session_log: SessionLog) -> None:
    summary = {"role": "user", "content": [{"text": "A summary."}]}
    state = {"__name__": "SummarizingConversationManager", "removed_message_count": 1, "summary_message": summary}
    record = {"agent_id": "a", "state": {}, "conversation_manager_state": state}
    session_log.append("s", events.AgentCreated(record, "a"))
    for index in range(2):
        said = {"role": "user", "content": [{"text": str(index)}]}
        then = session_log.append("s", events.MessageAdded({"message": said, "message_id": index}, "a"))
    session_log.rewind("s", then)
    assert texts(session_log.state("s").agents["a"].window) == ["A summary.", "1"]


def test_a_point_at_which_a_tool_has_not_answered_is_refused_with_the_nearest_that_are_fine(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, [[call("add", a=1, b=2)], "Three."], tools=[add])
    agent("One and two?")
    calling = next(
        one.id for one in session_log.read("s", types="message.added") if "toolUse" in str(one.event.data["message"])
    )
    with pytest.raises(errors.UnansweredToolCallsError, match="'default' waits for add") as refused:
        session_log.rewind("s", calling)
    for nearest in refused.value.nearest:
        session_log.rewind("s", str(nearest))
    assert len(refused.value.nearest) == 2
    session_log.rewind("s", calling, allow_unanswered=True)
    assert "toolUse" in str(session_log.state("s").agents["default"].window[-1])


@pytest.mark.parametrize(("to", "error"), [(0, errors.SessionNotFoundError), (999, errors.RevisionNotFoundError)])
def test_a_point_that_is_none_is_refused(session_log: SessionLog, to: int, error: type[Exception]) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    with pytest.raises(error):
        session_log.rewind("s", to)
    assert len(list(session_log.read("s"))) == 1


def test_a_session_that_moves_meanwhile_is_rewound_from_where_it_stands(session_log: SessionLog) -> None:
    then = session_log.append("s", events.AgentCreated({"agent_id": "a", "state": {}}, "a"))
    append, interfered = session_log._events.append, list[Any]()

    def interfering(*arguments: Any) -> Any:
        if not interfered:
            interfered.append(append("s", [events.AgentCreated({"agent_id": "b", "state": {}}, "b")]))
        return append(*arguments)

    session_log._events.append = interfering  # type: ignore[method-assign,assignment]
    session_log.rewind("s", then)
    assert session_log.state("s").agents["b"].record is None


def test_the_states_on_the_way_are_those_of_the_events_up_to_there(session_log: SessionLog) -> None:
    talked(session_log, 2)
    session_log.rewind("s", end_of_turn(session_log, 1))
    talked(session_log, 1)
    state = None
    for recorded in list(session_log.read("s")):
        state = fold([recorded], state)
        assert session_log.state("s", recorded.id) == state


SMALL = SnapshotSettings(threshold=8, segment=8, points=32, spacing=16)


@pytest.fixture
def long(session_log: SessionLog) -> Iterator[SessionLog]:
    """A session of 600 messages, of which an agent holds four, with a snapshot that has points on the way."""
    log = SessionLog(session_log.client, session_log.namespace, snapshots=SMALL)
    log.append("s", events.AgentCreated({"agent_id": "a", "state": {}}, "a"))
    for index in range(0, 600, 2):
        told = [{"message": {"role": role, "content": [{"text": f"{index} {role}"}]}} for role in ("user", "assistant")]
        said = [events.MessageAdded({**one, "message_id": index + at}, "a") for at, one in enumerate(told)]
        held = {"items": [[max(0, index - 2), index + 1]], "removed": 0, "next": index + 2}
        log.append("s", [*said, events.WindowChanged(held, "a")])
    log._replay.settle()
    yield log
    log.close()


class Read(list[Detail]):
    """How many events were read in pages."""

    def __call__(self, detail: Detail, /) -> None:
        self.append(detail)

    @property
    def total(self) -> int:
        return sum(one.events for one in self if isinstance(one, ReadDone))


@pytest.fixture
def read() -> Iterator[Read]:
    told = Read()
    instrumentation.add_hook(told)
    yield told
    instrumentation.set_hooks([])


def test_a_rewind_reads_what_was_said_since_and_not_the_session(long: SessionLog, read: Read) -> None:
    now = long.head("s").revision
    long.rewind("s", now - 9)
    assert read.total < 100
    assert texts(long.state("s").agents["a"].window) == ["590 user", "590 assistant", "592 user", "592 assistant"]
    assert long.verify("s").ok


def test_who_resumes_after_a_rewind_reads_what_lies_a_little_further_back_and_no_more(
    long: SessionLog, read: Read
) -> None:
    long.rewind("s", long.head("s").revision - 30)
    read.clear()
    held = SessionLog(long.client, long.namespace, snapshots=SMALL).state("s").agents["a"]
    assert texts(held.window)[-1] == "578 assistant"
    assert read.total < 200


def test_the_same_is_said_of_the_past_from_wherever_it_is_read(long: SessionLog) -> None:
    whole = long._replay.from_log("s").agents["a"].messages
    for start, end in ((590, 600), (300, 310), (0, 5), (0, 600)):
        found = SessionLog(long.client, long.namespace, snapshots=SMALL).state("s").agents["a"].messages
        assert found[start:end] == whole[start:end]


def test_a_diff_of_two_points_nearby_reads_little_and_says_what_the_whole_log_says(
    long: SessionLog, read: Read
) -> None:
    now = long.head("s").revision
    found = long.diff("s", now - 6, now)
    assert read.total < 100
    whole = diff(long._replay.from_log("s", long.resolve("s", now - 6)), long._replay.from_log("s"))
    assert found.agents == whole.agents
    assert [one.index for one in found.agents["a"].added] == [596, 597, 598, 599]
