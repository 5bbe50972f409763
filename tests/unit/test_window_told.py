"""What is told of a window: each message of the transcript once, and in full what is held once more."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from strands_session_log import events
from strands_session_log.codec import to_json
from strands_session_log.lifecycle.window import Window
from strands_session_log.state import AgentState
from unit.test_fold import fold, recorded, said

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
