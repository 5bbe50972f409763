"""The fold: pure, total, and cheap to continue."""

from copy import copy

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.events import Event, Recorded
from strands_session_log.ids import EventId
from strands_session_log.state import Messages, evolve
from strands_session_log.state.messages import SEGMENT
from strands_session_log.state.session import MessageRecord
from support.folds import anything, fold, recorded, said


@given(st.lists(anything, max_size=30), st.integers(0, 30))
def test_folding_in_two_parts_is_folding_at_once(happened: list[Event], cut: int) -> None:
    entries = recorded(*happened)
    assert fold(entries[cut:], fold(entries[:cut])) == fold(entries)


@given(st.lists(anything, max_size=30))
def test_the_fold_never_fails_and_always_advances(happened: list[Event]) -> None:
    state = fold(recorded(*happened))
    assert state.revision == len(happened)
    for agent in state.agents.values():
        assert len(agent.window) <= len(agent.messages)


@given(st.lists(anything, min_size=1, max_size=20))
def test_a_state_is_not_changed_by_what_follows(happened: list[Event]) -> None:
    entries = recorded(*happened)
    before = fold(entries[:-1])
    same = fold(entries[:-1])
    evolve(before, entries[-1])
    assert before == same


def test_the_transcript_holds_messages_by_index_with_the_event_that_wrote_them() -> None:
    state = fold(recorded(said(0, "one"), said(1, "two")))
    assert [(m.message_id, m.id.revision) for m in state.agents["a"].messages] == [(0, 1), (1, 2)]


def test_an_update_replaces_a_message_and_moves_its_event_id() -> None:
    changed = events.MessageUpdated({"message": {"role": "user", "content": []}, "message_id": 0}, "a")
    message = fold(recorded(said(0), changed)).agents["a"].messages[0]
    assert (message.message["content"], message.id.revision) == ([], 2)


def test_an_update_of_a_message_that_does_not_exist_is_ignored() -> None:
    assert not fold(recorded(events.MessageUpdated({"message": {}, "message_id": 3}, "a"))).agents


def test_an_update_by_someone_else_does_not_move_the_agent() -> None:
    changed = events.MessageUpdated({"message": {}, "message_id": 0}, "a")
    note = events.Custom("custom.note", {}, "a")
    assert fold(recorded(said(0), changed, note)).agents["a"].revision == 1


def test_the_window_leaves_out_what_the_conversation_manager_removed() -> None:
    updated = events.AgentUpdated({"conversation_manager_state": {"removed_message_count": 2}}, "a")
    state = fold(recorded(said(0, "zero"), said(1, "one"), said(2, "two"), updated))
    assert [message["content"] for message in state.agents["a"].window] == [[{"text": "two"}]]
    assert len(state.agents["a"].messages) == 3


def test_a_redacted_message_shows_its_redaction() -> None:
    redaction = {"role": "user", "content": [{"text": "[redacted]"}]}
    data = {"message": redaction, "redact_message": redaction, "message_id": 0}
    assert fold(recorded(said(0), events.MessageRedacted(data, "a"))).agents["a"].messages[0].shown == redaction


def test_recreating_an_agent_keeps_its_messages() -> None:
    state = fold(
        recorded(events.AgentCreated({"state": {}}, "a"), said(0), events.AgentCreated({"state": {"x": 1}}, "a"))
    )
    assert (len(state.agents["a"].messages), state.agents["a"].state) == (1, {"x": 1})


def test_of_each_label_the_newest_value_counts_and_none_takes_it_away() -> None:
    first, second = (
        events.SessionAnnotated(labels) for labels in ({"a": 1, "b": [1], "c": ""}, {"a": {"x": 2}, "b": None})
    )
    state = fold(recorded(first, second))
    assert state.labels == {"a": {"x": 2}, "c": ""}
    assert fold(recorded(first)).labels == {"a": 1, "b": [1], "c": ""}


def without_content(one: Recorded) -> Recorded:
    event = copy(one.event)
    object.__setattr__(event, "data", event.retains())
    object.__setattr__(event, "is_erased", True)
    return one._replace(event=event)


@given(st.lists(anything, max_size=20), st.data())
def test_a_state_folded_before_an_erasure_catches_up_with_what_it_did_to_messages(
    happened: list[Event], data: st.DataObject
) -> None:
    before = recorded(*happened)
    gone = data.draw(st.sets(st.sampled_from([one.id for one in before]))) if before else set()
    after = [without_content(one) if one.id in gone else one for one in before]
    erasure = events.PayloadErased({"erased": [str(id_) for id_ in gone], "reason": "why"})
    last = Recorded(EventId(2000, len(before) + 1), erasure, "link")
    caught_up, anew = fold([*before, last]), fold([*after, last])
    for agent_id, agent in caught_up.agents.items():
        assert agent.messages == anew.agents[agent_id].messages
        assert agent.revision == anew.agents[agent_id].revision


def test_an_erased_message_says_so_in_the_role_it_had() -> None:
    answer = events.MessageAdded({"message": {"role": "assistant", "content": []}, "message_id": 1}, "a")
    agent = fold([*recorded(said(0)), without_content(recorded(said(0), answer)[1])]).agents["a"]
    assert agent.window[1] == {"role": "assistant", "content": [{"text": "[erased]"}]}
    assert [message.erased for message in agent.messages] == [False, True]


def test_a_redaction_still_finds_the_message_whose_original_was_erased() -> None:
    redaction = {"role": "user", "content": [{"text": "[redacted]"}]}
    data = {"message": redaction, "redact_message": redaction, "message_id": 0}
    original, redacted = recorded(said(0, "secret"), events.MessageRedacted(data, "a"))
    message = fold([without_content(original), redacted]).agents["a"].messages[0]
    assert (message.shown, message.erased) == (redaction, False)


def record(index: int, text: str = "") -> MessageRecord:
    return MessageRecord({"text": text}, index, None, "", "", EventId(1, 1))


@given(st.lists(st.tuples(st.integers(-5, 2 * SEGMENT), st.text(max_size=1)), max_size=60), st.booleans())
def test_messages_behave_like_a_dict_ordered_by_index(puts: list[tuple[int, str]], crowded: bool) -> None:
    start = [record(index) for index in range(SEGMENT * 2 - 3)] if crowded else []
    messages, model = Messages.of(start), {r.message_id: r for r in start}
    for index, text in puts:
        before = list(messages)
        grown = messages.put(record(index, text))
        assert list(messages) == before
        messages, model[index] = grown, record(index, text)
    expected = [model[index] for index in sorted(model)]
    assert list(messages) == expected == messages[:] == [messages[at] for at in range(len(messages))]
    assert all(messages[messages.find(index)] == model[index] for index in model)  # type: ignore[index]
    assert messages.find(2 * SEGMENT + 1) is None


def test_appending_leaves_full_segments_untouched() -> None:
    messages = Messages.of([record(index) for index in range(SEGMENT)])
    grown = messages.put(record(SEGMENT))
    assert grown.segments[0] is messages.segments[0]
