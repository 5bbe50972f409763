"""Sessions move out to files, and a FileSessionManager resumes their agents from there."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from strands.agent.conversation_manager import SlidingWindowConversationManager, SummarizingConversationManager
from strands.session.file_session_manager import FileSessionManager
from strands.types.exceptions import ContextWindowOverflowException

from strands_session_log import SessionLog, events
from strands_session_log.errors import SessionNotFoundError
from strands_session_log.moving import DirectoryExistsError, Exported, ExportError, export_session
from support.command_line import message
from support.moving_agents import assert_same, contents, file_agent, log_agent, moved
from support.strands_agents import add, call

GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I cannot help with that."}]


def talk(agent: Any, turns: int) -> None:
    for number in range(turns):
        agent(f"Question {number}?")


def sliding() -> Any:
    return SlidingWindowConversationManager(window_size=4)


def summarizing() -> Any:
    return SummarizingConversationManager(summary_ratio=0.5, preserve_recent_messages=2)


ANSWERS: list[Any] = [f"Answer {number}." for number in range(8)]
SCRIPTS: dict[Any, list[Any]] = {
    sliding: ANSWERS,
    summarizing: [*ANSWERS[:4], ContextWindowOverflowException("too long"), "A summary.", *ANSWERS[4:]],
}


def moved_out(log: SessionLog, place: Path, session: str = "s", **options: Any) -> Exported:
    return export_session(log, session, place, **options)


def write_agent(log: SessionLog, **state: Any) -> None:
    manager = {"__name__": "SlidingWindowConversationManager", "removed_message_count": 0, "model_call_count": 0}
    record = {"agent_id": "default", "state": state, "conversation_manager_state": manager, "_internal_state": {}}
    log.append("s", [events.SessionCreated({"session_id": "s", "session_type": "AGENT"})])
    log.append("s", [events.AgentCreated({**record, "created_at": "", "updated_at": ""}, "default")])


def test_an_agent_goes_on_from_the_files(tmp_path: Path, session_log: SessionLog) -> None:
    script: Any = [[call("add", a=1, b=2)], "3.", "Fine."]
    agent = log_agent(session_log, script, tools=[add], state={"luggage": "hand"})
    agent([{"text": "Add."}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00"}}}])

    exported = moved_out(session_log, tmp_path)

    assert (exported.path, exported.messages, exported.losses) == (tmp_path / "session_s", 4, ())
    resumed = file_agent(tmp_path, ["Fine."], tools=[add])
    assert_same(resumed, log_agent(session_log))
    resumed("And now?")
    assert len(file_agent(tmp_path).messages) == 6


@pytest.mark.parametrize("manager", SCRIPTS)
def test_a_window_is_resumed_from_the_files(tmp_path: Path, session_log: SessionLog, manager: Any) -> None:
    agent = log_agent(session_log, SCRIPTS[manager], conversation_manager=manager())
    talk(agent, 6)

    moved_out(session_log, tmp_path)

    assert file_agent(tmp_path, conversation_manager=manager()).messages == agent.messages


def test_what_slid_out_of_a_window_moves_out_too(tmp_path: Path, session_log: SessionLog) -> None:
    talk(log_agent(session_log, ANSWERS, conversation_manager=sliding()), 6)

    exported = moved_out(session_log, tmp_path)

    assert (exported.messages, exported.losses) == (12, ())
    assert_same(
        file_agent(tmp_path, conversation_manager=sliding()), log_agent(session_log, conversation_manager=sliding())
    )


def cut(agent: Any) -> None:
    agent.messages = agent.messages[-2:]


def clear(agent: Any) -> None:
    agent.messages.clear()


def rewrite(agent: Any) -> None:
    agent.messages[1]["content"][0]["text"] = "I never said that."


def reorder(agent: Any) -> None:
    agent.messages[:] = agent.messages[2:] + agent.messages[:2]


@pytest.mark.parametrize("edit", [cut, clear, rewrite, reorder])
@pytest.mark.parametrize("manager", SCRIPTS)
def test_any_edit_of_what_an_agent_holds_is_resumed_and_what_was_said_is_kept(
    tmp_path: Path, session_log: SessionLog, manager: Any, edit: Any
) -> None:
    agent = log_agent(session_log, SCRIPTS[manager], conversation_manager=manager())
    talk(agent, 5)
    edit(agent)
    agent("And now?")

    exported = moved_out(session_log, tmp_path)

    assert file_agent(tmp_path, conversation_manager=manager()).messages == agent.messages
    assert exported.messages >= 12


def test_an_agent_without_a_count_of_what_was_removed_keeps_what_it_holds(
    tmp_path: Path, session_log: SessionLog
) -> None:
    record = {"agent_id": "bidi", "state": {}, "conversation_manager_state": {}, "created_at": "", "updated_at": ""}
    session_log.append("s", events.AgentCreated(record, "bidi"))
    session_log.append("s", [message(number, "user", f"{number}", agent="bidi") for number in range(4)])
    session_log.append("s", events.WindowChanged({"items": [[2, 3]], "removed": 0, "next": 4}, "bidi"))

    exported = moved_out(session_log, tmp_path)

    assert exported.messages == 2
    assert [loss.path for loss in exported.losses] == ["agents.bidi.messages"]


@pytest.mark.parametrize("manager", SCRIPTS)
def test_files_that_moved_in_move_out_as_they_were(tmp_path: Path, session_log: SessionLog, manager: Any) -> None:
    script = [[call("add", a=1, b=2)], *SCRIPTS[manager]]
    agent = file_agent(
        tmp_path / "in", script, conversation_manager=manager(), tools=[add], state={"ünï": float("nan")}
    )
    talk(agent, 5)
    moved(tmp_path / "in", session_log)

    exported = moved_out(session_log, tmp_path / "out")

    assert exported.losses == ()
    assert contents(tmp_path / "out") == contents(tmp_path / "in")


def test_of_a_redacted_message_only_the_redaction_moves_out(tmp_path: Path, session_log: SessionLog) -> None:
    log_agent(session_log, [GUARDRAIL])("My password is hunter2.")

    moved_out(session_log, tmp_path)

    assert file_agent(tmp_path).messages == log_agent(session_log).messages
    assert "hunter2" not in str(contents(tmp_path))


def test_values_the_files_cannot_hold_take_the_nearest_form_and_are_told_of(
    tmp_path: Path, session_log: SessionLog
) -> None:
    values = {
        "total": Decimal("1.10"),
        "day": date(2026, 1, 31),
        "tags": {"b", "a"},
        "odd": "\ud800",
        "mark": {"__bytes_encoded__": True, "data": "not base64"},
        "fine": [2**70, float("inf"), "ü", {"__encoded__": "decimal", "data": "1"}],
    }
    write_agent(session_log, **values)
    call = {"toolUseId": "1", "name": "t", "input": {"raw": bytearray(b"raw"), "fine": b"bytes"}}
    session_log.append("s", message(0, "user", {"toolUse": call}))

    exported = moved_out(session_log, tmp_path)

    assert [str(loss) for loss in exported.losses] == [
        "agents.default.state.total: Decimal became text",
        "agents.default.state.day: date became text",
        "agents.default.state.tags: set became a list",
        "agents.default.state.odd: its lone surrogates became escape sequences",
        "agents.default.state.mark: an object that Strands would take for bytes became text",
        "agents.default.messages[0].message.content[0].toolUse.input.raw: bytearray became bytes",
    ]
    stored = json.loads(next(tmp_path.rglob("agent.json")).read_text())["state"]
    assert stored["fine"][:2] == [2**70, float("inf")]
    assert (stored["total"], stored["day"], stored["tags"], stored["odd"]) == (
        "1.10",
        "2026-01-31",
        ["a", "b"],
        "\\ud800",
    )
    assert json.loads(stored["mark"]) == values["mark"]


def test_a_session_that_was_never_created_explicitly_moves_out_as_well(tmp_path: Path, session_log: SessionLog) -> None:
    session_log.append("s", message(0, "user", "Hello", agent="graph:node"))

    exported = moved_out(session_log, tmp_path)

    assert [loss.path for loss in exported.losses] == ["agents.graph:node"]
    assert json.loads((tmp_path / "session_s" / "session.json").read_text())["session_type"] == "AGENT"


def test_a_directory_that_exists_is_replaced_only_when_forced(tmp_path: Path, session_log: SessionLog) -> None:
    log_agent(session_log, ["One."])("Question?")
    moved_out(session_log, tmp_path)
    (tmp_path / "session_s" / "note.txt").write_text("mine")
    before = contents(tmp_path)

    with pytest.raises(DirectoryExistsError, match="session_s exists already"):
        moved_out(session_log, tmp_path)
    assert contents(tmp_path) == before

    moved_out(session_log, tmp_path, force=True)
    assert contents(tmp_path) == {name: data for name, data in before.items() if "note" not in name}


def test_an_export_that_fails_leaves_what_was_there(
    tmp_path: Path, session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_agent(session_log, ["One."])("Question?")
    moved_out(session_log, tmp_path)
    before = contents(tmp_path)

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(FileSessionManager, "create_message", full)
    with pytest.raises(ExportError, match="no space left on device"):
        moved_out(session_log, tmp_path, force=True)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["session_s"]


def test_an_export_that_is_interrupted_leaves_what_was_there(
    tmp_path: Path, session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_agent(session_log, ["One."])("Question?")
    moved_out(session_log, tmp_path)
    before, rename = contents(tmp_path), Path.rename

    def interrupt(path: Path, target: Path) -> Path:
        # What was there is aside just now.
        monkeypatch.undo()
        rename(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        moved_out(session_log, tmp_path, force=True)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["session_s"]


def test_an_id_that_can_be_no_directory_is_refused(tmp_path: Path, session_log: SessionLog) -> None:
    session_log.append("a/b", events.Custom("custom.note", {}))
    with pytest.raises(ExportError, match="path separators"):
        moved_out(session_log, tmp_path, "a/b")
    with pytest.raises(SessionNotFoundError):
        moved_out(session_log, tmp_path, "nobody")
    assert list(tmp_path.iterdir()) == []
