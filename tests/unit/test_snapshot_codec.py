"""The snapshot: whatever is cut, stored and read back, the state is that of the whole log."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log.codec import from_json, to_json
from strands_session_log.events import Event, MessageAdded, Recorded, SessionAnnotated
from strands_session_log.ids import EventId
from strands_session_log.snapshot import (
    DamagedError,
    Draft,
    OtherVersionError,
    Restored,
    SnapshotSettings,
    Whose,
    points_to_keep,
    wants_point,
)
from strands_session_log.snapshot import restore as restore_sealed
from strands_session_log.snapshot.blobs import compress, unpack
from strands_session_log.state import SessionState, initial
from support import folds
from support.folds import OPEN, WHOSE, Log, anything, fold, said

SMALL = SnapshotSettings(threshold=4, segment=3, points=4, spacing=4)


def recorded(*happened: Event) -> list[Recorded]:
    """As they come out of the log: plain JSON values."""
    entries = folds.recorded(*happened)
    return [one._replace(event=replace(one.event, to_json(one.event.data))) for one in entries]


def replace(event: Event, data: Any) -> Event:
    kind: Any = type(event)
    return kind(data, event.agent) if kind is not Event else Event(event.type, data, event.agent)


def restore(whose: Whose, state: SessionState, manifest: bytes, segments: Mapping[str, bytes], log: Log) -> Restored:
    """As if it stood where a state is."""
    return restore_sealed(whose.place(state.position, state.link), manifest, segments, log, OPEN)


def stored(state: SessionState, how: SnapshotSettings = SMALL) -> tuple[bytes, dict[str, bytes]]:
    draft = Draft(WHOSE, {}, how, OPEN)
    return draft.add(state)[0], draft.segments


def read(state: SessionState, how: SnapshotSettings = SMALL) -> tuple[SessionState, Log]:
    manifest, segments = stored(state, how)
    log = Log(state, segments)
    return restore(WHOSE, state, manifest, segments, log).state, log


@given(st.lists(anything, max_size=40), st.integers(0, 40))
def test_a_snapshot_and_the_tail_fold_into_what_all_events_do(happened: list[Event], cut: int) -> None:
    entries = recorded(*happened)
    restored, _ = read(fold(entries[:cut]))
    assert fold(entries[cut:], restored) == fold(entries)


@given(st.lists(anything, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_snapshots_made_from_snapshots_lose_nothing(happened: list[Event], cuts: list[int]) -> None:
    entries, state, at = recorded(*happened), initial(), 0
    kept: dict[str, bytes] = {}
    digests: Mapping[str, str] = {}
    for cut in sorted(cuts):
        state, at = fold(entries[at:cut], state), max(at, cut)
        draft = Draft(WHOSE, digests, SMALL, OPEN)
        manifest, _ = draft.add(state)
        kept.update(draft.segments)
        state, digests, _ = restore(WHOSE, state, manifest, kept, Log(fold(entries[:at]), kept))
    assert fold(entries[at:], state) == fold(entries)


@given(st.lists(anything, min_size=1, max_size=20), st.data())
def test_a_damaged_manifest_is_never_taken_for_a_state(happened: list[Event], data: st.DataObject) -> None:
    state = fold(recorded(*happened))
    manifest, segments = stored(state)
    at = data.draw(st.integers(0, 8 * len(manifest) - 1))
    flipped = bytearray(manifest)
    flipped[at // 8] ^= 1 << at % 8
    for damaged in (bytes(flipped), manifest[: at // 8], b""):
        with pytest.raises(DamagedError):
            restore(WHOSE, state, damaged, segments, Log(initial(), segments))


def test_a_snapshot_of_another_session_is_not_taken() -> None:
    state = fold(recorded(said(0)))
    manifest, segments = stored(state)
    with pytest.raises(DamagedError, match="'s', not 'other'"):
        restore(WHOSE._replace(session_id="other"), state, manifest, segments, Log(initial(), segments))


def test_a_snapshot_of_a_later_version_is_not_taken() -> None:
    state = fold(recorded(said(0)))
    manifest, segments = stored(state)
    with pytest.raises(OtherVersionError, match="6d"):
        restore(WHOSE, state, b"6" + manifest[1:], segments, Log(initial(), segments))


def test_a_damaged_segment_is_found_when_it_comes_along_and_replaced_when_it_is_fetched() -> None:
    state = fold(recorded(*(said(index) for index in range(5))))
    manifest, segments = stored(state)
    damaged = {name: blob[:-1] for name, blob in segments.items()}
    with pytest.raises(DamagedError):
        restore(WHOSE, state, manifest, damaged, Log(state, damaged))
    for lost in (damaged, {}):
        log = Log(state, lost)
        assert restore(WHOSE, state, manifest, {}, log).state == state
        assert log.replays


def test_a_segment_that_cannot_be_read_though_its_checksum_is_right_is_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("reading", "writing"):
        monkeypatch.setattr(f"strands_session_log.snapshot.{module}.digest", lambda blob: "")
    state = fold(recorded(*(said(index) for index in range(5))))
    manifest, segments = stored(state)
    for spoiled in (
        b"",
        b"no zstd",
        compress(b"no JSON"),
        compress(b"[1]"),
        compress(b"[false,false,[1],[],[],1,1,1,[],[]]"),
    ):
        log = Log(state, {})
        assert restore(WHOSE, state, manifest, dict.fromkeys(segments, spoiled), log).state == state
        assert log.replays


@given(st.lists(anything, max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_what_is_made_of_a_snapshots_messages_is_what_is_made_of_the_logs(
    happened: list[Event], start: int, end: int
) -> None:
    state = fold(recorded(*happened))
    restored, _ = read(state)
    for name, agent in state.agents.items():
        first, last, _ = slice(start, end).indices(len(agent.messages))
        made = restored.agents[name].messages.made(first, last, lambda *columns: columns, from_json)
        assert made == agent.messages.made(first, last, lambda *columns: columns, from_json)
        assert [columns[1] for columns in made] == [record.message_id for record in agent.messages[first:last]]


@pytest.mark.parametrize(
    "block", [{"toolUse": {"toolUseId": "t", "name": "n"}}, {"toolResult": {"toolUseId": "t"}}, {"text": '"toolUse"'}]
)
def test_a_stored_segment_tells_whether_a_tool_is_called_in_it(block: dict[str, Any]) -> None:
    message = {"role": "user", "content": [block]}
    state = fold(recorded(said(0), MessageAdded({"message_id": 1, "message": message}, "a"), said(2)))
    for known in (read(state)[0], state):
        messages = known.agents["a"].messages
        assert messages.columns(0, len(messages), from_json).have_tools is ("text" not in block)


@pytest.mark.parametrize(("length", "is_text"), [(100, True), (10_000, False)])
def test_a_short_state_is_stored_as_text_and_a_long_one_compressed(length: int, is_text: bool) -> None:
    state = fold(recorded(said(0), SessionAnnotated({"custom.note": "x" * length})))
    manifest, _ = stored(state)
    assert (b'"custom.note"' in manifest) is is_text
    assert read(state)[0] == state


def test_a_long_text_that_is_not_compressed_is_none_of_ours() -> None:
    with pytest.raises(DamagedError, match="not compressed"):
        unpack(b" " * 10_000)


def test_only_what_the_agent_holds_is_stored_and_the_rest_is_replayed_when_asked_for() -> None:
    window = Event.known["window.changed"]({"items": [[1, 1], [7, 8]], "removed": 0, "next": 10}, "a")
    state = fold(recorded(*(said(index, f"text{index}") for index in range(10)), window, said(10)))
    restored, log = read(state)
    agent = restored.agents["a"]
    assert [index for index, _ in agent.window_with_indices()] == [1, 7, 8, 10]
    assert (len(agent.messages), agent.messages.last_index, agent.messages.find(9)) == (11, 10, 9)
    assert log.replays == 0
    assert agent.messages[0].message["content"] == [{"text": "text0"}]
    assert log.replays == 1


def test_what_is_stored_is_not_stored_again_and_small_segments_are_joined() -> None:
    entries = recorded(*(said(index) for index in range(40)))
    state, written = initial(), 0
    digests: Mapping[str, str] = {}
    kept: dict[str, bytes] = {}
    how = SnapshotSettings(segment=16)
    for at in range(40):
        state = fold(entries[at : at + 1], state)
        draft = Draft(WHOSE, digests, how, OPEN)
        manifest, needs = draft.add(state)
        kept.update(draft.segments)
        written += len(draft.segments)
        state, digests, _ = restore(WHOSE, state, manifest, kept, Log(state, kept))
    assert written == 40
    assert len(needs) <= 5


def test_states_that_follow_each_other_share_their_segments() -> None:
    how = SnapshotSettings()
    entries = recorded(*(said(index) for index in range(how.segment * 5 // 2)))
    draft = Draft(WHOSE, {}, how, OPEN)
    first = fold(entries[: how.segment * 2 + 9])
    needs = [draft.add(state)[1] for state in (first, fold(entries[how.segment * 2 + 9 :], first))]
    assert len(set(needs[0]) & set(needs[1])) == 2


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=300))
def test_points_are_few_evenly_spread_and_the_newest_is_one_of_them(revisions: list[int]) -> None:
    how = SnapshotSettings(points=8, spacing=16)
    points: list[EventId] = []
    for revision in sorted(set(revisions)):
        points = points_to_keep([*points, EventId(revision, revision)], how)
        assert points[-1].revision == revision
        assert len(points) <= how.points + 1
    assert points == sorted(points)


def test_a_long_session_wants_points_further_apart() -> None:
    how = SnapshotSettings(points=4, spacing=10)
    assert wants_point(10, 9, 10, how)
    assert not wants_point(10, 9, 100, how)
    assert wants_point(40, 39, 100, how)


def test_a_state_with_fetched_parts_travels_to_other_processes_whole() -> None:
    restored, _ = read(fold(recorded(*(said(index) for index in range(5)))))
    messages: Any = pickle.loads(pickle.dumps(restored.agents["a"].messages))
    assert messages == restored.agents["a"].messages
