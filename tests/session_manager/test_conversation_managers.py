"""An agent that comes back with a conversation manager of another class than it had holds what it held."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from strands.agent.conversation_manager import (
    NullConversationManager,
    SlidingWindowConversationManager,
    SummarizingConversationManager,
)
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_log import SessionLog, events
from support.strands_agents import make_agent


def talk(agent: Any, turns: int) -> None:
    for number in range(turns):
        agent(f"Question {number}?")


def answers(turns: int) -> list[str]:
    return [f"Answer {number}." for number in range(turns)]


def transcript_length(log: SessionLog) -> int:
    return len(log.state("s").agents["default"].messages)


MANAGERS: dict[str, Callable[[], Any]] = {
    "none": NullConversationManager,
    "sliding": lambda: SlidingWindowConversationManager(window_size=4),
    "summarizing": lambda: SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2),
}
PAIRS = [(one, other) for one in MANAGERS for other in MANAGERS if one != other]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_an_agent_that_comes_back_with_another_conversation_manager_holds_what_it_held(
    session_log: SessionLog, before: str, after: str
) -> None:
    summarized: Any = [ContextWindowOverflowException("too long"), "A summary."] if before == "summarizing" else []
    script: Any = [*answers(4), *summarized, "Answer 4."]
    agent = make_agent(session_log, script, conversation_manager=MANAGERS[before](), state={"mood": "good"})
    talk(agent, 5)
    said = transcript_length(session_log)
    with pytest.warns(UserWarning, match=r"agent 'default' was managed by a \w+ and is by a \w+ now: it resumes"):
        resumed = make_agent(session_log, answers(2), conversation_manager=MANAGERS[after]())
    assert (resumed.messages, resumed.state.get("mood")) == (agent.messages, "good")
    resumed("And now?")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = make_agent(session_log, answers(2), conversation_manager=MANAGERS[after]())
    assert again.messages == resumed.messages
    assert again.conversation_manager.get_state() == resumed.conversation_manager.get_state()
    assert transcript_length(session_log) == said + 2
    assert session_log.verify("s").ok


def test_nothing_is_written_by_coming_back_with_another_conversation_manager(session_log: SessionLog) -> None:
    agent = make_agent(session_log, answers(5), conversation_manager=MANAGERS["sliding"]())
    talk(agent, 5)
    before = session_log.head("s")
    for _ in range(2):
        with pytest.warns(UserWarning, match="Sliding"):
            assert make_agent(session_log, conversation_manager=MANAGERS["none"]()).messages == agent.messages
    assert session_log.head("s") == before
    assert make_agent(session_log, conversation_manager=MANAGERS["sliding"]()).messages == agent.messages


def test_a_summary_that_only_the_state_of_the_manager_before_has_is_taken_over(session_log: SessionLog) -> None:
    """As an import from another store leaves it."""
    manager = MANAGERS["summarizing"]()
    agent = make_agent(session_log, answers(3), conversation_manager=manager)
    talk(agent, 2)
    summary = {"role": "user", "content": [{"text": "A summary."}]}
    state = {**manager.get_state(), "removed_message_count": 2, "summary_message": summary}
    record = {**dict(session_log.state("s").agents["default"].record or {}), "conversation_manager_state": state}
    session_log.append("s", events.AgentUpdated(record, "default"))
    with pytest.warns(UserWarning, match="Summarizing"):
        resumed = make_agent(session_log, answers(1), conversation_manager=MANAGERS["none"]())
    assert resumed.messages == [summary, *agent.messages[2:]]
    resumed("And now?")
    assert make_agent(session_log, conversation_manager=MANAGERS["none"]()).messages == resumed.messages


def test_a_conversation_manager_that_refuses_its_own_state_is_no_other_one(session_log: SessionLog) -> None:
    class Broken(NullConversationManager):
        def restore_from_session(self, state: Any) -> Any:
            raise ValueError("not mine")

    make_agent(session_log, answers(1), conversation_manager=Broken())("Hello")
    with pytest.raises(ValueError, match=r"agent 'default' .* cannot be restored: ValueError: not mine"):
        make_agent(session_log, conversation_manager=Broken())
