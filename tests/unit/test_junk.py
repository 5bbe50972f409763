"""What the fold makes of events that no writer of this library would write."""

from __future__ import annotations

import time
from typing import Any

import pytest

from strands_session_log import events
from strands_session_log.events import Event, Recorded
from strands_session_log.ids import EventId
from strands_session_log.snapshot import Authenticator, Draft, SnapshotSettings, Whose, restore
from strands_session_log.state import AgentState, Fold, SessionState, initial
from support.folds import OPEN, WHOSE, Log, fold, recorded, said
from support.junk import deep

RANGES = [[0, 3]] * 80_000


def window(*items: Any, next_index: int = 4) -> Event:
    return events.WindowChanged({"items": list(items), "removed": 0, "next": next_index}, "a")


def agent(*happened: Event) -> AgentState:
    return fold(recorded(*happened)).agents["a"]


def four() -> list[Event]:
    return [said(index) for index in range(4)]


def indices(found: AgentState) -> list[int | None]:
    return [index for index, _ in found.window_with_indices()]


def test_ranges_of_480_kilobytes_are_no_more_messages_than_were_said() -> None:
    assert indices(agent(*four(), window(*RANGES))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("items", "held"),
    [
        ([[0, 1], [1, 2]], [0, 1, 2]),
        ([[2, 3], [0, 3]], [2, 3, 0, 1]),
        ([[1, 1], [1, 1]], [1]),
        ([[0, 10**18]], [0, 1, 2, 3]),
        ([[-(10**18), 0]], [0]),
        ([[3, 0]], []),
        ([[3, 5]], [3]),
        ([[True, 2]], []),
        ([[0, 1, 2], "junk", None, [0]], []),
    ],
)
def test_a_window_holds_a_message_once_whatever_its_ranges_say(items: list[Any], held: list[int]) -> None:
    assert indices(agent(*four(), window(*items))) == held


def test_what_follows_the_next_index_is_not_held_twice() -> None:
    assert indices(agent(*four(), window([0, 3], next_index=2))) == [0, 1, 2, 3]


def test_many_ranges_cost_no_more_than_their_text() -> None:
    started = time.process_time()
    ranges = [[index, index] for index in range(0, 160_000, 2)]
    state = fold(recorded(*four(), window(*ranges, next_index=200_000)))
    assert indices(state.agents["a"]) == [0, 2]
    Draft(WHOSE, {}, SnapshotSettings(), OPEN).add(state)
    assert time.process_time() - started < 5


def put(type_: str, data: Any) -> SessionState:
    event = Event.known[type_](data, "a")
    return fold([*recorded(said(0)), Recorded(EventId(2000, 2), event, "link")])


@pytest.mark.parametrize("levels", [255, 400, 900])
@pytest.mark.parametrize("type_", sorted(Event.known))
def test_what_is_nested_deeper_than_a_body_can_be_written_counts_as_not_written(type_: str, levels: int) -> None:
    state = put(type_, {"message_id": 1, "message": {"role": "user", "content": [deep(levels)]}, "state": deep(levels)})
    assert state.revision == 2
    assert state.session is None
    assert not state.multi_agents
    shown = [one.shown["content"][0]["text"] for one in state.agents["a"].messages[1:]]
    assert shown == (["[unreadable]"] if type_ == "message.added" else [])
    assert state.agents["a"].record is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": "user"},
        {"content": []},
        {"role": 5, "content": []},
        {"role": "user", "content": "text"},
        {"role": "user", "content": ["text"]},
        {"role": "user", "content": [{"toolUse": 5}]},
        {"role": "user", "content": [{"toolUse": {"name": "add"}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": 5}}]},
        {"role": "user", "content": [{"__bytes_encoded__": True, "data": "AA=="}]},
        "text",
        5,
    ],
)
def test_what_no_model_takes_for_a_message_keeps_its_place_and_says_so(message: Any) -> None:
    said_so = {"role": "user", "content": [{"text": "[unreadable]"}]}
    for data in ({"message": message}, {"message": said_so, "redact_message": message}):
        found = put("message.added", {**data, "message_id": 1}).agents["a"]
        assert [record.message_id for record in found.messages] == [0, 1]
        assert found.window[1] == said_so


@pytest.mark.parametrize("index", [10**14, -(10**14), 10**18, 1.0, True, "1", None])
def test_what_is_no_index_of_a_message_is_no_message(index: Any) -> None:
    found = put("message.added", {"message": {"role": "user", "content": []}, "message_id": index}).agents["a"]
    assert len(found.messages) == 1


def test_a_snapshot_of_all_this_is_the_same_state() -> None:
    state = fold(recorded(*four(), window(*RANGES, {"message": {"role": "user", "content": []}})))
    draft = Draft(Whose("n", "s", ""), {}, SnapshotSettings(), Authenticator())
    manifest, _ = draft.add(state)
    place = WHOSE.place(state.position, state.link)
    assert restore(place, manifest, draft.segments, Log(initial(), {}), OPEN).state == state


@pytest.mark.parametrize("order", [range(20_000, 0, -1), [*range(0, 20_000, 2), *range(1, 20_000, 2)]])
def test_messages_in_whatever_order_cost_no_more_than_in_theirs(order: Any) -> None:
    started = time.process_time()
    folding = Fold(initial())
    for number, index in enumerate(order, 1):
        data = {"message": {"role": "user", "content": []}, "message_id": index}
        folding.add(EventId(number, number), "message.added", "a", data, "link")
    found = folding.state().agents["a"].messages
    assert [record.message_id for record in found] == sorted(order)
    assert all(found.find(index) == position for position, index in enumerate(sorted(order)))
    assert time.process_time() - started < 5
