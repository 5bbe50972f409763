"""What is told of a window: each message of the transcript once, and in full what is held once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.codec import to_json
from strands_session_log.lifecycle.window import Window
from strands_session_log.lifecycle.withheld import Withheld
from strands_session_log.state import AgentState
from support.folds import fold, recorded, said

texts = st.lists(st.sampled_from("abc"), max_size=12)


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": text}]}


def told(spoken: list[str], live: list[str]) -> tuple[dict[str, Any] | None, AgentState]:
    before = fold(recorded(*(said(index, text) for index, text in enumerate(spoken))))
    known = before.agents.get("a") or AgentState("a")
    changed = Window(known).changed([message(text) for text in live], 0, len(spoken))
    happened = [] if changed is None else [events.WindowChanged(to_json(changed), "a")]
    after = fold([*recorded(*(said(index, text) for index, text in enumerate(spoken)), *happened)])
    return changed, after.agents.get("a") or AgentState("a")


@given(texts, texts)
def test_an_agent_resumes_with_what_it_held_whatever_was_said_twice(spoken: list[str], live: list[str]) -> None:
    _, agent = told(spoken, live)
    assert agent.window == [message(text) for text in live]


def test_the_same_words_said_twice_stand_under_both_their_indices() -> None:
    changed, _ = told(["a", "b", "a", "b", "c"], ["a", "b", "a", "b"])
    assert changed is not None
    assert changed["items"] == [[0, 3]]


def test_a_message_held_once_more_than_it_was_said_is_told_in_full() -> None:
    changed, _ = told(["a", "b"], ["a", "b", "a"])
    assert changed is not None
    assert changed["items"] == [[0, 1], {"message": message("a")}]


def told_with_erased(spoken: list[str], erased: set[int], live: list[str]) -> Any:
    happened = recorded(*(said(index, text) for index, text in enumerate(spoken)))
    agent = fold(happened).agents["a"]
    for index in erased:
        record = agent.messages[index]
        gone = record._replace(message=message("[erased]"), erased=True)
        agent = replace(agent, messages=agent.messages.put(gone))
    return Window(agent).changed([message(text) for text in live], 0, len(spoken))


@pytest.mark.parametrize(
    ("live", "items"),
    [
        (["a", "secret", "c", "d"], None),
        (["secret", "c", "d"], [[1, 3]]),
        (["a", "secret"], [[0, 1]]),
        (["summary", "secret", "c"], [{"message": message("summary")}, [1, 2]]),
        (["a", "c", "d"], [[0, 0], [2, 3]]),
    ],
)
def test_what_an_agent_holds_in_the_place_of_an_erased_message_is_not_told(live: list[str], items: Any) -> None:
    changed = told_with_erased(["a", "secret", "c", "d"], {1}, live)
    assert (changed and changed["items"]) == items


@pytest.mark.parametrize(
    ("live", "items"),
    [
        (["old", "older", "a", "b"], None),
        (["old", "summary of b", "b"], [[1, 1]]),
        (["a", "old", "a", "b"], None),
        (["old"], []),
        (["a", "b", "edited"], [[0, 1], {"message": message("edited")}]),
    ],
)
def test_of_a_deleted_session_only_what_was_said_since_is_told(live: list[str], items: Any) -> None:
    known = fold(recorded(said(0, "a"), said(1, "b"))).agents["a"]
    changed = Window(known, Withheld(None)).changed([message(text) for text in live], 0, 2)
    assert (changed and changed["items"]) == items
