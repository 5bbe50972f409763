"""What users are given equals only its like, cannot be changed, and is read by names."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

import strands_session_log
from strands_session_log import ANY, NO_SESSION, AgentAt, EventId, SessionAt
from strands_session_log.moving import Exported, Imported, Loss

TUPLES = {
    # Very many are made: of every event that is read, or delivered.
    *("Delta", "Envelope", "EventId", "FeedId", "MessageRecord", "Recorded"),
}
# Old versions of Strands lack what `ValkeyStorage` is made of.
KINDS = [getattr(strands_session_log, name) for name in strands_session_log.__all__ if name != "ValkeyStorage"]


def test_only_what_is_made_for_every_event_is_a_tuple() -> None:
    found = {kind.__name__ for kind in KINDS if inspect.isclass(kind) and issubclass(kind, tuple)}
    assert found == TUPLES


@pytest.mark.parametrize("kind", [*filter(dataclasses.is_dataclass, KINDS), Exported, Imported, Loss])
def test_what_is_no_tuple_is_frozen(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen


def test_an_event_id_equals_no_pair_of_numbers() -> None:
    one: Any = EventId(1, 2)
    assert one != (1, 2)
    assert [(1, 2)].count(one) == [one].count((1, 2)) == 0
    assert one == EventId(1, 2)
    assert one != EventId(1, 3)
    assert one < EventId(1, 3) < EventId(2, 1)
    assert {one: "there"}[EventId(1, 2)] == "there"
    assert one not in {(1, 2)}


@pytest.mark.parametrize("one", [EventId(1, 2), ANY, NO_SESSION, SessionAt(3), AgentAt("a", EventId(1, 2))])
def test_it_is_still_itself_after_a_copy_and_in_another_process(one: object) -> None:
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one


def test_expecting_nothing_is_not_expecting_no_session() -> None:
    nothing: object = ANY
    assert nothing != NO_SESSION
    assert ANY
