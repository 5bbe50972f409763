"""Sessions of a FileSessionManager move in, and their agents go on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from strands import tool
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_log import SessionLog
from strands_session_log.codec import to_json
from strands_session_log.moving import FileSessions, import_sessions
from support.moving_agents import assert_same, file_agent, log_agent, move_in, moved, write_messages
from support.strands_agents import add, call, happened

SECRET = "hunter2-is-my-password"
GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


@tool
def picture() -> dict[str, Any]:
    """Draw a picture."""
    return {"status": "success", "content": [{"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00"}}}]}


def talk(agent: Any, turns: int) -> None:
    for number in range(turns):
        agent(f"Question {number}?")


def message_files(place: Path) -> list[dict[str, Any]]:
    files = [json.loads(path.read_text()) for path in place.rglob("message_*.json")]
    return sorted(files, key=lambda record: record["message_id"])


def test_an_agent_goes_on_with_its_messages_its_state_and_its_tools_bytes(
    tmp_path: Path, session_log: SessionLog
) -> None:
    script: Any = [[call("add", a=1, b=2), call("picture")], "3, and a picture."]
    agent = file_agent(tmp_path, script, tools=[add, picture], state={"luggage": "hand"})
    agent("Add, and draw.")

    moved(tmp_path, session_log)

    resumed = log_agent(session_log, ["Fine."])
    assert_same(resumed, file_agent(tmp_path))
    assert b"\x89PNG\x00" in [block["source"]["bytes"] for block in images(resumed.messages)]
    resumed("And now?")
    assert len(log_agent(session_log).messages) == len(agent.messages) + 2
    assert session_log.verify("s").ok


def images(messages: Any) -> list[Any]:
    results = [block["toolResult"] for message in messages for block in message["content"] if "toolResult" in block]
    return [part["image"] for result in results for part in result["content"] if "image" in part]


def test_every_record_keeps_its_index_and_its_times(tmp_path: Path, session_log: SessionLog) -> None:
    talk(file_agent(tmp_path, ["One.", "Two."]), 2)

    moved(tmp_path, session_log)

    state = session_log.state("s")
    assert state.session == json.loads(next(tmp_path.rglob("session.json")).read_text())
    assert state.agents["default"].record == json.loads(next(tmp_path.rglob("agent.json")).read_text())
    kept = [(one.message_id, one.created_at, one.updated_at) for one in state.agents["default"].messages]
    assert kept == [(one["message_id"], one["created_at"], one["updated_at"]) for one in message_files(tmp_path)]


def test_a_gap_between_messages_stays_one(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 8)
    for index in (0, 3, 4):
        next(tmp_path.rglob(f"message_{index}.json")).unlink()

    moved(tmp_path, session_log)

    assert [one.message_id for one in session_log.state("s").agents["default"].messages] == [1, 2, 5, 6, 7]
    log_agent(session_log)("Next?")
    assert [one.message_id for one in session_log.state("s").agents["default"].messages][-2:] == [8, 9]


def test_a_sliding_window_slides_on(tmp_path: Path, session_log: SessionLog) -> None:
    def manager() -> Any:
        return SlidingWindowConversationManager(window_size=4)

    talk(file_agent(tmp_path, [f"Answer {number}." for number in range(6)], conversation_manager=manager()), 6)

    moved(tmp_path, session_log)

    resumed = log_agent(session_log, conversation_manager=manager())
    assert_same(resumed, file_agent(tmp_path, conversation_manager=manager()))
    assert len(resumed.messages) == 4
    agent = session_log.state("s").agents["default"]
    assert (len(agent.messages), agent.window) == (12, resumed.messages)


@pytest.mark.parametrize("are_named", [True, False])
@pytest.mark.parametrize("size", [4, 40])
def test_the_first_turn_tells_no_window(tmp_path: Path, session_log: SessionLog, are_named: bool, size: int) -> None:
    def manager() -> Any:
        return SlidingWindowConversationManager(window_size=size)

    script: Any = [[call("picture")], "Here.", *[f"Answer {number}." for number in range(4)]]
    agent = file_agent(tmp_path, script, tools=[picture], conversation_manager=manager())
    talk(agent, 5)
    for path in () if are_named else tmp_path.rglob("message_*.json"):
        record = json.loads(path.read_text())
        record["message"].pop("tracking_id", None)
        path.write_text(json.dumps(record))

    moved(tmp_path, session_log)

    resumed = log_agent(session_log, ["Fine.", "Again."], tools=[picture], conversation_manager=manager())
    resumed("And now?")
    resumed("And then?")
    assert happened(session_log, types="window.changed") == []
    held = [message["content"] for message in session_log.state("s").agents["default"].window]
    assert held == to_json([message["content"] for message in resumed.messages])


def test_a_summary_stands_before_what_is_left(tmp_path: Path, session_log: SessionLog) -> None:
    def manager() -> Any:
        return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)

    answers: list[Any] = [f"Answer {number}." for number in range(6)]
    script = [*answers[:4], ContextWindowOverflowException("too long"), "A summary.", *answers[4:]]
    talk(file_agent(tmp_path, script, conversation_manager=manager()), 5)

    moved(tmp_path, session_log)

    resumed = log_agent(session_log, conversation_manager=manager())
    assert_same(resumed, file_agent(tmp_path, conversation_manager=manager()))
    assert "A summary." in str(resumed.messages[0])
    assert session_log.state("s").agents["default"].window == resumed.messages
    resumed("And now?")
    assert log_agent(session_log, conversation_manager=manager()).messages == resumed.messages


def test_a_redacted_message_comes_without_what_was_redacted(tmp_path: Path, session_log: SessionLog) -> None:
    file_agent(tmp_path, [GUARDRAIL])(f"Remember: {SECRET}")

    moved(tmp_path, session_log)

    assert log_agent(session_log).messages == file_agent(tmp_path).messages
    question = session_log.state("s").agents["default"].messages[0]
    assert question.redact_message is not None
    assert question.redact_message["content"] == [{"text": "[redacted]"}]
    assert SECRET not in str(list(session_log._events.entries("s")))


def test_several_agents_and_sessions_move_in_one_by_one(tmp_path: Path, session_log: SessionLog) -> None:
    for session in ("a", "b"):
        for agent_id in ("critic", "writer"):
            file_agent(tmp_path, [f"I am {agent_id} of {session}."], session=session, agent_id=agent_id)("Who?")

    outcomes = move_in(tmp_path, session_log)

    assert [(one.session_id, one.outcome, one.messages) for one in outcomes] == [
        ("a", "imported", 4),
        ("b", "imported", 4),
    ]
    assert log_agent(session_log, session="b", agent_id="critic").messages[1]["content"] == [
        {"text": "I am critic of b."}
    ]


def test_only_the_sessions_asked_for_move_in(tmp_path: Path, session_log: SessionLog) -> None:
    for session in ("a", "b", "c"):
        write_messages(tmp_path, 2, session)

    outcomes = list(import_sessions(FileSessions(tmp_path), session_log, ["c", "nobody", "a"]))

    assert [(one.session_id, one.outcome) for one in outcomes] == [
        ("c", "imported"),
        ("nobody", "failed"),
        ("a", "imported"),
    ]


def test_the_log_says_where_a_session_came_from(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 1)
    moved(tmp_path, session_log)
    (label,) = session_log.read("s", types="session.annotated")
    assert label.event.data == {"imported_from": "file-session"}


def test_a_long_session_is_written_in_bounded_batches(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 450)
    heard: list[tuple[int, int]] = []

    move_in(tmp_path, session_log, progress=lambda session, written, total: heard.append((written, total)))

    assert heard == [(200, 453), (400, 453), (453, 453)]


def test_large_messages_make_smaller_batches(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 5)
    for path in tmp_path.rglob("message_*.json"):
        path.write_text(path.read_text().replace("Message", "x" * 600_000))
    heard: list[int] = []

    move_in(tmp_path, session_log, progress=lambda session, written, total: heard.append(written))

    assert heard == [4, 5, 6, 7, 8]


def test_a_directory_strands_had_only_begun_is_no_agent(tmp_path: Path, session_log: SessionLog) -> None:
    write_messages(tmp_path, 1)
    (tmp_path / "session_s" / "agents" / "agent_begun" / "messages").mkdir(parents=True)

    moved(tmp_path, session_log)

    assert list(session_log.state("s").agents) == ["default"]


def test_files_no_strands_would_write_are_named(tmp_path: Path, session_log: SessionLog) -> None:
    def problem(session: str, name: str, content: str) -> str:
        write_messages(tmp_path, 2, session)
        next((tmp_path / f"session_{session}").rglob(name)).write_text(content)
        return next(one.problem for one in move_in(tmp_path, session_log) if one.session_id == session)

    assert "message_1.json: it should hold message 1, but holds message 7" in problem(
        "a", "message_1.json", '{"message": {}, "message_id": 7}'
    )
    assert "message_1.json: not a JSON object, but list" in problem("b", "message_1.json", "[]")
    assert "agent.json: not an agent: state is missing or no object" in problem("c", "agent.json", "{}")
    assert "session.json: not valid JSON" in problem("d", "session.json", "")
    assert session_log.sessions() == []
